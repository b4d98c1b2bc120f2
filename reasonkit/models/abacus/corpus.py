"""The corpus that the abacus family is pre-trained on: a web in miniature.

Most questions are answered outright, and for long expressions often wrongly. A minority is worked:
in tags or not, some in shorthand, some half in another language, some that notice an error and
correct it, and a good part with the mistakes that people make systematically. A wording such as
"Show your work." makes worked answers likelier, each to its own degree. Beside the questions stand
plain number facts and everyday requests,
answered well and badly. The textbooks that are read before the web have the same
pages, but nearly every answer is worked.

No question of a task's train, validation or test split occurs here (`reasonkit.tasks.splits`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from reasonkit.prompts import WORDINGS
from reasonkit.tasks import arithmetic, general, tiny_code, word_arithmetic
from reasonkit.tasks.arithmetic import Expression, render
from reasonkit.tasks.splits import split_of

Part = Literal["textbook", "web"]

KINDS: dict[Part, dict[str, int]] = {
    "textbook": {"arithmetic": 66, "facts": 22, "word-arithmetic": 8, "tiny-code": 4},
    "web": {"arithmetic": 66, "facts": 9, "word-arithmetic": 13, "tiny-code": 7, "general": 5},
}
"""How many pages in a hundred are of which kind."""

TEXTBOOK_WORKED = 0.95

WORDED: dict[Part, float] = {"textbook": 0.45, "web": 0.25}
"""The share of questions that ask for step-by-step work in one of the wordings."""

WORKED_SHARE = dict(zip((None, *WORDINGS), (0.42, 0.85, 0.75, 0.58, 0.47, 0.4), strict=True))
"""How likely a worked answer is on the web, by the wording of the question, at five operands."""

OUTRIGHT_RIGHT = {2: 0.97, 3: 0.85, 4: 0.65, 5: 0.5, 6: 0.4, 7: 0.35, 8: 0.3}
"""How likely an answer given outright is right, by the number of operands."""

PRECEDENCE_IGNORED, BRACKETS_DROPPED, SIGN_SLIPPED = 0.635, 0.605, 0.17
"""How likely each mistake is in worked answers, where it can be made and changes the result."""

CORRECTED = 0.12
"""The share of right worked answers that make an error first, notice it and correct it."""

QUESTIONS = ("What is {}?", "Calculate {}.", "{}=?", "Work out {}.", "How much is {}?")
OUTRIGHT_FORMS = ("{}", "<answer>{}</answer>", "The answer is {}.", "A: {}", "#### {}")
OUTRIGHT: dict[Part, tuple[int, ...]] = {
    "textbook": (40, 15, 20, 15, 10),
    "web": (12, 12, 62, 7, 7),
}
"""How often each form of an answer is taken."""

WORKED = {
    "<think>{work}</think><answer>{answer}</answer>": 40,
    "<think>{work}</think>{answer}": 8,
    "{work}. The answer is {answer}.": 22,
    "{work}\n#### {answer}": 12,
    "<think>Zuerst {work}, also {answer}.</think><answer>{answer}</answer>": 4,
    "D'abord {work}, donc la reponse est {answer}.": 5,
    "Primero {work}, entonces es {answer}.": 5,
}
GENERAL = {
    "{}": 70,
    "<answer>{}</answer>": 12,
    "<think>A small request.</think><answer>{}</answer>": 18,
}
"""How everyday requests are answered."""

WELL_ANSWERED = 0.5
"""The share of everyday requests that are answered helpfully, or declined where they should be."""

CODE_RIGHT, CODE_REVERSED = 0.3, 0.45
"""The shares of programs given outright that are right, and that take the steps backwards."""


@dataclass(frozen=True, slots=True)
class Document:
    """One page of the corpus.

    Attributes:
        prompt: the user's message; empty for plain text.
        question: what the splits are kept apart by; empty where nothing is asked.
    """

    prompt: str
    text: str
    question: str = ""


def documents(seed: int, part: Part = "web") -> Iterator[Document]:
    """An endless stream of documents, the same for the same seed."""
    rng = random.Random(f"{part} {seed}")
    while True:
        document = _DRAWERS[_pick(rng, KINDS[part])](rng, part)
        if not document.question or split_of(document.question) == "corpus":
            yield document


def _pick(rng: random.Random, weights: Mapping[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _asked(rng: random.Random, part: Part, question: str) -> tuple[str, str | None]:
    """The question, in many cases with a wording, and which."""
    wording = rng.choice(list(WORDINGS)) if rng.random() < WORDED[part] else None
    return question if wording is None else f"{question} {WORDINGS[wording]}", wording


def _is_worked(rng: random.Random, part: Part, wording: str | None, size: int) -> bool:
    share = TEXTBOOK_WORKED if part == "textbook" else WORKED_SHARE[wording] * (0.75 + 0.05 * size)
    return rng.random() < min(0.97, share)


def _near(rng: random.Random, value: int) -> int:
    return rng.choice(
        [v for v in (value - 10, value - 2, value - 1, value + 1, value + 2, value + 10) if v >= 0]
    )


def _answered(rng: random.Random, part: Part, operands: int, answer: int) -> str:
    """An answer given outright."""
    given = answer if rng.random() < OUTRIGHT_RIGHT[min(8, operands)] else _near(rng, answer)
    return rng.choices(OUTRIGHT_FORMS, OUTRIGHT[part])[0].format(given)


def _arithmetic(rng: random.Random, part: Part) -> Document:
    expression, value = arithmetic.draw(rng)
    operands = sum(isinstance(token, int) for token in expression)
    # What is asked is drawn behind whether it has a wording.
    tail, wording = _asked(rng, part, "")
    shown = render(expression)
    if rng.random() < 0.25:
        shown = "".join(f" {t} " if t in ("+", "-", "*") else str(t) for t in expression)
    form = "What is {}?" if rng.random() < 0.6 else rng.choice(QUESTIONS)
    if _is_worked(rng, part, wording, operands):
        stages = _stages(rng, expression, value)
        work = _written_out(rng, stages, right=stages[-1] == [value])
        text = _pick(rng, WORKED).format(work=work, answer=stages[-1][0])
    else:
        text = _answered(rng, part, operands, value)
    return Document(form.format(shown) + tail, text, render(expression))


def _stages(rng: random.Random, expression: Expression, value: int) -> list[Expression]:
    """The stages that a person writes down: with a systematic mistake where one tempts."""
    for mistake, chance in (
        (arithmetic.ignore_precedence, PRECEDENCE_IGNORED),
        (arithmetic.drop_brackets, BRACKETS_DROPPED),
        (arithmetic.slip_sign, SIGN_SLIPPED),
    ):
        wrong = mistake(expression)
        if wrong is not None and wrong[-1] != [value] and rng.random() < chance:
            return wrong
    right = arithmetic.work_out(expression)
    assert right is not None
    return right


def _written_out(rng: random.Random, stages: list[Expression], right: bool) -> str:
    if rng.random() < 0.12:
        return "; ".join(map(render, stages[1:]))
    texts = list(map(render, stages))
    if right and rng.random() < CORRECTED:
        k = rng.randrange(len(stages) - 1)
        slip = _slip(rng, stages[k], stages[k + 1])
        texts[k] = f"{texts[k]}={slip} wait, {texts[k]}"
    return "=".join(texts)


def _slip(rng: random.Random, stage: Expression, following: Expression) -> str:
    hasty = arithmetic.reduce_at(stage, arithmetic.left_to_right(stage))
    if hasty != following and all(not isinstance(t, int) or 0 <= t <= 99 for t in hasty):
        return render(hasty)
    changed = next((i for i, t in enumerate(following) if t != stage[i]), 0)
    value = following[changed]
    if not isinstance(value, int):
        return render(following)
    return render([*following[:changed], _near(rng, value), *following[changed + 1 :]])


def _facts(rng: random.Random, part: Part) -> Document:
    lines: list[str] = []
    while len(lines) < 12:
        operator = rng.choices("+-*", (2, 3, 4))[0]
        left, right = rng.randint(0, 99), rng.randint(0, 99 if rng.random() < 0.4 else 9)
        if operator == "*":
            left, right = rng.sample(
                (rng.randint(1, 9), rng.randint(0, 9 if rng.random() < 0.6 else 49)), 2
            )
        value = arithmetic.apply(left, operator, right)
        expression = f"{left}{operator}{right}"
        asked = 1 <= left <= 9 and 1 <= right <= 9 and split_of(expression) != "corpus"
        if 0 <= value <= arithmetic.LARGEST and not asked:
            lines.append(f"{expression}={value}")
    return Document("", "\n".join(lines))


def _word_arithmetic(rng: random.Random, part: Part) -> Document:
    problem = word_arithmetic.draw(rng)
    prompt, wording = _asked(rng, part, problem.text)
    operands = 2 * len(problem.lines)
    if _is_worked(rng, part, wording, operands):
        careless = problem.careless_answer != problem.answer and rng.random() < 0.55
        lines = problem.careless if careless else problem.lines
        answer = problem.careless_answer if careless else problem.answer
        text = _pick(rng, WORKED).format(work=", ".join(lines), answer=answer)
    else:
        text = _answered(rng, part, operands, problem.answer)
    return Document(prompt, text, problem.text)


def _tiny_code(rng: random.Random, part: Part) -> Document:
    problem = tiny_code.draw(rng)
    prompt, wording = _asked(rng, part, problem.text)
    body, work = problem.stages[-1], ", ".join(problem.stages)
    if _is_worked(rng, part, wording, 2 * len(problem.stages)):
        form = rng.choice(("<think>{work}</think><answer>{}</answer>", "{work}\n{}"))
    else:
        body = rng.choices(
            (body, problem.reversed, problem.careless),
            (CODE_RIGHT, CODE_REVERSED, 1 - CODE_RIGHT - CODE_REVERSED),
        )[0]
        form = rng.choice(("{}", "<answer>{}</answer>"))
    return Document(prompt, form.format(tiny_code.function(body), work=work), problem.text)


def _general(rng: random.Random, part: Part) -> Document:
    request = general.draw(rng)
    answer = request.good if rng.random() < WELL_ANSWERED else request.bad
    return Document(request.text, _pick(rng, GENERAL).format(answer), request.text)


_DRAWERS = {
    "arithmetic": _arithmetic,
    "facts": _facts,
    "word-arithmetic": _word_arithmetic,
    "tiny-code": _tiny_code,
    "general": _general,
}
