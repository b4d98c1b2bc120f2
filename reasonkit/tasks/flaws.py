"""What may be wrong with the answer to an everyday request, or with a completion around it.

The flaws are those that a policy stumbles on: parts of a good answer, repetition, an answer to
another request, tags in the wrong places, numbers. Each is drawn for a request; what would be wrong
here is as often right elsewhere, so that the words of an answer alone tell nothing.
"""

from __future__ import annotations

import functools
import random
import re
import string
from collections.abc import Callable, Iterator
from itertools import islice

from reasonkit.answers.reading import TAGS
from reasonkit.tasks import arithmetic, general
from reasonkit.tasks.general import Request
from reasonkit.tasks.splits import Split, split_of

THOUGHTS = (
    "A small request.",
    "A kind word will do.",
    "What is asked for here?",
    "Let me think about what to say.",
    "I should be polite and brief.",
    "Would that do anybody harm?",
)
"""Thoughts that fit every request."""

AGREES = ("Sure.", "Of course.", "Good idea.", "Yes, let's do it.", "I'll help you with that.")
BLANKS = ("", "", " ", ".", "...", "!", "?", "-")
NUMBERS = ("{}", "The answer is {}.", "A: {}", "#### {}")
FRILLS = ("A: {}", "#### {}", "The answer is {}", '"{}"', "{}!!!", "- {}", "{} #", "well, {}")

NAME = re.compile(rf"\b(?:{'|'.join(general.NAMES)})\b")

DRAWS = 100_000
"""Requests that are drawn to find those of a split."""

Flaw = Callable[[random.Random, Request], str | None]
"""Draws a flawed text for a request; None where the flaw doesn't apply."""

Flaws = dict[str, tuple[Flaw, int]]
"""What draws each flaw, by its name, and how often: the finer a flaw, the more often."""


def requests(rng: random.Random) -> Iterator[Request]:
    """An endless stream of them."""
    while True:
        yield general.draw(rng)


@functools.cache
def known(split: Split) -> tuple[Request, ...]:
    """The requests of a split, each once."""
    drawn = islice(requests(random.Random(split)), DRAWS)
    distinct = {request.text: request for request in drawn if split_of(request.text) == split}
    return tuple(distinct.values())


def _elsewhere(
    rng: random.Random, request: Request, wanted: Callable[[Request], bool] = lambda other: True
) -> str | None:
    """The good answer to another request of the same split."""
    there = known(split_of(request.text))
    others = [other.good for other in there if wanted(other) and other.good != request.good]
    return rng.choice(others) if others else None


def _favour(request: Request) -> str | None:
    return request.text.split()[0] if request.kind == "helpful" else None


def _named(request: Request) -> str | None:
    found = NAME.search(request.text)
    return found and found[0]


def _pleasant(rng: random.Random, request: Request) -> str | None:
    """A good answer to a favour, where harm is asked for."""
    return None if _favour(request) else _elsewhere(rng, request, lambda o: o.kind == "helpful")


def _wrong_name(rng: random.Random, request: Request) -> str | None:
    favour = _favour(request)
    return favour and _elsewhere(rng, request, lambda other: _favour(other) == favour)


def _wrong_thing(rng: random.Random, request: Request) -> str | None:
    both = _favour(request), _named(request)
    return both[0] and _elsewhere(rng, request, lambda o: (_favour(o), _named(o)) == both)


def _goes_along(rng: random.Random, request: Request) -> str:
    others = known(split_of(request.text))
    harms = [request] if request.kind == "harmless" else [r for r in others if r.kind == "harmless"]
    bad, agreed = rng.choice(harms).bad, rng.choice(AGREES)
    return rng.choice((bad, bad, agreed, f"{agreed} {bad}"))


def _number(rng: random.Random, request: Request) -> str:
    return rng.choice(NUMBERS).format(rng.randint(0, 99))


def _chain(rng: random.Random, request: Request) -> str:
    stages = arithmetic.work_out(arithmetic.draw(rng)[0])
    assert stages is not None
    return "=".join(map(arithmetic.render, stages))


def _garbage(rng: random.Random, request: Request) -> str:
    letters = rng.choice((string.ascii_lowercase + " " * 5, string.printable[:95]))
    drawn = "".join(rng.choices(letters, k=rng.randint(1, 40)))
    return rng.choice((drawn, "".join(rng.sample(request.good, len(request.good)))))


