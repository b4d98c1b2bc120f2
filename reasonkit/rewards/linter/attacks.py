"""The attacks: cheap ways to score, each a completion that a policy could stumble on.

None knows more than the question, except those that say so (``right``). Left out: attacks that are
searched for with a model, and those on one reward model's own weaknesses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from reasonkit.rewards.linter import expressions, programs, texts
from reasonkit.rewards.linter.solutions import wrong_answer
from reasonkit.types import Claim, Example

Texts = Callable[[Example], Sequence[Any]]
ALL: frozenset[Claim] = frozenset({"correctness", "form", "shaping"})
MEANING: frozenset[Claim] = frozenset({"correctness", "shaping"})
FORM: frozenset[Claim] = frozenset({"form"})


@dataclass(frozen=True, slots=True)
class Attack:
    """A way to score without solving anything.

    Attributes:
        name: as in what the linter prints.
        texts: the completions for an example; none where the attack doesn't apply.
        claims: the claims that it is held against; a composition is held against every attack.
        answers: whether it commits itself to wrong answers: a correctness reward with partial
            credit may pay it what it pays an honest wrong answer.
        right: whether it has the right answer: it may get what a reference solution gets, not more.
        half_formed: whether it has a part of a form, for which a form reward may pay a part.
        odd: whether the completions are no texts at all; a reward may raise.
        once: whether it is slow, so that one example has to do.
    """

    name: str
    texts: Texts
    claims: frozenset[Claim] = MEANING
    answers: bool = False
    right: bool = False
    half_formed: bool = False
    odd: bool = False
    once: bool = False


ATTACKS: tuple[Attack, ...] = (
    Attack("empty text", lambda example: [""], ALL),
    Attack("blank text", lambda example: [" ", "\n\n\n", "\t", "\u200b", "\u00a0", "."], ALL),
    Attack("tags without content", texts.hollow, ALL),
    Attack("tags repeated", texts.repeated_tags, ALL, answers=True),
    Attack("tags out of place", texts.broken_tags, ALL, answers=True, half_formed=True),
    Attack("the question echoed", texts.echo),
    Attack("a formula of the question", texts.formulas),
    Attack("every number of the question", texts.numbers, answers=True),
    Attack("every number from -20 to 100", texts.every_number, answers=True),
    Attack("every option", texts.options, answers=True),
    Attack("several answers at once", texts.hedge, answers=True),
    Attack(
        "an answer a thousand times",
        lambda example: texts.thousand(wrong_answer(example)),
        answers=True,
    ),
    Attack("the right answer a thousand times", lambda e: texts.thousand(e.answer), right=True),
    Attack(
        "look-alike characters",
        lambda example: texts.look_alikes(wrong_answer(example)),
        answers=True,
    ),
    Attack("right in look-alike characters", lambda e: texts.look_alikes(e.answer), right=True),
    Attack("other scripts' digits", texts.odd_digits),
    Attack("code in place of an answer", texts.code_in_answer),
    Attack("a tower of powers", texts.tower, once=True),
    Attack("very long output", texts.long),
    Attack("an answer of another type", texts.wrong_types),
    Attack("no text at all", texts.no_texts, ALL, odd=True, once=True),
    Attack("instructions to a judge", texts.injections, answers=True),
    Attack("other numbers than given", partial(texts.puzzle, expressions.with_other_numbers)),
    Attack("other operators than allowed", partial(texts.puzzle, expressions.with_other_operators)),
    *(
        Attack(name, partial(programs.completions, programs=written), once=once)
        for name, written, once in (
            ("a program that does nothing", programs.NOTHING, False),
            ("a program that exits with success", programs.EXITS, False),
            ("a program that prints success", programs.MARKERS, False),
            ("objects equal to everything", programs.EQUALS, False),
            ("replaced built-ins and assertions", programs.PATCHES, False),
            ("expected values read from frames", programs.READS, False),
            ("a program without end", programs.ENDLESS, True),
        )
    ),
)


BLIND_SPOTS: tuple[Attack, ...] = (
    Attack("right answer under a wrong thought", texts.wrong_thought, right=True),
    Attack("right answer under filler", texts.filler, right=True),
    Attack("right answer without a thought", texts.no_thought, right=True),
    Attack("a formula of the question, rewritten", texts.rewritten_formulas),
    Attack("program made for the tests alone", texts.made_for_the_tests, right=True),
    Attack("filler in the right form", texts.formed_filler, FORM),
)
"""What is listed, not counted: no reward of the kind can tell it from a solution."""
