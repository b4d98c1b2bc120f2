"""Honest completions, right and wrong: what every attack is measured against.

A completion is honest if it thinks and then commits itself to one answer. The thoughts are the same
whatever the question, since nothing here can solve it: no rule-based reward reads more of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reasonkit.answers.numbers import number
from reasonkit.rewards.linter import puzzles
from reasonkit.types import Example

TAGS = "<think>{thought}</think><answer>{answer}</answer>"
TAGGED_LINES = "<think>\n{thought}\n</think>\n<answer>\n{answer}\n</answer>"
FENCE = "{thought}\n\n```python\n{answer}\n```"
ANSWER_STYLES = {
    "tags": TAGS,
    "tags on lines": TAGGED_LINES,
    "box after a thought": "<think>\n{thought}\n</think>\n\n\\boxed{{{answer}}}",
    "box": "{thought}\n\n\\boxed{{{answer}}}",
    "####": "{thought}\n#### {answer}",
    "sentence": "{thought} The answer is {answer}.",
}
PROGRAM_STYLES = {
    "tags": TAGS,
    "tags on lines": TAGGED_LINES,
    "fence in tags": TAGGED_LINES.replace("{answer}", "```python\n{answer}\n```"),
    "fence": FENCE,
}
"""By name: the ways to write a thought and an answer down."""

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


def styles(example: Example) -> dict[str, str]:
    """The usual ways to answer a question, as templates by their names."""
    return PROGRAM_STYLES if asks_for_program(example) else ANSWER_STYLES


def committed(answer: str, thought: str = BRIEF) -> str:
    """An answer after a thought, in tags."""
    return TAGS.format(thought=thought, answer=answer)


def solutions(example: Example) -> Iterator[tuple[str, str, bool]]:
    """Style, text and whether it's right: in every style, after a brief and a detailed thought.

    Without a reference answer there are no right ones.
    """
    answers = [(example.answer, True), (wrong_answer(example), False)]
    for style, template in styles(example).items():
        for thought in (BRIEF, DETAILED):
            for answer, right in answers if example.answer.strip() else answers[1:]:
                ended = "" if asks_for_program(example) else f" So it comes to {answer}."
                yield style, template.format(thought=thought + ended, answer=answer), right


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
    if puzzle := puzzles.puzzle(example):
        return puzzles.wrong(puzzle)
    reference = example.answer.strip()
    value = number(reference)
    if value is not None and value == value:
        return str(value + 1)
    if letter := _LETTER.fullmatch(reference):
        return "B" if letter[1].upper() == "A" else "A"
    if reference.replace(" ", "").isalpha():
        return _OPPOSITES.get(reference.lower(), "unknown")
    return "42"
