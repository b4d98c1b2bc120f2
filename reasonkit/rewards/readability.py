"""Rewards thinking whose steps are written out (DeepSeek-R1, arXiv:2501.12948, section 2.3.1).

R1 has a cold start because R1-Zero's thinking is hard to read. Here a step is what stands between
two semicolons, lines, commas or full stops, and it is written out if it states something:
``27-2=25`` does, ``27-2; 25`` is shorthand twice. Left out: whether what is stated is true, which
other rewards tell, and whether it follows.
"""

from __future__ import annotations

import re
from statistics import fmean

from reasonkit.answers.reading import thought_of

_STEP = re.compile(r"[;\n]|[,.](?=\s|$)")
_RELATION = re.compile(r"\w\S*\s*[=<>≤≥≈→⇒]\s*\S*\w")
_WORD = re.compile(r"[^\W\d_]{2,}")


def share(text: str) -> float:
    """The share of a thought's steps that state something: a relation, or two words.

    Taken of the thought, or of the whole text where no tag marks one. A thought without a letter or
    a digit: 0.0.
    """
    steps = [step for step in _STEP.split(thought_of(text)) if any(map(str.isalnum, step))]
    return fmean(map(_is_written_out, steps)) if steps else 0.0


def _is_written_out(step: str) -> bool:
    return _RELATION.search(step) is not None or len(_WORD.findall(step)) > 1
