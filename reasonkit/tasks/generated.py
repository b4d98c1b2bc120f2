"""The generated tasks: their settings, and their examples, distinct questions of one split.

Draws everyday chats too. A question belongs to the same split whatever the settings.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from reasonkit import console
from reasonkit.errors import RefusedError
from reasonkit.tasks import arithmetic, general, letter_count, settings, tiny_code, word_arithmetic
from reasonkit.tasks.splits import distinct, part_of
from reasonkit.types import Example, Message, Part

Drawn = tuple[str, tuple[str, dict[str, Any], str]]
"""What the splits are kept apart by, the question, what checks it, as in `Example`, and how it is
worked out; empty where the task doesn't tell."""


def _arithmetic(rng: random.Random, how: arithmetic.Settings) -> Drawn:
    expression, value = arithmetic.draw(rng, settings=how)
    text = arithmetic.render(expression)
    return text, (f"What is {text}?", {"answer": str(value)}, arithmetic.thought(expression))


def _word_arithmetic(rng: random.Random, how: word_arithmetic.Settings) -> Drawn:
    problem = word_arithmetic.draw(rng, how)
    worked = "\n".join(problem.lines)
    return problem.text, (problem.text, {"answer": str(problem.answer)}, worked)


def _letter_count(rng: random.Random, how: letter_count.Settings) -> Drawn:
    question, count, counted = letter_count.draw(rng, how)
    return question, (question, {"answer": str(count)}, counted)


def _tiny_code(rng: random.Random, how: tiny_code.Settings) -> Drawn:
    problem = tiny_code.draw(rng, how)
    checks = {
        "answer": tiny_code.function(problem.stages[-1]),
        "tests": tuple({"input": x, "output": value} for x, value in problem.tests),
        "entry_point": "f",
    }
    # Two wordings of one function belong to one split.
    return problem.text, (tiny_code.reworded(rng, problem), checks, "")


def _general(rng: random.Random, how: settings.NoSettings) -> Drawn:
    text = general.draw(rng).text
    return text, (text, {"answer": ""}, "")


@dataclass(frozen=True, slots=True)
class Generator:
    """How a task is drawn.

    Attributes:
        draw: an example, by the settings.
        settings: a dataclass of `reasonkit.tasks.settings.setting` fields.
        ladder: settings of growing difficulty, by which a model is profiled.
    """

    draw: Callable[[random.Random, Any], Drawn]
    settings: type = settings.NoSettings
    ladder: tuple[str, ...] = ()


GENERATORS = {
    "arithmetic": Generator(
        _arithmetic,
        arithmetic.Settings,
        (
            "operands=2",
            "operands=2,digits=2,operators=+",
            "operands=3,digits=2,operators=+-",
            "operands=2,digits=3,operators=+-",
            "",
        ),
    ),
    "word-arithmetic": Generator(
        _word_arithmetic, word_arithmetic.Settings, ("steps=1", "steps=2", "")
    ),
    "letter-count": Generator(
        _letter_count, letter_count.Settings, ("", "length=6-10", "hyphens=0")
    ),
    "tiny-code": Generator(_tiny_code, tiny_code.Settings, ("steps=2", "")),
    "general": Generator(_general),
}


def settled(task: str) -> tuple[str, Any]:
    """The name of ``NAME:KEY=VALUE,KEY=VALUE``, and the settings.

    Raises:
        RefusedError: for settings that the task doesn't have or that can't be.
    """
    name, _, text = task.partition(":")
    kind = GENERATORS[name].settings if name in GENERATORS else settings.NoSettings
    return name, settings.read(name, text, kind)


@cache
def draw(task: str, split: str, count: int) -> tuple[Example, ...]:
    """The first ``count`` examples of a split; more of them begin with the same ones.

    Where settings leave fewer distinct questions, all there are.

    Raises:
        RefusedError: as of `settled`.
        DataError: the split of a task as it is has not so many distinct questions, or there are
            none of these settings.
    """
    name, found = _drawn(task, split, count)
    return tuple(
        Example(f"{name}/{key}", task, ({"role": "user", "content": prompt},), **checks)
        for key, (prompt, checks, _) in found.items()
    )


def _drawn(
    task: str, split: str, count: int
) -> tuple[str, dict[str, tuple[str, dict[str, Any], str]]]:
    """The task's name, and by what keeps them apart the questions of `draw`."""
    name, how = settled(task)
    whole = settings.canonical(name, how)
    rng = random.Random(f"{whole} {split}")
    drawer = GENERATORS[name].draw
    found = distinct(task, split, count, lambda: drawer(rng, how), at_most=whole != name)
    if len(found) < count:
        console.warn_once(f"{task}: its {split} split has {len(found)} questions, not {count}")
    return name, found


def worked(task: str, count: int, thought: bool = True) -> list[dict[str, Any]]:
    """So many questions of train, each with a worked solution, as chats to be learned.

    They are of the half that reinforcement learning doesn't use where that is told to keep to its
    own (``--part rl``). More of them begin with the same ones.

    Args:
        thought: whether how it is worked out stands before the answer.

    Raises:
        RefusedError: as of `settled`; or the task doesn't tell how its questions are worked out.
        DataError: as of `draw`.
    """
    name, found = _drawn(task, "train", 2 * count + 50)
    if not all(said for _, _, said in found.values()):
        raise RefusedError(f"task {task!r} has no worked solutions: take another, or a teacher")
    rows: list[dict[str, Any]] = []
    for key, (prompt, checks, said) in found.items():
        if part_of(f"{name}/{key}") == Part.sft and len(rows) < count:
            answer = f"<answer>{checks['answer']}</answer>"
            if thought:
                answer = f"<think>{said}</think>\n{answer}"
            turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            rows.append({"messages": turns, **checks})
    return rows


def chats(count: int) -> list[list[Message]]:
    """So many everyday favours of the train split, each with a good answer, to be learned.

    They are of the half of that split that reinforcement learning doesn't use. What should be
    declined is not among them: that is left to preference. More of them begin with the same ones.

    Raises:
        DataError: there are not so many.
    """
    rng = random.Random("chats")

    def favour() -> tuple[str, str] | None:
        request = general.draw(rng)
        ours = part_of(f"general/{request.text}") == Part.sft and request.kind == "helpful"
        return (request.text, request.good) if ours else None

    return [
        [{"role": "user", "content": text}, {"role": "assistant", "content": good}]
        for text, good in distinct("general", "train", count, favour).items()
    ]
