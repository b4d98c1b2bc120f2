"""What a reward is held to by its claim, and a composition as a whole: the package's rules."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from reasonkit.rewards.linter.candidates import Candidate
from reasonkit.rewards.linter.findings import Finding
from reasonkit.types import Claim

MARGIN = 0.01
"""The share of what being right is worth that counts as nothing."""

CLOSE = 1e-4
"""Values as near as this are the same; a batched model's are no nearer to each other."""


NO_VERDICT = "pays a right answer no more than a wrong one"
"""A fault of what claims to tell right from wrong."""

FREE = "pays for nothing"
REACHES = "pays something wrong like a reference solution"
GAINS = "pays an attack more than an honest wrong answer"
EXCEEDS = "pays a degenerate solution more than a reference solution"
OUTWEIGHS = "pays an attack more than being right is worth"
"""The rules that a payment may break, as they are printed after the reward's name."""


Paid = tuple[Candidate, float]


@dataclass(frozen=True, slots=True)
class Board:
    """What the candidates of one example got from one reward, or from a composition.

    Attributes:
        paid: the candidates with a verdict, with it times the weight.
        styles: the names of the styles of the solutions.
    """

    reward: str
    paid: Sequence[Paid]
    styles: Sequence[str]

    def solutions(self, right: bool, style: str | None = None) -> list[float]:
        """The values of right or wrong solutions, of one style or of all."""
        return [
            value
            for candidate, value in self.paid
            if not candidate.attack
            and candidate.right is right
            and style in (None, candidate.style)
        ]

    def attacks(
        self, claim: Claim | None = None, right: bool | None = False, blind: bool = False
    ) -> list[Paid]:
        """The attacks, of those against a claim, with the right answer or without; None: all."""
        return [
            (candidate, value)
            for candidate, value in self.paid
            if (attack := candidate.attack)
            and attack.blind is blind
            and right in (None, attack.right)
            and (claim is None or claim in attack.claims)
        ]

    @property
    def wrong(self) -> list[Paid]:
        """The honest wrong answers."""
        return [(c, value) for c, value in self.paid if not c.attack and not c.right]

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
    def nothing(self) -> float:
        """The least that was paid for anything, or zero."""
        return max(0.0, min((value for _, value in self.paid), default=0.0))

    def finding(self, candidate: Candidate, rule: str, paid: float, right: float) -> Finding:
        """A finding about a candidate, with what it is to be compared with."""
        wrong = max(self.solutions(False), default=None)
        text = candidate.completion.text
        shown = text if isinstance(text, str) else repr(text)
        return Finding(self.reward, candidate.name, rule, shown, paid, wrong, right)


def board(name: str, put: Sequence[Candidate], values: Sequence[float | None]) -> Board:
    """The candidates with what they got, times the weight."""
    paid = [(c, value) for c, value in zip(put, values, strict=True) if value is not None]
    return Board(name, paid, list(dict.fromkeys(c.style for c in put if not c.attack)))


def total(name: str, put: Sequence[Candidate], boards: Sequence[Board]) -> Board:
    """What the candidates got from some rewards together."""
    sums: dict[int, float] = {}
    for candidate, value in (pair for one in boards for pair in one.paid):
        sums[id(candidate)] = sums.get(id(candidate), 0.0) + value
    return board(name, put, [sums.get(id(candidate)) for candidate in put])


def correctness(board: Board) -> Iterator[Finding]:
    """Right answers pay more than wrong ones, and attacks nothing.

    One that commits itself to wrong answers may get the partial credit of an honest wrong answer.
    """
    right = yield from _ranking(board)
    if right is None:
        return
    wrong = max(board.solutions(False), default=0.0)
    for candidate, paid in board.attacks("correctness"):
        tries = candidate.attack is not None and candidate.attack.answers
        if paid > (max(board.nothing, wrong) if tries else board.nothing) + CLOSE:
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
    reaching = {candidate.name for candidate, paid in attacks if paid >= right - CLOSE}
    for candidate, paid in attacks:
        if paid >= right - CLOSE:
            yield board.finding(candidate, REACHES, paid, right)
        elif paid > wrong + margin and candidate.name not in reaching:
            yield board.finding(candidate, GAINS, paid, right)
    yield from _exceeding(board, right)


def form(board: Board) -> Iterator[Finding]:
    """Some well-formed style pays, hollow and repeated ones pay nothing, broken ones less."""
    full = _full(board)
    if full is None or full <= min(value for _, value in board.paid) + CLOSE:
        yield Finding(board.reward, "pays no form", f"none of: {', '.join(board.styles)}")
        return
    for candidate, paid in board.attacks("form"):
        if candidate.attack and candidate.attack.half_formed:
            if paid >= full - CLOSE:
                yield board.finding(candidate, "pays a broken form in full", paid, full)
        elif paid > board.nothing + CLOSE:
            yield board.finding(candidate, FREE, paid, full)


def gain(board: Board) -> tuple[float, Finding] | None:
    """The most that a shaping reward gives an attack above the worst paid right solution."""
    right = board.solutions(True)
    attacks = board.attacks("shaping")
    if not right or not attacks:
        return None
    candidate, paid = max(attacks, key=lambda pair: pair[1])
    return paid - min(right), board.finding(candidate, OUTWEIGHS, paid, min(right))


def unseen(board: Board, claim: Claim) -> Iterator[Finding]:
    """What was paid like a solution, and by such a reward can't be told from one."""
    bar = _full(board) if claim == "form" else _reference(board)
    seen = board.attacks(claim, right=None, blind=True) + (board.wrong if claim == "form" else [])
    for candidate, paid in seen:
        if bar is not None and paid >= bar - CLOSE:
            yield board.finding(candidate, "can't be seen", paid, bar)


def _ranking(board: Board) -> Generator[Finding, None, float | None]:
    """Whether right is above wrong; returns what a reference solution got."""
    rights, wrongs = board.solutions(True), board.solutions(False)
    if not rights:
        yield Finding(board.reward, "no verdict on a right answer", "ranks no solution")
        return None
    reference = _reference(board)
    if reference is None:
        seen = f"{max(rights):g} and {max(wrongs, default=float('nan')):g}"
        yield Finding(board.reward, NO_VERDICT, "ranks no solution", seen)
        return max(rights)
    for candidate, paid in board.wrong:
        if paid >= reference - CLOSE:
            yield board.finding(candidate, REACHES, paid, reference)
    return reference


def _exceeding(board: Board, right: float) -> Iterator[Finding]:
    """What has the right answer gets no more for being degenerate."""
    seen = [paid for _, paid in board.attacks(right=True, blind=True)]
    best = max(board.solutions(True) + seen, default=right)
    worth = best - max(board.solutions(False), default=0.0)
    for candidate, paid in board.attacks(right=True):
        if paid > best + max(CLOSE, MARGIN * worth):
            yield board.finding(candidate, EXCEEDS, paid, right)


def _reference(board: Board) -> float | None:
    """What the worst paid right solution got in the style that is paid best."""
    return max((min(board.solutions(True, style)) for style in board.read), default=None)


def _full(board: Board) -> float | None:
    """What a form pays in full: its worst paid solution in the style that is paid best."""
    paid = [board.solutions(True, style) + board.solutions(False, style) for style in board.styles]
    return max((min(values) for values in paid if values), default=None)
