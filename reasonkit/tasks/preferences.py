"""Preference pairs about everyday requests: what a judge of answers learns from.

In most pairs one answer has a flaw that the other lacks, and both stand in one of the forms that a
completion may have, from the bare answer to a thought and an answer in tags. So the form by itself
tells nothing. In the rest the completion as a whole is flawed: a thought that goes along with
harm, one that is empty or junk, tags that don't close, a second answer. The flaws are those that a
policy stumbles on: parts of a good answer, repetition, what answers another request. Leaves out
finer taste: of two faultless answers neither is preferred.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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

FORMS = (
    ("{answer}", 40),
    ("<answer>{answer}</answer>", 15),
    ("<think>{thought}</think><answer>{answer}</answer>", 35),
    ("<think>{thought}</think>{answer}", 10),
)
"""The forms that a completion may have, and how often each is drawn."""

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
AGREES = ("Sure.", "Of course.", "Good idea.", "Yes, let's do it.", "I'll help you with that.")

WHOLE = 0.3
"""The share of pairs in which the flaw is not one of the answer."""

LESSER_EVIL = 0.1
"""The share of pairs about a request for harm in which neither completion is good."""

IN_ODD_COMPANY = 0.15
"""The share of thoughts, in front of any answer, that are junk."""

_NAME = re.compile(rf"\b(?:{'|'.join(general.NAMES)})\b")

Flawed = Callable[[random.Random, Request], str | None]
"""Draws a flawed text for a request; None where the flaw doesn't apply."""

Table = dict[str, tuple[Flawed, int]]
"""What draws each flaw, by its name, and how often: the finer a flaw, the more often."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ways to answer a request.

    Attributes:
        prompt: the request.
        chosen: the better one, an answer alone or a whole completion.
        rejected: the worse one.
        flaw: what is wrong with that, by its name in `ANSWERS` or `COMPLETIONS`.
    """

    prompt: str
    chosen: str
    rejected: str
    flaw: str


def pairs(seed: int, split: Split) -> Iterator[Pair]:
    """An endless stream of pairs about the requests of a split, the same for the same seed."""
    rng = random.Random(f"preferences {split} {seed}")
    for request in _requests(rng):
        if split_of(request.text) == split:
            yield _pair(rng, request)


def _requests(rng: random.Random) -> Iterator[Request]:
    while True:
        yield general.draw(rng)


def _pair(rng: random.Random, request: Request) -> Pair:
    if request.kind == "harmless" and rng.random() < LESSER_EVIL:
        evils = (_form(rng, rng.choice(general.UNHELPFUL)), _harmful_thought(rng, request))
        return Pair(
            request.text, rng.choice(evils), _form(rng, _goes_along(rng, request)), "goes along"
        )
    if rng.random() < WHOLE:
        flaw, rejected = _draw(rng, request, COMPLETIONS)
        return Pair(request.text, _form(rng, request.good), rejected, flaw)
    flaw, bad = _draw(rng, request, ANSWERS)
    # Also a good answer in odd company is better than a bad one.
    chosen, rejected = (_form(rng, answer, IN_ODD_COMPANY) for answer in (request.good, bad))
    return Pair(request.text, chosen, rejected, flaw)


def _draw(rng: random.Random, request: Request, table: Table) -> tuple[str, str]:
    weights = [weight for _, weight in table.values()]
    while True:
        name = rng.choices(list(table), weights)[0]
        text = table[name][0](rng, request)
        if text is not None and text.strip() != request.good:
            return name, text


def _form(rng: random.Random, answer: str, junk: float = 0.0) -> str:
    form = rng.choices([form for form, _ in FORMS], [weight for _, weight in FORMS])[0]
    thought = _junk(rng) if rng.random() < junk else rng.choice(THOUGHTS)
    return form.format(thought=thought, answer=answer)


def _other(rng: random.Random, request: Request) -> Request:
    return next(other for other in _requests(rng) if other.good != request.good)


def _harmful(rng: random.Random) -> Request:
    return next(request for request in _requests(rng) if request.kind == "harmless")


def _number(rng: random.Random, request: Request) -> str:
    forms = ("{}", "The answer is {}.", "A: {}", "#### {}")
    return rng.choice(forms).format(rng.randint(0, 99))


def _chain(rng: random.Random, request: Request) -> str:
    stages = arithmetic.work_out(arithmetic.draw(rng)[0])
    assert stages is not None
    return "=".join(map(arithmetic.render, stages))


def _garbage(rng: random.Random, request: Request) -> str:
    letters = string.ascii_lowercase + " " * 5 if rng.random() < 0.5 else string.printable[:95]
    drawn = "".join(rng.choices(letters, k=rng.randint(1, 40)))
    return rng.choice((drawn, "".join(rng.sample(request.good, len(request.good)))))


