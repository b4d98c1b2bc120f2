"""Rewards thinking before answering, in tags (DeepSeek-R1, arXiv:2501.12948, section 2.2.2)."""

from __future__ import annotations

from reasonkit.answers.reading import is_well_formed
from reasonkit.types import Group


def score(group: Group) -> list[float | None]:
    """1.0 for each completion that `reasonkit.answers.reading.is_well_formed` accepts, else 0.0."""
    return [float(is_well_formed(completion.text)) for completion in group.completions]
