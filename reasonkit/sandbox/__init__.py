"""Runs untrusted Python programs against tests, so that passing them can be a reward.

``judge`` compares, ``launcher`` starts processes, and ``inside`` is what runs in them: a zygote
that forks each one quickly, the layers of isolation, and the encoding of values.
"""

from __future__ import annotations

from reasonkit.sandbox.judge import Verdict, isolation, run_tests

__all__ = ["Verdict", "isolation", "run_tests"]
