"""Runs every check on some rewards, alone and together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from reasonkit.errors import DataError
from reasonkit.rewards import WeightedReward, parse
from reasonkit.rewards.linter import checks, conduct
from reasonkit.rewards.linter.calls import Calls
from reasonkit.rewards.linter.candidates import Candidate, candidates, choose
from reasonkit.rewards.linter.checks import Board
from reasonkit.rewards.linter.conduct import SIZE, Scorer, Values
from reasonkit.rewards.linter.findings import Finding, Report, merged
from reasonkit.types import Example

TOGETHER = "all together"
"""The name of the composition."""

WORTH = 1.0
"""What a right answer is worth beside a shaping reward that is checked alone."""


def lint(
    specs: Sequence[str],
    examples: Sequence[Example],
    *,
    count: int = 4,
    time_limit: float = 30.0,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Attacks each reward, and all of them together where there are several.

    Args:
        specs: the rewards with their weights, as on the command line.
        examples: of one task; ``count`` of them, at most, are taken.
        time_limit: seconds that a call with `SIZE` completions may take.
        progress: called with the number of times that a reward has done an example.

    Where no example has a reference answer, what right and wrong answers are paid isn't checked.

    Raises:
        RefusedError: a reward that there isn't, or that can't be used.
        DataError: no example has a reference answer, and a reward reads it.
        RunError: no process can be started.
    """
    weighted = parse(specs)
    answered = [example for example in examples if example.answer.strip()]
    reads = [w.reward.name for w in weighted if w.reward.needs_answer]
    if not examples or (reads and not answered):
        raise DataError(f"no example has a reference answer to check {', '.join(reads)} with")
    chosen = choose(answered or examples, count)
    put = [candidates(example, first=i == 0) for i, example in enumerate(chosen)]
    found: list[list[Finding]] = [[] for _ in chosen]
    unseen: list[list[Finding]] = []
    columns: list[list[Board]] = []
    with Calls(specs, time_limit) as calls:
        scorers = [Scorer(calls, index, reward) for index, reward in enumerate(weighted)]
        for scorer in scorers:
            weight, claim = scorer.weighted.weight, scorer.weighted.reward.claim
            columns.append([])
            for i, example in enumerate(chosen):
                values = scorer.score(example, put[i], found[i])
                found[i] += _conduct(scorer, example, put[i], values, first=i == 0)
                paid = [None if v is None else weight * v for v in values]
                columns[-1].append(checks.board(scorer.name, put[i], paid))
                if progress is not None:
                    progress(scorer.index * len(chosen) + i + 1)
            for i, board in enumerate(columns[-1]):
                if scorer.given_up and not board.solutions(True):
                    continue
                if claim == "form":
                    found[i] += checks.form(board)
                elif claim == "correctness" and answered:
                    found[i] += checks.correctness(board)
    judged = bool(answered) and not any(scorer.given_up for scorer in scorers)
    for i, boards in enumerate(zip(*columns, strict=True)):
        if len(weighted) == 1:
            unseen.append(list(checks.unseen(boards[0], weighted[0].reward.claim)))
        elif judged:
            together = checks.total(TOGETHER, put[i], boards)
            found[i] += checks.composition(together)
            unseen.append(list(checks.unseen(together, "correctness")))
    notes = [f"{s.name} was given up: it hangs, or fails a solution" for s in scorers if s.given_up]
    notes += [n for w, column in zip(weighted, columns, strict=True) for n in _unread(w, column)]
    if not answered:
        notes.append("no reference answers: what right and wrong ones are paid isn't checked")
    elif len(weighted) == 1 and weighted[0].reward.claim == "shaping":
        findings, note = _borne(columns[0])
        found.append(findings)
        notes.append(note)
    return Report(
        task=chosen[0].task,
        questions=len(chosen),
        completions=sum(map(len, put)),
        rewards=tuple(scorer.facts for scorer in scorers),
        findings=merged(found),
        unseen=merged(unseen),
        checked=tuple(_checked(weighted, bool(answered), judged)),
        answered=bool(answered),
        notes=tuple(notes),
    )


def _conduct(
    scorer: Scorer, example: Example, put: Sequence[Candidate], values: Values, *, first: bool
) -> Iterator[Finding]:
    yield from conduct.keeps_range(scorer.weighted, put, values)
    scored = [c.completion for c, value in zip(put, values, strict=True) if value is not None]
    if scorer.given_up or not scored:
        return
    yield from conduct.repeats(scorer, example, scored[:: max(1, len(scored) // SIZE)][:SIZE])
    if first:
        yield from conduct.counts(scorer, example)
    if first and scorer.weighted.reward.claim == "correctness":
        yield from conduct.withstands_broken_references(scorer, example)


def _checked(weighted: Sequence[WeightedReward], answered: bool, judged: bool) -> Iterator[str]:
    """What the rewards were held to; ``judged`` where they could be all together."""
    yield "that values are in range, repeat themselves, and come in time"
    claims = {w.reward.claim for w in weighted}
    if "correctness" in claims and answered:
        yield "that right answers are paid more than wrong ones and attacks"
    if "form" in claims:
        yield "that a broken form is paid less than a whole one"
    if len(weighted) > 1 and judged:
        yield "that all together pay nothing wrong like a right answer"


def _unread(weighted: WeightedReward, boards: Sequence[Board]) -> Iterator[str]:
    """Which styles a correctness reward doesn't read on some question."""
    missed = [s for s in boards[0].styles if not all(s in board.read for board in boards)]
    if weighted.reward.claim == "correctness" and 0 < len(missed) < len(boards[0].styles):
        yield f"{weighted.reward.name} finds no answer in the style: {', '.join(missed)}"


def _borne(boards: Sequence[Board]) -> tuple[list[Finding], str]:
    """Whether being right outweighs the most that an attack gains, and what weight it bears."""
    gains = [gain for board in boards if (gain := checks.gain(board)) is not None]
    name = boards[0].reward
    amount, finding = max(gains, key=lambda gain: gain[0], default=(0.0, None))
    if finding is None or amount <= checks.CLOSE:
        return [], f"{name} pays no attack more than a right answer, by itself"
    return [finding] if amount >= WORTH - checks.CLOSE else [], (
        f"{name} pays an attack up to {amount:.3g} more than a right answer: "
        "the correctness reward beside it has to pay more than that"
    )
