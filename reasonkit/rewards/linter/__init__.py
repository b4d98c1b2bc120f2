"""Attacks rewards before a training run does: ``reasonkit rewards check``.

What is held against what:

- *correctness*: in some style every right solution is paid more than every wrong one; no wrong one
  reaches that; an attack is paid nothing, which is zero or the lowest value there is, or, where it
  commits itself to an answer, what an honest wrong answer is paid; a reference answer without a
  value makes nothing pay.
- *form*: some well-formed style pays; empty tags and repeated ones are paid nothing, a broken form
  less than a whole one.
- *shaping*: alone it is held to pay no attack so much more than a right solution that it outweighs
  being right; beside others, only the composition is held to anything.
- *a composition*: the reference solution, in the style that is paid best, is above everything wrong
  and every attack, and no attack gets more than the best paid honest wrong answer. That is what
  "nothing to gain" means: whoever can't solve a question can't do better than to try.

An attack that has the right answer may be paid what a right solution is paid. Every reward has to
give the same values again, in any order, for copies too; within its range, within the time limit,
without raising, and without changing what it is given. It runs in a process of its own.

Left out: attacks found by search or by a model, and whether a model that judges is right.
"""

from __future__ import annotations

from reasonkit.rewards.linter.findings import Facts, Finding, Report
from reasonkit.rewards.linter.lint import lint

__all__ = ["Facts", "Finding", "Report", "lint"]
