"""What a reward is held to by its claim, and a composition as a whole: the package's rules."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from reasonkit.rewards.linter.attacks import Attack
from reasonkit.rewards.linter.candidates import Candidate
from reasonkit.rewards.linter.findings import Finding
from reasonkit.types import Claim

MARGIN = 0.01
"""The share of what being right is worth that counts as nothing."""

CLOSE = 1e-4
"""Values as near as this are the same; a batched model's are no nearer to each other."""


FREE = "pays for nothing"
REACHES = "pays something wrong like a reference solution"
GAINS = "pays an attack more than an honest wrong answer"
EXCEEDS = "pays a degenerate solution more than a reference solution"
OUTWEIGHS = "pays an attack more than being right is worth"
"""The rules that a payment may break, as they are printed after the reward's name."""


@dataclass(frozen=True, slots=True)
class Board:
    """What the candidates of one example got from one reward, or from a composition.

    Attributes:
        reward: the name.
        candidates: with a value each.
        values: times the weight; None where there was no verdict.
    """

    reward: str
    candidates: Sequence[Candidate]
    values: Sequence[float | None]

    def paid(self, wanted: Callable[[Candidate], bool]) -> list[tuple[Candidate, float]]:
        """The candidates that are wanted and got a verdict, with it."""
        return [
            (candidate, value)
            for candidate, value in zip(self.candidates, self.values, strict=True)
            if value is not None and wanted(candidate)
        ]

    def solutions(self, right: bool, style: str | None = None) -> list[float]:
        """The values of right or wrong solutions, of one style or of all."""
        return [
            value
            for candidate, value in self.paid(lambda c: c.solution is not None)
            if candidate.solution
            and candidate.solution.right is right
            and style in (None, candidate.solution.style)
        ]

    def attacks(self, right: bool = False) -> list[tuple[Candidate, Attack, float]]:
        """The attacks with, or without, the right answer."""
        found = self.paid(lambda c: c.attack is not None)
        return [(c, c.attack, v) for c, v in found if c.attack and c.attack.right is right]

    @property
    def styles(self) -> list[str]:
        """The names of the styles of its solutions."""
        return list(dict.fromkeys(c.solution.style for c in self.candidates if c.solution))

    @property
    def read(self) -> list[str]:
        """The styles in which every right solution got more than every wrong one."""
        return [
            style
            for style in self.styles
            if (right := self.solutions(True, style))
            and (wrong := self.solutions(False, style))
            and min(right) > max(wrong) + CLOSE
        ]

    @property
    def lowest(self) -> float:
        """The least that was paid for anything."""
        return min((value for value in self.values if value is not None), default=0.0)

    def finding(self, candidate: Candidate, rule: str, paid: float, right: float) -> Finding:
        """A finding about a candidate, with what it is to be compared with."""
        source = candidate.source
        what = source.name if isinstance(source, Attack) else "an honest wrong answer"
        wrong = max(self.solutions(False), default=None)
        text = candidate.completion.text
        shown = text if isinstance(text, str) else repr(text)
        return Finding(self.reward, what, rule, shown, paid, wrong, right)


def correctness(board: Board) -> Iterator[Finding]:
    """Right answers pay more than wrong ones, and attacks nothing.

    One that commits itself to wrong answers may get the partial credit of an honest wrong answer.
    """
    right = yield from _ranking(board)
    if right is None:
        return
    nothing = max(0.0, board.lowest)
    wrong = max(board.solutions(False), default=nothing)
    for candidate, attack, paid in board.attacks():
        allowed = max(nothing, wrong) if attack.answers else nothing
        if "correctness" in attack.claims and paid > allowed + CLOSE:
            yield board.finding(candidate, FREE, paid, right)
    yield from _exceeding(board, right)


