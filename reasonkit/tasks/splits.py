"""Which split a generated question belongs to: a stable hash of its text decides."""

from __future__ import annotations

import hashlib
from typing import Literal

Split = Literal["corpus", "train", "validation", "test"]

SHARES: dict[Split, range] = {
    "corpus": range(50),
    "train": range(50, 80),
    "validation": range(80, 88),
    "test": range(88, 100),
}


def split_of(question: str) -> Split:
    """The split of a question: the same on every machine, whatever the case and spacing."""
    normal = "".join(question.lower().split())
    bucket = int.from_bytes(hashlib.sha256(normal.encode()).digest()[:8], "big") % 100
    return next(split for split, share in SHARES.items() if bucket in share)