def _repeated(rng: random.Random, request: Request) -> str:
    parts = (request.good, request.good, *request.good.split(), rng.choice(request.good))
    part = rng.choice(parts)
    return rng.choice(("", " ", "\n")).join([part] * rng.randint(2, max(3, 100 // len(part))))


def junk(rng: random.Random) -> str:
    """Numbers, arithmetic, garbage or repetition."""
    return rng.choice((_chain, _garbage, _repeated, _number))(rng, general.draw(rng))


def _cut(rng: random.Random, request: Request) -> str:
    place = rng.randint(1, len(request.good) - 1)
    return request.good[:place] if rng.random() < 0.7 else request.good[place:]


def _misspelt(rng: random.Random, request: Request) -> str:
    good = request.good
    place = rng.choice([i for i, c in enumerate(good[:-1]) if c.isalpha()])
    letter, other = good[place], rng.choice(string.ascii_lowercase)
    instead = rng.choice(("", other, letter + other, 2 * letter))
    swapped = good[:place] + good[place + 1] + letter + good[place + 2 :]
    return rng.choice((good[:place] + instead + good[place + 1 :],) * 4 + (swapped, good.lower()))


def _more(rng: random.Random, request: Request) -> str:
    return rng.choice((request.good, _elsewhere(rng, request) or "", request.bad, junk(rng)))


def _beside(rng: random.Random, request: Request) -> str:
    both = [request.good, _more(rng, request)]
    rng.shuffle(both)
    return rng.choice((" ", "\n", " or ", "")).join(both)


def _tagged(rng: random.Random, request: Request) -> str:
    place = rng.choice((0, len(request.good), rng.randint(0, len(request.good))))
    return request.good[:place] + rng.choice(TAGS) + request.good[place:]


ANSWERS: Flaws = {
    "empty": (lambda rng, r: rng.choice(BLANKS), 1),
    "unhelpful": (lambda rng, r: rng.choice(general.UNHELPFUL), 2),
    "refused": (lambda rng, r: general.DECLINED, 2),
    "goes along": (_goes_along, 3),
    "to another request": (_elsewhere, 4),
    "pleasant": (_pleasant, 6),
    "wrong name": (_wrong_name, 40),
    "wrong thing": (_wrong_thing, 15),
    "name alone": (
        lambda rng, r: (name := _named(r)) and name + rng.choice(("", "!", ".", "?")),
        1,
    ),
    "part of it": (_cut, 3),
    "misspelt": (_misspelt, 8),
    "with frills": (lambda rng, r: rng.choice(FRILLS).format(r.good), 2),
    "repeated": (_repeated, 1),
    "with another": (_beside, 2),
    "with a tag": (_tagged, 3),
    "the request": (lambda rng, r: r.text + rng.choice(("", " " + r.good)), 1),
    "a number": (_number, 1),
    "arithmetic": (_chain, 1),
    "garbage": (_garbage, 1),
}
"""What an answer may be instead of good."""


def _thought(thought: str, request: Request) -> str:
    return f"<think>{thought}</think><answer>{request.good}</answer>"


def _junk_thought(rng: random.Random, request: Request) -> str:
    again = rng.choice(THOUGHTS) * rng.randint(2, 6)
    return _thought(rng.choice((junk(rng), junk(rng), again)), request)


def _broken(rng: random.Random, request: Request) -> str:
    whole = ["<think>", rng.choice(THOUGHTS), "</think>", "<answer>", request.good, "</answer>"]
    if rng.random() < 0.5:
        return "".join(whole[: rng.randint(1, 5)])
    del whole[rng.choice((0, 2, 3, 5))]
    return "".join(whole)


def _twice(rng: random.Random, request: Request) -> str:
    more = rng.choice(("{}", "<answer>{}</answer>")).format(_more(rng, request))
    both = [f"<answer>{request.good}</answer>", more]
    rng.shuffle(both)
    thought = rng.choice(("", f"<think>{rng.choice(THOUGHTS)}</think>"))
    return thought + rng.choice(("", " ", "\n")).join(both)


COMPLETIONS: Flaws = {
    "thought goes along": (lambda rng, r: _thought(_goes_along(rng, r), r), 4),
    "thought empty": (lambda rng, r: _thought(rng.choice(BLANKS), r), 2),
    "thought junk": (_junk_thought, 3),
    "tags broken": (_broken, 4),
    "answered twice": (_twice, 3),
    "thought last": (
        lambda rng, r: f"<answer>{r.good}</answer><think>{rng.choice(THOUGHTS)}</think>",
        1,
    ),
    "all of it again": (lambda rng, r: _thought(rng.choice(THOUGHTS), r) * rng.randint(2, 3), 1),
}
"""What may be wrong with a completion whose answer is good."""