def _repeated(rng: random.Random, request: Request) -> str:
    part = rng.choice((request.good, request.good, *request.good.split(), rng.choice(request.good)))
    return rng.choice(("", " ", "\n")).join([part] * rng.randint(2, max(3, 100 // len(part))))


def _junk(rng: random.Random) -> str:
    return rng.choice((_chain, _garbage, _repeated, _number))(rng, general.draw(rng)) or ""


def _name(rng: random.Random, request: Request) -> str | None:
    found = _NAME.search(request.text)
    return found and found[0] + rng.choice(("", "!", ".", "?"))


def _wrong_name(rng: random.Random, request: Request) -> str | None:
    found = _NAME.search(request.good)
    return found and request.good.replace(found[0], rng.choice(general.NAMES))


def _wrong_thing(rng: random.Random, request: Request) -> str | None:
    for things in (general.DAYS, general.THINGS, general.EVENTS):
        for thing in things:
            if thing in request.good:
                return request.good.replace(thing, rng.choice(things))
    return None


def _cut(rng: random.Random, request: Request) -> str:
    place = rng.randint(1, len(request.good) - 2)
    return request.good[:place] if rng.random() < 0.7 else request.good[place:]


def _misspelt(rng: random.Random, request: Request) -> str:
    place = rng.choice([i for i, c in enumerate(request.good) if c.isalpha()])
    letter = rng.choice(string.ascii_lowercase)
    instead = rng.choice(("", letter, request.good[place] + letter))
    return request.good[:place] + instead + request.good[place + 1 :]


def _beside(rng: random.Random, request: Request) -> str:
    more = rng.choice((request.good, _other(rng, request).good, request.bad, _junk(rng)))
    both = [request.good, more]
    rng.shuffle(both)
    return rng.choice((" ", "\n", " or ", "")).join(both)


def _tagged(rng: random.Random, request: Request) -> str:
    place = rng.choice((0, len(request.good), rng.randint(0, len(request.good))))
    return request.good[:place] + rng.choice(TAGS) + request.good[place:]


def _goes_along(rng: random.Random, request: Request) -> str:
    harm = request if request.kind == "harmless" else _harmful(rng)
    return rng.choice((harm.bad, harm.bad, rng.choice(AGREES), f"{rng.choice(AGREES)} {harm.bad}"))


ANSWERS: Table = {
    "empty": (lambda rng, request: rng.choice(("", "", " ", ".", "...", "!", "?", "-")), 1),
    "unhelpful": (lambda rng, request: rng.choice(general.UNHELPFUL), 2),
    "refused": (lambda rng, request: general.DECLINED, 2),
    "goes along": (_goes_along, 3),
    "to another request": (lambda rng, request: _other(rng, request).good, 4),
    "wrong name": (_wrong_name, 8),
    "wrong thing": (_wrong_thing, 5),
    "name alone": (_name, 1),
    "part of it": (_cut, 2),
    "misspelt": (_misspelt, 5),
    "repeated": (_repeated, 1),
    "with another": (_beside, 2),
    "with a tag": (_tagged, 3),
    "the request": (lambda rng, request: request.text + rng.choice(("", " " + request.good)), 1),
    "a number": (_number, 1),
    "arithmetic": (_chain, 1),
    "garbage": (_garbage, 1),
}
"""What an answer may be instead of good."""


def _harmful_thought(rng: random.Random, request: Request) -> str:
    return f"<think>{_goes_along(rng, request)}</think><answer>{request.good}</answer>"


def _empty_thought(rng: random.Random, request: Request) -> str:
    thought = rng.choice(("", "", " ", ".", "\n"))
    return f"<think>{thought}</think><answer>{request.good}</answer>"


def _junk_thought(rng: random.Random, request: Request) -> str:
    return f"<think>{_junk(rng)}</think><answer>{request.good}</answer>"


def _broken(rng: random.Random, request: Request) -> str:
    whole = ["<think>", rng.choice(THOUGHTS), "</think>", "<answer>", request.good, "</answer>"]
    if rng.random() < 0.5:
        return "".join(whole[: rng.randint(1, 5)])
    del whole[rng.choice((0, 2, 3, 5))]
    return "".join(whole)


def _twice(rng: random.Random, request: Request) -> str:
    more = rng.choice((request.good, _other(rng, request).good, request.bad, _junk(rng)))
    both = [f"<answer>{request.good}</answer>", rng.choice(("{}", "<answer>{}</answer>"))]
    both[1] = both[1].format(more)
    rng.shuffle(both)
    thought = rng.choice(("", f"<think>{rng.choice(THOUGHTS)}</think>"))
    return thought + rng.choice(("", " ", "\n")).join(both)


def _thought_last(rng: random.Random, request: Request) -> str:
    return f"<answer>{request.good}</answer><think>{rng.choice(THOUGHTS)}</think>"


def _all_again(rng: random.Random, request: Request) -> str:
    form = FORMS[2][0].format(thought=rng.choice(THOUGHTS), answer=request.good)
    return form * rng.randint(2, 3)


COMPLETIONS: Table = {
    "thought goes along": (_harmful_thought, 4),
    "thought empty": (_empty_thought, 2),
    "thought junk": (_junk_thought, 3),
    "tags broken": (_broken, 4),
    "answered twice": (_twice, 3),
    "thought last": (_thought_last, 1),
    "all of it again": (_all_again, 1),
}
"""What may be wrong with a completion whose answer is good."""
