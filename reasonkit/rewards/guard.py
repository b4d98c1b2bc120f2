"""Scoring with rewards that may raise, hang, or return nonsense.

The stated rule: a failed call gives no verdict for its group, and training goes on. After 5 failed
calls of one reward in a row, or more than half of its last 40, it stops.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from types import FrameType
from typing import Any, TypeVar

from reasonkit.errors import RunError
from reasonkit.rewards import Reward, WeightedReward
from reasonkit.types import Group, Scores

WINDOW = 40
"""Of this many last calls of a reward, at most half may fail."""

IN_A_ROW = 5
"""Failed calls of one reward that end the run."""

_SPENT = ("reward_seconds/", "reward_costs/")
T = TypeVar("T")


class _TimeUpError(BaseException):
    """Not an Exception, so that a reward that swallows those doesn't swallow this."""


class Guard:
    """Scores groups with every reward, counting failures and seconds.

    Rewards that wait for other processes or machines (`Reward.waits`) run in threads, each beside
    all others; the rest run one after another in the calling thread.

    A call is stopped after the time limit by a signal in the main thread. In any other thread, and
    where a call in native code ignores signals, that isn't possible: off the main thread it runs in
    a daemon thread that is left behind.

    Attributes:
        time_limit: seconds a call.
        weights: the weight of each reward, by name.
        failures: failed calls by name of the reward.
        seconds: spent in calls, by name of the reward; those that ran side by side count in full.
    """

    def __init__(self, rewards: Sequence[WeightedReward], time_limit: float = 30.0) -> None:
        self.rewards = tuple(rewards)
        self.time_limit = time_limit
        self.weights = {weighted.reward.name: weighted.weight for weighted in self.rewards}
        self.failures: Counter[str] = Counter()
        self.seconds: dict[str, float] = dict.fromkeys(self.weights, 0.0)
        self._failed_lately = {name: deque[bool](maxlen=WINDOW) for name in self.weights}

    @property
    def verifier(self) -> Reward | None:
        """The first reward that claims correctness and reads what tells it; None if none does."""
        rewards = (weighted.reward for weighted in self.rewards)
        return next((r for r in rewards if r.claim == "correctness" and r.needs_answer), None)

    @property
    def spent(self) -> dict[str, float]:
        """All seconds, and what rewards that cost money say they have spent, as metrics name it."""
        seconds, costs = _SPENT
        spent = {f"{seconds}{name}": value for name, value in self.seconds.items()}
        for reward in (weighted.reward for weighted in self.rewards):
            paid: dict[str, float] = getattr(reward.score, "costs", {})
            spent |= {f"{costs}{reward.name}/{kind}": value for kind, value in paid.items()}
        return spent

    def score(self, group: Group) -> Scores:
        """As `score_all`, of one group."""
        return self.score_all([group])[0]

    def score_all(self, groups: Sequence[Group]) -> list[Scores]:
        """The values of every reward; None for a whole group whose call failed.

        A reward takes the groups in their order.

        Raises:
            RunError: a reward failed too often.
        """
        beside = {
            w.reward.name: _in_thread(partial(self._lane, w, groups))
            for w in self.rewards
            if w.reward.waits
        }
        columns = {w.reward.name: self._lane(w, groups) for w in self.rewards if not w.reward.waits}
        columns |= {name: outcome.result() for name, outcome in beside.items()}
        return [{name: columns[name][i] for name in self.weights} for i in range(len(groups))]

    def total(self, scores: Scores) -> list[float | None]:
        """The weighted sum for each completion; None where no reward had a verdict."""
        totals: list[float | None] = []
        for values in zip(*(scores[name] for name in self.weights), strict=True):
            weighed = zip(self.weights.values(), values, strict=True)
            terms = [weight * value for weight, value in weighed if value is not None]
            totals.append(sum(terms) if terms else None)
        return totals

    def right(self, scores: Scores) -> list[bool | None]:
        """Which completions are right: above the middle of the verifier's range.

        Above 0 where its range has no middle. None where nobody knows: there is no verifier, or it
        had no verdict.
        """
        verifier = self.verifier
        if verifier is None:
            return [None] * len(next(iter(scores.values())))
        middle = sum(verifier.range) / 2
        least = middle if math.isfinite(middle) else 0.0
        return [None if value is None else value > least for value in scores[verifier.name]]

    def _lane(self, weighted: WeightedReward, groups: Sequence[Group]) -> list[list[float | None]]:
        """One reward's values for each group in turn."""
        reward = weighted.reward
        started = time.perf_counter()
        try:
            return [
                self._score(reward, group)
                if weighted.task in (None, group.example.task)
                else [None] * len(group.completions)
                for group in groups
            ]
        finally:
            self.seconds[reward.name] += time.perf_counter() - started

    def _score(self, reward: Reward, group: Group) -> list[float | None]:
        lately = self._failed_lately[reward.name]
        try:
            values = checked(
                _within(self.time_limit, lambda: reward.score(group)), len(group.completions)
            )
        except (Exception, SystemExit) as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
        else:
            lately.append(False)
            return values
        self.failures[reward.name] += 1
        lately.append(True)
        said = ""
        if list(lately)[-IN_A_ROW:] == [True] * IN_A_ROW:
            said = f"{IN_A_ROW} times in a row"
        elif sum(lately) > WINDOW // 2:
            said = f"{sum(lately)} times in its last {len(lately)} calls"
        if said:
            raise RunError(f"reward {reward.name!r} failed {said}; last: {text}")
        return [None] * len(group.completions)


def spent_on_rewards(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """What records of ``metrics.jsonl`` say was spent, as of `Guard.spent`, in all.

    Of several updates a rollout, each of which has a record, the last is counted.
    """
    total: Counter[str] = Counter()
    for record in records:
        if record["step"] == int(record["step"]):
            total.update({k: v for k, v in record.items() if k.startswith(_SPENT)})
    return dict(total)


def checked(values: Any, count: int) -> list[float | None]:
    """The values as floats.

    Raises:
        ValueError: they aren't ``count`` finite numbers or Nones.
        TypeError: they aren't a sequence.
    """
    if isinstance(values, str | bytes | dict):
        raise TypeError(f"returned a {type(values).__name__}, not a list of numbers")
    try:
        listed = list(values)
    except TypeError:
        raise TypeError(f"returned {_short(values)}, not a list of numbers") from None
    if len(listed) != count:
        raise ValueError(f"returned {len(listed)} values for {count} completions")
    return [None if value is None else _number(value) for value in listed]


def _number(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"returned {_short(value)}, which is no finite number")
    return number


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """What the call returns.

    Raises:
        TimeoutError: it took longer.
    """
    start = time.monotonic()
    try:
        if threading.current_thread() is not threading.main_thread():
            return _in_thread(call).result(seconds)
        with _alarm(seconds):
            value = call()
        # It may have swallowed the alarm and gone on.
        if time.monotonic() - start <= seconds:
            return value
    except (_TimeUpError, TimeoutError):
        if time.monotonic() - start < seconds:
            raise
    raise TimeoutError(f"took longer than {seconds:g} s")


def _in_thread(call: Callable[[], T]) -> Future[T]:
    """Starts a call in a daemon thread: a pool's would be waited for when the process ends."""
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, name="reward", daemon=True).start()
    return outcome


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise _TimeUpError

    before = signal.signal(signal.SIGALRM, ring)
    # Rings again and again: a bare `except:` may swallow the first.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
