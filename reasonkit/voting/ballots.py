"""The samples of one question as arrays: who voted for what, how surely, at what price."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reasonkit.answers import group_equal
from reasonkit.generation.watching import group_confidences
from reasonkit.judging import is_undone, judge_group
from reasonkit.types import Completion, Example, Group
from reasonkit.voting.behaviour import behaviours

BLANK = -1
"""The class of a completion without a final answer; it is no vote."""

WINDOW = 2048
"""Tokens whose confidence is looked at together (Fu et al., arXiv:2508.15260, section 4)."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ballots:
    """n samples of one question, in the order in which they were drawn.

    Attributes:
        classes: (n,) the class of each answer. Equal answers share a class, numbered in the order
            of first appearance; `BLANK` where there is no answer.
        tokens: (n,) length of each completion.
        confidence: (n,) exp of the mean log-probability of a completion's tokens, in 0..1; NaN
            where the engine can't tell.
        scores: (n,) what a reward, a verifier or a reward model gave, NaN where there is no
            verdict; the confidence where none was asked.
        steady: (n,) how sure the model was where it was least sure (`steadiness`), in nats; NaN
            where the engine can't tell.
        certainty: (n,) as of `reasonkit.types.Completion`; NaN where the engine can't tell.
        answers: the answer of each class, as it was written first.
        right: whether that is the reference answer, or a program that passes the tests; False
            throughout where there is neither.
    """

    classes: Ints
    tokens: Ints
    confidence: Floats
    scores: Floats
    steady: Floats
    certainty: Floats
    answers: tuple[str, ...]
    right: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each sample's answer is right; a blank one is not."""
        return is_right(self.classes, self.right)

    @property
    def votes(self) -> Ints:
        """(classes,) the votes of each."""
        return np.bincount(self.classes[self.classes != BLANK], minlength=len(self.answers))

    def first(self, k: int) -> Ballots:
        """The first ``k`` samples. Classes keep their numbers."""
        return self.taken(np.arange(min(k, len(self))))

    def taken(self, places: Ints) -> Ballots:
        """The samples at these places, in this order. Classes keep their numbers."""
        return replace(
            self,
            classes=self.classes[places],
            tokens=self.tokens[places],
            confidence=self.confidence[places],
            scores=self.scores[places],
            steady=self.steady[places],
            certainty=self.certainty[places],
        )


def cast(
    group: Group, scores: Sequence[float | None] | None = None, window: int = WINDOW
) -> Ballots:
    """The ballots of a group.

    Args:
        scores: one a completion; its confidence where None.
        window: as of `steadiness`.

    Raises:
        ReasonkitError: as `reasonkit.judging.judge_group`.
    """
    judged = judge_group(group)
    extracted = [one.extracted for one in judged]
    classes = _classes(extracted, group.example)
    spoke = [classes.index(number) for number in range(max(classes, default=BLANK) + 1)]
    sure = [confidence(completion) for completion in group.completions]
    return Ballots(
        classes=np.array(classes, dtype=np.int64),
        tokens=np.array([completion.tokens for completion in group.completions], dtype=np.int64),
        confidence=_floats(sure),
        scores=_floats(sure if scores is None else scores),
        steady=_floats([steadiness(one.confidences, window) for one in group.completions]),
        certainty=_floats([one.certainty for one in group.completions]),
        answers=tuple(extracted[place] or "" for place in spoke),
        right=tuple(judged[place].right is True for place in spoke),
    )


def _classes(extracted: Sequence[str | None], example: Example) -> list[int]:
    """The class of each answer.

    A calculation that was left undone and a formula out of the question are equal to the same text
    only: no other answer has their verdict.
    """
    keys: list[Hashable]
    if example.tests:
        keys = [*behaviours(example, extracted)]
    else:
        alone = [answer is None or is_undone(answer, example) for answer in extracted]
        pairs = list(zip(extracted, alone, strict=True))
        equal = iter(group_equal([answer or "" for answer, apart in pairs if not apart]))
        keys = [answer if apart else next(equal) for answer, apart in pairs]
    numbers: dict[Hashable, int] = {None: BLANK}
    return [numbers.setdefault(key, len(numbers) - 1) for key in keys]


def confidence(completion: Completion) -> float | None:
    """The geometric mean of a completion's token probabilities; None where they aren't known.

    Normalised by length, as the weighted sum of Wang et al. (arXiv:2203.11171, section 3.1) needs.
    """
    known = completion.mean_logprob
    return None if known is None else float(np.exp(known))


def steadiness(confidences: Sequence[float], window: int = WINDOW) -> float | None:
    """The mean confidence of the least sure tenth of a completion's windows.

    DeepConf's bottom-10% group confidence (Fu et al., arXiv:2508.15260, equations 3 and 4): windows
    of so many tokens overlap, and one begins at every token. A completion that is shorter is one
    window. None without confidences.
    """
    if not confidences:
        return None
    means = np.sort(group_confidences(confidences, window))
    return float(means[: max(1, len(means) // 10)].mean())


def is_right(classes: Ints, right: Sequence[bool]) -> npt.NDArray[np.bool_]:
    """Whether each of these classes is the reference answer; a blank one is not."""
    # The place after the last class is where BLANK, -1, points to.
    return np.array([*right, False])[classes]


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
