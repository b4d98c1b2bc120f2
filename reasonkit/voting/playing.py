"""Carries procedures out, those of several questions side by side, or one on what is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reasonkit.voting.ballots import Ballots
from reasonkit.voting.strategies import Draw, Elected, Procedure, Way


@dataclass(frozen=True, slots=True)
class Played:
    """An outcome with what it took: samples and tokens in all, of every way that was asked for."""

    elected: Elected
    samples: int
    tokens: int


def carry_out(
    procedures: Mapping[str, Procedure],
    draw: Callable[[Draw, Sequence[str]], Sequence[Ballots]],
) -> dict[str, Played]:
    """Carries out a procedure for each of several questions, side by side.

    Args:
        draw: gives what is wished for of the questions that wish for it.
    """
    played: dict[str, Played] = {}
    drawn: dict[str, dict[Way, Ballots]] = {key: {} for key in procedures}
    wishes = {key: next(procedure) for key, procedure in procedures.items()}
    while wishes:
        following: dict[str, Draw] = {}
        for wish in sorted(set(wishes.values()), key=lambda wish: (wish.way, wish.count)):
            wishing = [key for key in procedures if wishes.get(key) == wish]
            for key, ballots in zip(wishing, draw(wish, wishing), strict=True):
                drawn[key][wish.way] = ballots
                try:
                    following[key] = procedures[key].send(ballots)
                except StopIteration as end:
                    counted = drawn[key].values()
                    tokens = sum(int(ballots.tokens.sum()) for ballots in counted)
                    played[key] = Played(end.value, sum(map(len, counted)), tokens)
        wishes = following
    return {key: played[key] for key in procedures}


def play(procedure: Procedure, pools: Mapping[Way, Ballots]) -> Played:
    """Carries a procedure out on samples that are there already.

    Raises:
        ValueError: a pool is too small.
    """

    def draw(wish: Draw, _: Sequence[str]) -> list[Ballots]:
        if wish.count > len(pools[wish.way]):
            raise ValueError(f"the pool {wish.way!r} holds fewer than {wish.count} samples")
        return [pools[wish.way].first(wish.count)]

    return carry_out({"": procedure}, draw)[""]
