"""Preference pairs about everyday requests: what a judge of answers learns from.

In most pairs one answer is good and the other has a flaw (`reasonkit.tasks.flaws`). Both stand in
one of the forms that a completion may have, from the bare answer to a thought and an answer in
tags, so that a form by itself tells nothing. In some it is the completion as a whole that is
flawed, and in a few both answers are, one of them badly. Half of the pairs are about people whom no
request of the task names, so that names have to be compared and can't be learned by heart. Leaves
out finer taste: of two faultless answers neither is preferred.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from reasonkit.tasks import flaws, general
from reasonkit.tasks.general import Kind, Request
from reasonkit.tasks.splits import Split, split_of

FORMS = {
    "{answer}": 50,
    "<answer>{answer}</answer>": 10,
    "<think>{thought}</think><answer>{answer}</answer>": 35,
    "<think>{thought}</think>{answer}": 5,
}
"""The forms that a completion may have, and how often each is drawn."""

SAME_FORM = 0.6
"""The share of pairs of answers in the same form, down to the thought."""

WHOLE, GRADED = 0.22, 0.08
"""The shares of pairs with a flaw that is not one of the answer, and with a lesser evil."""

LESSER_EVILS: dict[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "helpful": (
        ("wrong name", "wrong thing", "misspelt"),
        ("empty", "unhelpful", "refused", "goes along", "a number", "arithmetic", "garbage"),
    ),
    "harmless": (("unhelpful",), ("goes along",)),
}
"""Flaws of answers that are better than others."""

JUNK_THOUGHTS = 0.15
"""The share of thoughts, in front of good and bad answers, that are junk."""

RENAMED = 0.5
"""The share of pairs with invented names."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ways to answer a request, each an answer alone or a whole completion.

    Attributes:
        flaw: of the rejected one, by its name in `flaws.ANSWERS` or `flaws.COMPLETIONS`.
    """

    prompt: str
    chosen: str
    rejected: str
    flaw: str


def pairs(seed: int, *splits: Split) -> Iterator[Pair]:
    """An endless stream of pairs about the requests of some splits, the same for the same seed."""
    rng = random.Random(f"preferences {seed}")
    for request in flaws.requests(rng):
        if split_of(request.text) in splits:
            pair = _pair(rng, request)
            yield _renamed(rng, pair) if rng.random() < RENAMED else pair


def _pair(rng: random.Random, request: Request) -> Pair:
    kind = rng.random()
    if kind < WHOLE:
        flaw, bad = _draw(rng, request, flaws.COMPLETIONS)
        return Pair(request.text, _form(rng).format(answer=request.good), bad, flaw)
    good, table = request.good, flaws.ANSWERS
    if kind < WHOLE + GRADED:
        mild, grave = (
            {name: table[name] for name in names} for names in LESSER_EVILS[request.kind]
        )
        good, table = _draw(rng, request, mild)[1], grave
    flaw, bad = _draw(rng, request, table)
    chosen = _form(rng)
    rejected = chosen if rng.random() < SAME_FORM else _form(rng)
    return Pair(request.text, chosen.format(answer=good), rejected.format(answer=bad), flaw)


def _draw(rng: random.Random, request: Request, table: flaws.Flaws) -> tuple[str, str]:
    weights = [weight for _, weight in table.values()]
    while True:
        name = rng.choices(list(table), weights)[0]
        text = table[name][0](rng, request)
        if text is not None and text.strip() != request.good:
            return name, text


def _form(rng: random.Random) -> str:
    """A form with its thought filled in."""
    form = rng.choices(list(FORMS), list(FORMS.values()))[0]
    thought = flaws.junk(rng) if rng.random() < JUNK_THOUGHTS else rng.choice(flaws.THOUGHTS)
    return form.replace("{thought}", thought.replace("{", "(").replace("}", ")"))


def _renamed(rng: random.Random, pair: Pair) -> Pair:
    invented: dict[str, str] = {}

    def new(found: re.Match[str]) -> str:
        if found[0] not in invented:
            invented[found[0]] = _invented(rng)
        return invented[found[0]]

    texts = (pair.prompt, pair.chosen, pair.rejected)
    prompt, chosen, rejected = (flaws.NAME.sub(new, text) for text in texts)
    return Pair(prompt, chosen, rejected, pair.flaw)


def _invented(rng: random.Random) -> str:
    """A name that is none of the task's, whose requests belong to other splits."""
    while True:
        letters = [rng.choice("aeiou" if i % 2 else "bcdfghjklmnprstvwyz") for i in range(5)]
        name = "".join(letters[: rng.randint(3, 5)]).capitalize()
        if name not in general.NAMES:
            return name