def composition(board: Board) -> Iterator[Finding]:
    """Reference solutions are on top, and no attack gains on an honest wrong answer."""
    right = yield from _ranking(board)
    if right is None or not board.read:
        return
    wrong = max(board.solutions(False))
    margin = max(CLOSE, MARGIN * (right - wrong))
    attacks = board.attacks()
    reaching = {attack for _, attack, paid in attacks if paid >= right - CLOSE}
    for candidate, attack, paid in attacks:
        if paid >= right - CLOSE:
            yield board.finding(candidate, REACHES, paid, right)
        elif paid > wrong + margin and attack not in reaching:
            yield board.finding(candidate, GAINS, paid, right)
    yield from _exceeding(board, right)


def form(board: Board) -> Iterator[Finding]:
    """Some well-formed style pays, hollow and repeated ones pay nothing, broken ones less."""
    full = _full(board)
    if full is None or full <= board.lowest + CLOSE:
        yield Finding(board.reward, "pays no form", f"none of: {', '.join(board.styles)}")
        return
    nothing = max(0.0, board.lowest)
    for candidate, attack, paid in board.attacks():
        if "form" not in attack.claims:
            continue
        if attack.half_formed:
            if paid >= full - CLOSE:
                yield board.finding(candidate, "pays a broken form in full", paid, full)
        elif paid > nothing + CLOSE:
            yield board.finding(candidate, FREE, paid, full)


@dataclass(frozen=True, slots=True)
class Gain:
    """The most that an attack gets above a right solution."""

    amount: float
    finding: Finding


def gain(board: Board) -> Gain | None:
    """What a shaping reward gives an attack above the worst paid right solution; None without."""
    right = board.solutions(True)
    attacks = [(paid, c) for c, attack, paid in board.attacks() if "shaping" in attack.claims]
    if not right or not attacks:
        return None
    paid, candidate = max(attacks, key=lambda pair: pair[0])
    return Gain(paid - min(right), board.finding(candidate, OUTWEIGHS, paid, min(right)))


def unseen(board: Board, claim: Claim) -> Iterator[Finding]:
    """What was paid like a solution, and by such a reward can't be told from one."""
    bar = _full(board) if claim == "form" else _reference(board)
    if bar is None:
        return
    for candidate, paid in board.paid(lambda c: c.blind):
        assert isinstance(candidate.source, Attack)
        if claim in candidate.source.claims and paid >= bar - CLOSE:
            yield board.finding(candidate, "can't be seen", paid, bar)
    if claim == "form":
        for candidate, paid in board.paid(lambda c: bool(c.solution and not c.solution.right)):
            if paid >= bar - CLOSE:
                yield board.finding(candidate, "can't be seen", paid, bar)


def _ranking(board: Board) -> Generator[Finding, None, float | None]:
    """Whether right is above wrong; returns what a reference solution got."""
    rights, wrongs = board.solutions(True), board.solutions(False)
    if not rights:
        yield Finding(board.reward, "no verdict on a right answer", "ranks no solution")
        return None
    reference = _reference(board)
    if reference is None:
        what = "pays a right answer no more than a wrong one"
        seen = f"{max(rights):g} and {max(wrongs, default=float('nan')):g}"
        yield Finding(board.reward, what, "ranks no solution", seen)
        return max(rights)
    for candidate, paid in board.paid(lambda c: bool(c.solution and not c.solution.right)):
        if paid >= reference - CLOSE:
            yield board.finding(candidate, REACHES, paid, reference)
    return reference


def _exceeding(board: Board, right: float) -> Iterator[Finding]:
    """What has the right answer gets no more for being degenerate."""
    plain = board.paid(lambda c: c.source.right)
    best = max((value for candidate, value in plain if candidate.attack is None), default=right)
    worth = best - max(board.solutions(False), default=0.0)
    for candidate, _, paid in board.attacks(right=True):
        if paid > best + max(CLOSE, MARGIN * worth):
            yield board.finding(candidate, EXCEEDS, paid, right)


def _reference(board: Board) -> float | None:
    """What the worst paid right solution got in the style that is paid best."""
    return max((min(board.solutions(True, style)) for style in board.read), default=None)


def _full(board: Board) -> float | None:
    """What a form pays in full: its worst paid solution in the style that is paid best."""
    paid = [board.solutions(True, style) + board.solutions(False, style) for style in board.styles]
    return max((min(values) for values in paid if values), default=None)
