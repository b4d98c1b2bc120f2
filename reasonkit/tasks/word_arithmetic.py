"""Short problems in plain English: somebody has some things, and then things happen.

A problem is an opening amount and one to three events; each event turns the amount held into the
next one by a calculation that a reader has to find in the sentence. Amounts lie in 0..99.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from reasonkit.tasks.arithmetic import LARGEST, apply
from reasonkit.tasks.settings import setting

NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jo")
THINGS = ("apples", "books", "cards", "coins", "eggs", "pens", "shells", "stamps")


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set."""

    steps: range = setting("calculations that solve it", range(1, 7), range(1, 7))
    start: range = setting("the opening amount", range(2, 41), range(1, 91))


@dataclass(frozen=True, slots=True)
class Problem:
    """A word problem with its solution.

    Attributes:
        lines: the calculations that solve it, in order, e.g. ``("3*4=12", "5+12=17")``.
        careless: the calculations of a reader who overlooks the word "each" or "twice"; the same
            as ``lines`` where there is nothing to overlook.
    """

    text: str
    lines: tuple[str, ...]
    careless: tuple[str, ...]
    answer: int
    careless_answer: int


EVENTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "gains": ("{name} {verb} {many} more {things}.", ("finds", "buys", "gets"), "+"),
    "loses": ("{name} {verb} {many} {things}.", ("loses", "sells", "gives away"), "-"),
    "packs": ("{name} buys {few} bags of {many} {things} each.", (), "+"),
    "gives-each": ("{name} gives {many} {things} to each of {few} friends.", (), "-"),
    "doubles": ("Then {name} has twice as many.", (), "*"),
}
"""What happens, the verbs for it, and what is done to the amount held."""


def _work(left: int, operator: str, right: int) -> tuple[str, int]:
    """A calculation as a line, and its value."""
    value = apply(left, operator, right)
    return f"{left}{operator}{right}={value}", value


def draw(rng: random.Random, settings: Settings = Settings()) -> Problem:
    """A random problem; every amount on the way, careless or not, is in 0..99."""
    while True:
        name, things = rng.choice(NAMES), rng.choice(THINGS)
        held = careless = start = rng.choice(settings.start)
        sentences = [f"{name} has {start} {things}."]
        lines: list[str] = []
        careless_lines: list[str] = []
        for _ in range(rng.randint(1, 3)):
            kind = rng.choice(list(EVENTS))
            few, many = rng.randint(2, 6), rng.randint(2, 9)
            form, verbs, operator = EVENTS[kind]
            verb = rng.choice(verbs) if verbs else ""
            sentences.append(form.format(name=name, verb=verb, many=many, few=few, things=things))
            overlooked = (operator, many)
            if kind == "doubles":
                many, overlooked = 2, ("+", 2)
            elif "each" in form:
                line, many = _work(few, "*", many)
                lines.append(line)
            line, held = _work(held, operator, many)
            careless_line, careless = _work(careless, *overlooked)
            if not (0 <= held <= LARGEST and 0 <= careless <= LARGEST):
                break
            lines.append(line)
            careless_lines.append(careless_line)
        else:
            if len(lines) not in settings.steps:
                continue
            sentences.append(f"How many {things} does {name} have now?")
            return Problem(" ".join(sentences), tuple(lines), tuple(careless_lines), held, careless)
