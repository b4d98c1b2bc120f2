"""Rollouts: which prompts, what is sampled for them, how it is scored and what is recorded.

TRL calls a `Rollout` for each step's completions. Prompts are a function of the configuration, the
step and, with a curriculum, of what was observed, so that a resumed run sees the same ones. Dynamic
sampling, which replaces prompts that are solved always or never, is here too.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from reasonkit import console, processes
from reasonkit.answers.work import rechecks, shows_work
from reasonkit.config import GrpoConfig
from reasonkit.generation.engine import Engine, drawn_by
from reasonkit.judging import extract
from reasonkit.models.chat import encode_prompts
from reasonkit.objectives import RewardScaling
from reasonkit.rewards.guard import Guard
from reasonkit.runs import Run
from reasonkit.training.advantages import advantages
from reasonkit.training.callbacks import Counters
from reasonkit.training.curriculum import Curriculum
from reasonkit.training.dynamic_sampling import with_spread
from reasonkit.types import Example, Group, Scored, Scores

if TYPE_CHECKING:
    from reasonkit.training.loss import Trainer

ADVANTAGE_BINS = {
    "below -2": -2.0,
    "-2 to -1.5": -1.5,
    "-1.5 to -1": -1.0,
    "-1 to -0.5": -0.5,
    "-0.5 to 0": -1e-9,
    "0": 1e-9,
    "0 to 0.5": 0.5,
    "0.5 to 1": 1.0,
    "1 to 1.5": 1.5,
    "1.5 to 2": 2.0,
    "above 2": float("inf"),
}
"""The logged histogram: each bin by its upper edge."""


@dataclass(frozen=True, slots=True)
class ScoredGroup:
    """A group with its scores, and which completions are right (`Guard.right`)."""

    group: Group
    scores: Scores
    totals: list[float | None]
    right: list[bool | None]

    @property
    def known(self) -> list[float]:
        """The total rewards that there are."""
        return [total for total in self.totals if total is not None]

    @property
    def spreadless(self) -> bool:
        """Whether all its rewards are the same, so that it teaches nothing."""
        return len(set(self.known)) <= 1

    def completions(self) -> list[Scored]:
        """Each of them with its rewards."""
        return [
            Scored(
                question=self.group.example.question,
                text=c.text,
                total=self.totals[i],
                rewards={name: values[i] for name, values in self.scores.items()},
                right=self.right[i],
            )
            for i, c in enumerate(self.group.completions)
        ]


def scored(guard: Guard, groups: Sequence[Group]) -> list[ScoredGroup]:
    """Groups with what the rewards say of them."""
    return [
        ScoredGroup(group, scores, guard.total(scores), guard.right(scores))
        for group, scores in zip(groups, guard.score_all(groups), strict=True)
    ]


def schedule(
    examples: Sequence[Example], prompts_per_step: int, steps: int, seed: int
) -> list[Example]:
    """The prompts of a whole run, in order: reshuffled whenever all have been seen.

    TRL's resume is exact only within its first epoch, so the run is laid out as one.
    """
    rng = random.Random(seed)
    laid: list[Example] = []
    while len(laid) < prompts_per_step * steps:
        laid += rng.sample(list(examples), len(examples))
    return laid[: prompts_per_step * steps]


def mixed(
    examples: Sequence[Example], general: Sequence[Example], config: GrpoConfig
) -> list[Example]:
    """The prompts of a whole run; at the end of each step stands the second task's share."""
    assert config.prompts_per_step is not None and config.steps is not None
    second = config.general_prompts if general else 0
    first = config.prompts_per_step - second
    own = schedule(examples, first, config.steps, config.seed)
    others = schedule(general, second, config.steps, config.seed)
    laid: list[Example] = []
    for step in range(config.steps):
        laid += own[step * first :][:first] + others[step * second :][:second]
    return laid


