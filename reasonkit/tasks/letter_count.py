"""How often a letter stands in a word of random letters.

The question that large models were known to get wrong, and a small one can learn: after verl's
recipe ``char_count``, the letter stands there once or more, any number of times as likely, and
hyphens give every letter a token of its own.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

from reasonkit.tasks.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set."""

    length: range = setting("letters of the word", range(3, 6), range(2, 31))
    hyphens: range = setting("between its letters: 1, or 0 for none", range(1, 2), range(2))


def draw(rng: random.Random, settings: Settings = Settings()) -> tuple[str, int, str]:
    """A random question, its answer, and how it is counted: ``a 1, b, a 2``."""
    length = rng.choice(settings.length)
    letter, count = rng.choice(string.ascii_lowercase), rng.randint(1, length)
    others = string.ascii_lowercase.replace(letter, "")
    letters = [letter] * count + rng.choices(others, k=length - count)
    rng.shuffle(letters)
    word = ("-" if rng.choice(settings.hyphens) else "").join(letters)
    return f"How many {letter} are there in the word {word}?", count, _counted(letters, letter)


def _counted(letters: list[str], letter: str) -> str:
    seen = 0
    said = []
    for one in letters:
        seen += one == letter
        said.append(f"{one} {seen}" if one == letter else one)
    return ", ".join(said)
