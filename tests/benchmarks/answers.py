"""Times `answers_match` on real answers beside math-verify alone, and prints the ratio.

The answers are the last numbers of GSM8K's worked solutions, each compared with itself as a model
may write it and with its neighbour's, so that half the verdicts are "no". Both ways judge the same
pairs, by turns; neither may use what it remembers from an earlier turn::

    python tests/benchmarks/answers.py ../shared/data/gsm8k/test.jsonl --rounds 7
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from math_verify import parse, verify

from reasonkit.answers import answers_match, extract_answer
from reasonkit.answers.plain import _plain

FORMS = ("{}", "${}$", "\\boxed{{{}}}", "{}.0", "{} dollars")


def pairs(path: Path, limit: int) -> list[tuple[str, str]]:
    """References beside equal and, mostly, unequal answers."""
    rows = [json.loads(line) for line in path.open()][:limit]
    answers = [extract_answer(row["answer"]) or "" for row in rows]
    made = []
    for i, answer in enumerate(answers):
        made.append((answer, FORMS[i % len(FORMS)].format(answer)))
        made.append((answer, answers[i - 1]))
    return made


def math_verify(reference: str, answer: str) -> bool:
    """Both parsed and compared, as its manual shows."""
    return bool(verify(parse(reference), parse(answer)))


def rate(match: Callable[[str, str], bool], judged: list[tuple[str, str]]) -> tuple[float, int]:
    """Checks a second, and how many pairs were called equal."""
    _plain.cache_clear()
    start = time.perf_counter()
    equal = sum(match(reference, answer) for reference, answer in judged)
    return len(judged) / (time.perf_counter() - start), equal


def main(path: Path, limit: int, rounds: int) -> None:
    """Measures both by turns."""
    judged = pairs(path, limit)
    rate(answers_match, judged[:20])
    rate(math_verify, judged[:20])
    ours, theirs, ratios = [], [], []
    for _ in range(rounds):
        (fast, equal), (slow, equal_theirs) = rate(answers_match, judged), rate(math_verify, judged)
        ours.append(fast)
        theirs.append(slow)
        ratios.append(fast / slow)
    print(f"{len(judged)} pairs, {rounds} rounds by turns; called equal: {equal}, {equal_theirs}")
    print(f"answers_match  {statistics.median(ours):9.0f} checks/s")
    print(f"math-verify    {statistics.median(theirs):9.0f} checks/s")
    low, high = min(ratios), max(ratios)
    print(f"ratio          {statistics.median(ratios):9.1f} x  (from {low:.1f} to {high:.1f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.path, arguments.limit, arguments.rounds)
