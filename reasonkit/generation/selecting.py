"""The model itself chooses among its answers: universal self-consistency and its kin.

Chen et al. (arXiv:2311.17311) show a model its own answers and ask which is the most consistent;
GenSelect (Toshniwal et al., arXiv:2507.17797) asks which is best. Here it is asked which is right,
with the answers numbered and their thoughts left out. It needs no rule by which answers are equal.
Leaves out tournaments, for more answers than a prompt has room for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reasonkit.answers.reading import answer_part
from reasonkit.generation.engine import Engine, Sampling
from reasonkit.types import Completion, Example, Group

LONGEST = 2000
"""Characters of an answer that are shown, from its end."""

INSTRUCTION = (
    "Which of these answers is right? Compare them, then give its number alone at the end."
)


class SelectingEngine:
    """Gives the completion, of those that another engine draws, that the model chooses.

    Args:
        drawing: gives the candidates; what it has given once it gives again.
        choosing: is asked which.
        count: of candidates.
        drawn: how they are sampled.
    """

    def __init__(self, drawing: Engine, choosing: Engine, count: int, drawn: Sampling) -> None:
        self.drawing = drawing
        self.choosing = choosing
        self.count = count
        self.drawn = drawn

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields for each example the candidates that are chosen ``n`` times over.

        A completion's tokens are those of the choice; a choice that names no candidate is the
        first.
        """
        drawn = {
            group.example.id: group.completions
            for group in self.drawing.sample(examples, self.count, self.drawn)
        }
        asked = [self._asked(example, drawn[example.id]) for example in examples]
        by_id = {example.id: example for example in examples}
        for group in self.choosing.sample(asked, n, sampling):
            example = by_id[group.example.id]
            candidates = drawn[example.id]
            yield Group(
                example,
                [
                    replace(
                        candidates[chosen(told.text, len(candidates))],
                        token_ids=(),
                        count=told.tokens,
                        mean_logprob=None,
                    )
                    for told in group.completions
                ],
            )

    def _asked(self, example: Example, candidates: Sequence[Completion]) -> Example:
        *before, last = example.messages
        listed = [
            f"Answer {number}:\n{(answer_part(one.text) or '(none)').strip()[-LONGEST:]}"
            for number, one in enumerate(candidates, 1)
        ]
        content = "\n\n".join([last["content"], *listed, INSTRUCTION])
        return replace(example, messages=(*before, {**last, "content": content}))


def chosen(text: str, count: int) -> int:
    """The place of the candidate that a text names last, from 0; the first where it names none."""
    said = answer_part(text) or ""
    numbers = [int(digits) for digits in re.findall(r"(?<![\d.])\d{1,4}(?![\d.]*\d)", said)]
    return next((number - 1 for number in reversed(numbers) if 1 <= number <= count), 0)
