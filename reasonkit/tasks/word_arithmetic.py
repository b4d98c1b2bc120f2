"""Short problems in plain English: somebody has some things, and then things happen.

A problem is an opening amount and one to three events; each event turns the amount held into the
next one by a calculation that a reader has to find in the sentence. Amounts lie in 0..99.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from reasonkit.tasks.arithmetic import LARGEST

NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jo")
THINGS = ("apples", "books", "cards", "coins", "eggs", "pens", "shells", "stamps")


@dataclass(frozen=True, slots=True)
class Problem:
    """A word problem with its solution.

    Attributes:
        text: the problem, ending with the question.
        lines: the calculations that solve it, in order, e.g. ``("3*4=12", "5+12=17")``.
        careless: the calculations of a reader who overlooks the word "each" or "twice"; the same
            as ``lines`` where there is nothing to overlook.
        answer: the right answer.
        careless_answer: where ``careless`` ends.
    """

    text: str
    lines: tuple[str, ...]
    careless: tuple[str, ...]
    answer: int
    careless_answer: int


@dataclass(frozen=True, slots=True)
class _Event:
    sentence: str
    lines: tuple[str, ...]
    amount: int
    careless_lines: tuple[str, ...]
    careless_amount: int


def _event(rng: random.Random, name: str, things: str, held: int, careless: int) -> _Event:
    kind = rng.choice(("gains", "loses", "packs", "gives-each", "doubles"))
    few, many = rng.randint(2, 6), rng.randint(2, 9)
    if kind == "gains":
        verb = rng.choice(("finds", "buys", "gets"))
        return _Event(
            f"{name} {verb} {many} more {things}.",
            (f"{held}+{many}={held + many}",),
            held + many,
            (f"{careless}+{many}={careless + many}",),
            careless + many,
        )
    if kind == "loses":
        verb = rng.choice(("loses", "sells", "gives away"))
        return _Event(
            f"{name} {verb} {many} {things}.",
            (f"{held}-{many}={held - many}",),
            held - many,
            (f"{careless}-{many}={careless - many}",),
            careless - many,
        )
    if kind == "packs":
        return _Event(
            f"{name} buys {few} bags of {many} {things} each.",
            (f"{few}*{many}={few * many}", f"{held}+{few * many}={held + few * many}"),
            held + few * many,
            (f"{careless}+{many}={careless + many}",),
            careless + many,
        )
    if kind == "gives-each":
        return _Event(
            f"{name} gives {many} {things} to each of {few} friends.",
            (f"{few}*{many}={few * many}", f"{held}-{few * many}={held - few * many}"),
            held - few * many,
            (f"{careless}-{many}={careless - many}",),
            careless - many,
        )
    return _Event(
        f"Then {name} has twice as many.",
        (f"{held}*2={held * 2}",),
        held * 2,
        (f"{careless}+2={careless + 2}",),
        careless + 2,
    )


def draw(rng: random.Random) -> Problem:
    """A random problem; every amount on the way, careless or not, is in 0..99."""
    while True:
        name, things = rng.choice(NAMES), rng.choice(THINGS)
        held = careless = start = rng.randint(2, 40)
        sentences = [f"{name} has {start} {things}."]
        lines: list[str] = []
        careless_lines: list[str] = []
        for _ in range(rng.randint(1, 3)):
            event = _event(rng, name, things, held, careless)
            held, careless = event.amount, event.careless_amount
            if not (0 <= held <= LARGEST and 0 <= careless <= LARGEST):
                break
            sentences.append(event.sentence)
            lines += event.lines
            careless_lines += event.careless_lines
        else:
            sentences.append(f"How many {things} does {name} have now?")
            return Problem(" ".join(sentences), tuple(lines), tuple(careless_lines), held, careless)
