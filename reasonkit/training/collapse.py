"""Which validation was best, and whether the policy has collapsed since.

The rule: a validation is below the best if its accuracy is under the lower end of the best one's
95 % interval. Twice in a row is a collapse; once may be chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

IN_A_ROW = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands by its validations.

    Attributes:
        best_step: of the highest value (`judged`), the latest if several share it; None before the
            first.
        best: that value.
        low: lower end of its interval.
        below: how many of the newest validations in a row are below it.
    """

    best_step: int | None = None
    best: float = 0.0
    low: float = 0.0
    below: int = 0

    @property
    def collapsed(self) -> bool:
        """Whether the rule of this module is met."""
        return self.below >= IN_A_ROW

    def after(self, step: int, record: Mapping[str, Any]) -> Standing:
        """The standing once another validation is known."""
        accuracy, low = judged(record)
        if self.best_step is None or accuracy >= self.best:
            return Standing(step, accuracy, low)
        return Standing(
            self.best_step, self.best, self.low, self.below + 1 if accuracy < self.low else 0
        )


def standing(records: Iterable[Mapping[str, Any]]) -> Standing:
    """The standing by the records of ``metrics.jsonl``."""
    result = Standing()
    for record in records:
        if "validation" in record:
            result = result.after(int(record["step"]), record)
    return result


def judged(record: Mapping[str, Any]) -> tuple[float, float]:
    """What a validation is judged by, and the lower end of its interval.

    That is accuracy, or the score of those that take general prompts in.
    """
    name = "validation_score" if "validation_score" in record else "validation"
    return record[name], record[f"{name}_low"]
