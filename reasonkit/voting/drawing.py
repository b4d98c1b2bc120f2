"""Carries strategies out: all questions side by side, every sample drawn once.

Leaves out where samples come from: an engine, as a rule a `reasonkit.generation.pool.Pool`, which
keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reasonkit.evaluation import Evaluation, Verdict, verdict_on
from reasonkit.generation.engine import Engine, Sampling
from reasonkit.types import Completion, Example, Group
from reasonkit.voting.ballots import WINDOW, Ballots, cast
from reasonkit.voting.playing import Played, carry_out
from reasonkit.voting.strategies import Draw, Procedure, Way

Score = Callable[[Group], Sequence[float | None]]
Show = Callable[[Way, int, Iterable[Group]], Iterable[Group]]


@dataclass(frozen=True, slots=True)
class Asking:
    """How the samples of a way come about; ``ask`` is what becomes of a question before."""

    engine: Engine
    sampling: Sampling
    ask: Callable[[Example], Example]


@dataclass(frozen=True, slots=True)
class Outcome(Played):
    """What a strategy did on one question, and the completion that speaks for it."""

    example: Example
    completion: Completion

    @property
    def verdict(self) -> Verdict:
        """The outcome as a verdict; its tokens are those of all samples."""
        return replace(
            verdict_on(self.example, self.completion),
            extracted=self.elected.answer,
            correct=self.elected.right,
            why="elected",
            tokens=self.tokens,
        )


def evaluation_of(outcomes: Sequence[Outcome]) -> Evaluation:
    """The verdicts on all questions."""
    return Evaluation(tuple(outcome.verdict for outcome in outcomes))


@dataclass(slots=True)
class Poll:
    """The samples of some questions, drawn as they are asked for.

    ``score`` ranks completions, by confidence where None; ``window`` is that of `steadiness`;
    ``show`` wraps the groups as they come, for a progress bar.
    """

    examples: Sequence[Example]
    askings: Mapping[Way, Asking]
    score: Score | None = None
    show: Show = lambda way, total, groups: groups
    window: int = WINDOW
    _groups: dict[tuple[Way, str], Group] = field(default_factory=dict)
    _ballots: dict[tuple[Way, str], Ballots] = field(default_factory=dict)

    def draw(self, way: Way, examples: Sequence[Example], count: int) -> None:
        """Makes sure that there are ``count`` samples of these questions."""
        asking = self.askings[way]
        by_id = {e.id: e for e in examples if self._held(way, e) < count}
        asked = [asking.ask(example) for example in by_id.values()]
        if not asked:
            return
        groups = asking.engine.sample(asked, count, asking.sampling)
        for group in self.show(way, len(asked), groups):
            example = by_id[group.example.id]
            self._groups[way, example.id] = Group(example, group.completions)
            self._ballots.pop((way, example.id), None)

    def pools(self, needed: Mapping[Way, int]) -> list[dict[Way, Ballots]]:
        """For each question so many ballots of each way."""
        for way, count in needed.items():
            self.draw(way, self.examples, count)
        return [
            {way: self.ballots(way, example).first(count) for way, count in needed.items()}
            for example in self.examples
        ]

    def held(self, way: Way) -> int:
        """How many samples there are of every question."""
        return min(self._held(way, example) for example in self.examples)

    def group(self, way: Way, example: Example) -> Group:
        """The samples of a question, in the order in which they were drawn."""
        return self._groups[way, example.id]

    def ballots(self, way: Way, example: Example) -> Ballots:
        """All ballots of a question."""
        key = way, example.id
        if key not in self._ballots:
            group = self._groups[key]
            self._ballots[key] = cast(group, self.score(group) if self.score else None, self.window)
        return self._ballots[key]

    def carry_out(self, start: Callable[[], Procedure]) -> list[Outcome]:
        """The outcome of each question; ``start`` begins the procedure for one."""
        by_id = {example.id: example for example in self.examples}

        def draw(wish: Draw, ids: Sequence[str]) -> list[Ballots]:
            wishing = [by_id[id] for id in ids]
            self.draw(wish.way, wishing, wish.count)
            return [self.ballots(wish.way, example).first(wish.count) for example in wishing]

        outcomes = []
        for id, played in carry_out({id: start() for id in by_id}, draw).items():
            spoke = self.group(played.elected.way, by_id[id]).completions[played.elected.place]
            took = played.elected, played.samples, played.tokens
            outcomes.append(Outcome(*took, by_id[id], spoke))
        return outcomes

    def _held(self, way: Way, example: Example) -> int:
        group = self._groups.get((way, example.id))
        return len(group.completions) if group else 0
