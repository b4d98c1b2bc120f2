"""Runs untrusted Python programs against tests, so that passing them can be a reward.

``tests`` reads tests, ``judge`` compares, ``launcher`` starts processes and talks to them, and
``inside`` is what runs in them: a zygote that forks each one quickly, the layers of isolation, and
the encoding of values.
"""

from __future__ import annotations

from reasonkit.sandbox.judge import Verdict, isolation, outputs, require_isolation, run_tests
from reasonkit.sandbox.tests import check_tests

__all__ = ["Verdict", "check_tests", "isolation", "outputs", "require_isolation", "run_tests"]