@dataclass
class Rollout:
    """TRL's ``rollout_func``: samples groups, scores them, records them.

    Attributes:
        examples: the training split of the task; prompts of another task are general ones.
        laid: the prompts of the whole run (`mixed`); a curriculum draws others in their place.
        config: settings of the run, fully resolved.
        metrics: of the newest rollout, by name.
        newest: its groups, of all processes.
    """

    examples: Sequence[Example]
    laid: Sequence[Example]
    config: GrpoConfig
    guard: Guard
    run: Run
    curriculum: Curriculum | None = None
    counters: Counters = field(default_factory=Counters)
    metrics: dict[str, Any] = field(default_factory=dict)
    newest: list[ScoredGroup] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tasks = frozenset(example.task for example in self.examples)

    def __call__(self, prompts: list[Any], trainer: Trainer) -> dict[str, Any]:
        """Completions for prompts that come repeated group by group.

        Returns:
            TRL's columns, one row a completion, and ``score_NAME`` for each reward.
        """
        config = self.config
        size = trainer.num_generations
        step = trainer.state.global_step // config.updates_per_rollout
        count = len(prompts) // size * processes.size()
        started = time.perf_counter()
        engine = trainer.sampler()
        spent = self.guard.spent
        self._cost = Counters(rollout_seconds=time.perf_counter() - started)
        rounds = config.resample or 0

        def draw(examples: Sequence[Example], attempt: int) -> list[ScoredGroup]:
            place = step * (rounds + 1) + attempt
            return self._draw(engine, examples, size, config.seed * 1_000_003 + place)

        drawn = draw(processes.share(self._prompts(step, count)), 0)
        flat = sum(d.spreadless for d in drawn)
        drawn = with_spread(drawn, self, step, draw)
        since = {name: value - spent[name] for name, value in self.guard.spent.items()}
        parts = processes.gathered((drawn, flat, since, self._cost))
        self.newest = [d for part in parts for d in part[0]]
        self.counters.add([part[3] for part in parts])
        self.metrics = _metrics(self.newest, self._reasoning() or self.newest, config)
        self.metrics["zero_spread"] = sum(part[1] for part in parts) / count
        self.metrics |= {name: sum(part[2][name] for part in parts) for name in since}
        if self.curriculum is not None:
            self.metrics["pass_rates"] = {
                d.group.example.id: fmean(known)
                for d in self._reasoning()
                if (known := [right for right in d.right if right is not None])
            }
            self.curriculum.observe(self.metrics["pass_rates"])
        for name, value in self.metrics.items():
            if isinstance(value, float):
                trainer._metrics["train"][f"rollout/{name}"].append(value)
        self._record(step)
        return self._columns(trainer, size, drawn)

    def _prompts(self, step: int, count: int) -> Sequence[Example]:
        laid = self.laid[step * count : (step + 1) * count]
        if self.curriculum is None:
            return laid
        general = [example for example in laid if example.task not in self._tasks]
        return [*self.curriculum.draw(step, count - len(general)), *general]

    def _draw(
        self, engine: Engine, examples: Sequence[Example], size: int, seed: int
    ) -> list[ScoredGroup]:
        config = self.config
        started = time.perf_counter()
        distinct = list({(e.task, e.id): e for e in examples}.values())
        sampling = drawn_by(config, seed)
        groups = list(
            console.counted(engine.sample(distinct, size, sampling), len(distinct), "rollout")
        )
        sampled = time.perf_counter()
        with console.doing("rewards"):
            told = scored(self.guard, groups)
        drawn = {(d.group.example.task, d.group.example.id): d for d in told}
        self._cost.tokens_sampled += sum(c.tokens for group in groups for c in group.completions)
        self._cost.rollout_seconds += sampled - started
        self._cost.reward_seconds += time.perf_counter() - sampled
        return [drawn[example.task, example.id] for example in examples]

    def _columns(self, trainer: Trainer, size: int, drawn: Sequence[ScoredGroup]) -> dict[str, Any]:
        """Of the groups that this process has drawn."""
        prompt_ids, _ = encode_prompts(trainer.processing_class, [d.group.example for d in drawn])
        completions = [c for d in drawn for c in d.group.completions]
        tokens = sum(c.tokens for c in completions) + size * sum(map(len, prompt_ids))
        passes = self.config.updates_per_rollout
        self.counters.tokens_trained += passes * sum(processes.gathered(tokens))
        scores = {f"score_{n}": [v for d in drawn for v in d.scores[n]] for n in self.guard.weights}
        return {
            "prompt_ids": [ids for ids in prompt_ids for _ in range(size)],
            "completion_ids": [list(c.token_ids) for c in completions],
            "logprobs": [list(c.logprobs) for c in completions],
            **scores,
        }

    def is_own(self, drawn: ScoredGroup) -> bool:
        """Whether it is of the task, and not a general prompt's."""
        return drawn.group.example.task in self._tasks

    def _reasoning(self) -> list[ScoredGroup]:
        return list(filter(self.is_own, self.newest))

    def seen(self) -> list[Scored]:
        """The newest rollout's completions with their rewards, those of general prompts left out.

        Empty where they are none but those.
        """
        return [completion for d in self._reasoning() for completion in d.completions()]

    def _record(self, step: int) -> None:
        self.run.append_completions(
            {
                "step": step + 1,
                "id": d.group.example.id,
                "prompt": d.group.example.question,
                "reference": d.group.example.answer,
                "completion": c.text,
                "tokens": c.tokens,
                "finish": c.finish_reason,
                "rewards": told.rewards,
                "reward": told.total,
            }
            for d in self.newest
            for c, told in zip(d.group.completions, d.completions(), strict=True)
        )


