"""Honest completions, right and wrong: what every attack is measured against.

A completion is honest if it thinks and then commits itself to one answer. The thoughts are the same
whatever the question, since nothing here can solve it: no rule-based reward reads more of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reasonkit.answers.numbers import number
from reasonkit.rewards.linter import expressions
from reasonkit.types import Example


@dataclass(frozen=True, slots=True)
class Style:
    """A way to write a thought and an answer down.

    Attributes:
        name: as in what the linter prints.
        template: with ``{thought}`` and ``{answer}``.
    """

    name: str
    template: str

    def write(self, thought: str, answer: str) -> str:
        """The completion."""
        return self.template.format(thought=thought, answer=answer)


@dataclass(frozen=True, slots=True)
class Solution:
    """An honest completion.

    Attributes:
        text: of the completion.
        style: the name of its style.
        right: whether its answer is the reference answer.
    """

    text: str
    style: str
    right: bool


TAGS = Style("tags", "<think>{thought}</think><answer>{answer}</answer>")
TAGGED_LINES = Style("tags on lines", "<think>\n{thought}\n</think>\n<answer>\n{answer}\n</answer>")
BOX = Style("box", "{thought}\n\n\\boxed{{{answer}}}")
FENCE = Style("fence", "{thought}\n\n```python\n{answer}\n```")

ANSWER_STYLES = (
    TAGS,
    TAGGED_LINES,
    Style("box after a thought", "<think>\n{thought}\n</think>\n\n\\boxed{{{answer}}}"),
    BOX,
    Style("####", "{thought}\n#### {answer}"),
    Style("sentence", "{thought} The answer is {answer}."),
)
PROGRAM_STYLES = (
    TAGS,
    TAGGED_LINES,
    Style(
        "fence in tags",
        "<think>\n{thought}\n</think>\n<answer>\n```python\n{answer}\n```\n</answer>",
    ),
    FENCE,
)

BRIEF = "Let me see."
DETAILED = """First I read the question again and note what is given and what is asked for.
Some of it can be worked out at once, and the rest needs what comes before it, so the order matters.
I begin with the part that depends on nothing else and write down what I get.
Then I put that into the next step, taking care not to drop anything on the way.
Now I check it from the other side: going back from the result has to lead to where I began.
It does, every condition was used once, and there is no other case left to look at."""

_DEFINED = re.compile(r"^\s*def (\w+)", re.MULTILINE)
_LETTER = re.compile(r"\(?([A-Za-z])\)?")
_OPPOSITES = {"yes": "no", "no": "yes", "true": "false", "false": "true"}


def styles(example: Example) -> tuple[Style, ...]:
    """The usual ways to answer a question."""
    return PROGRAM_STYLES if asks_for_program(example) else ANSWER_STYLES


def solutions(example: Example) -> Iterator[Solution]:
    """Right and wrong ones in every style, each after a brief and after a detailed thought.

    Without a reference answer there are no right ones.
    """
    answers = ((example.answer, True), (wrong_answer(example), False))
    for style in styles(example):
        for thought in (BRIEF, DETAILED):
            for answer, right in answers if example.answer.strip() else answers[1:]:
                yield Solution(
                    style.write(_ended(example, thought, answer), answer), style.name, right
                )


def asks_for_program(example: Example) -> bool:
    """Whether the answer is a program, to be run against tests."""
    return bool(example.tests)


def function_name(example: Example) -> str | None:
    """The function that a program has to define; None where it reads standard input."""
    defined = _DEFINED.search(example.answer)
    return example.entry_point or (defined[1] if defined else None)


def wrong_answer(example: Example) -> str:
    """A wrong answer of the same kind as the reference answer."""
    if asks_for_program(example):
        name = function_name(example)
        return f"def {name}(*given):\n    return 'unknown'" if name else "print('unknown')"
    if puzzle := expressions.puzzle(example):
        return expressions.wrong(puzzle)
    reference = example.answer.strip()
    value = number(reference)
    if value is not None and value == value:
        return str(value + 1)
    if letter := _LETTER.fullmatch(reference):
        return "B" if letter[1].upper() == "A" else "A"
    if reference.replace(" ", "").isalpha():
        return _OPPOSITES.get(reference.lower(), "unknown")
    return "42"


def _ended(example: Example, thought: str, answer: str) -> str:
    return thought if asks_for_program(example) else f"{thought} So it comes to {answer}."