def _metrics(
    drawn: Sequence[ScoredGroup], reasoning: Sequence[ScoredGroup], config: GrpoConfig
) -> dict[str, Any]:
    """What is logged of a rollout: shares and means over its completions.

    Args:
        drawn: all groups, whose rewards are told of.
        reasoning: those of them whose completions are told of: not those of general prompts.
    """
    completions = [c for d in reasoning for c in d.group.completions]
    right = [value for d in reasoning for value in d.right]
    said = [(c.text, extract(d.group.example, c)) for d in reasoning for c in d.group.completions]
    again = [rechecks(text, one.extracted) for text, one in said]
    known_again = [r for r, a in zip(right, again, strict=True) if a and r is not None]
    counts = dict.fromkeys(ADVANTAGE_BINS, 0)
    scaling = config.reward_scaling or RewardScaling.group
    for value in itertools.chain(*advantages([d.totals for d in drawn], scaling)):
        counts[next(name for name, edge in ADVANTAGE_BINS.items() if value <= edge)] += 1
    names = drawn[0].scores
    rewards = {f"reward/{n}": _mean(v for d in drawn for v in d.scores[n]) for n in names}
    return {
        "reward": _mean(total for d in drawn for total in d.known),
        "reward_std": fmean(pstdev(d.known) if d.known else 0.0 for d in drawn),
        "right": fmean(known) if (known := [r for r in right if r is not None]) else None,
        "completion_tokens": fmean(c.tokens for c in completions),
        "truncated": fmean(c.finish_reason == "length" for c in completions),
        "thinks": fmean(shows_work(text, one.thought, one.extracted) for text, one in said),
        "rechecks": fmean(again),
        "right_when_rechecking": fmean(known_again) if known_again else None,
        "zero_spread_trained": fmean(d.spreadless for d in drawn),
        "advantages": counts,
        **rewards,
    }


def _mean(values: Iterable[float | None]) -> float:
    """Of those that are known; no number where none is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else float("nan")


def lookup(name: str) -> Callable[..., list[float | None]]:
    """A TRL reward function that hands on what the rollout has scored already."""

    def score(prompts: list[Any], **columns: Any) -> list[float | None]:
        scores: list[float | None] = columns[f"score_{name}"]
        return scores

    score.__name__ = name
    return score
