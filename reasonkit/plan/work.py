"""What a command asks of its devices: completions that are sampled, sequences that are learned.

Neither data nor weights are read: a model's size is that of its entry, or of a configuration that
is here, and prompts and completions are all as long as they may be. Leaves out what only data
tells: sets that are smaller than the settings ask for, and traces that are thrown away.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reasonkit.config import (
    Device,
    Distillation,
    DistillConfig,
    GrpoConfig,
    Only,
    SftRlConfig,
    VerifierConfig,
)
from reasonkit.measuring import times
from reasonkit.models import DEFAULT_TEACHER, entry_for
from reasonkit.models.loading import outline, read_config
from reasonkit.models.resolving import ResolvedModel, resolve
from reasonkit.plan import Plan, by_model, distill, filled, grpo, sft_rl, verifier
from reasonkit.plan.devices import CPU
from reasonkit.plan.room import Room
from reasonkit.rewards import parse
from reasonkit.tasks import Splits, describe, usual_rewards
from reasonkit.tasks.generated import GENERATORS, draw

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig

    from reasonkit.training.shapes import ModelShape


LOOKED_AT, TEMPLATE = 64, 24
"""Questions of a generated task whose characters tell how long its prompts are, and tokens that a
chat template adds."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Completions that are sampled together, ``n`` for each prompt, so many times.

    Attributes:
        shape: of the model that samples.
        measures: whether they measure an accuracy, and nothing is learned from them.
        alone: whether the sampler has its device to itself.
    """

    shape: ModelShape
    prompts: int
    n: int
    times: float
    measures: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Updated:
    """Updates of ``parts`` that no two devices share, each of so many sequences.

    Attributes:
        graded: parameters of another model that reads the sequences.
    """

    parts: int
    rows: int
    times: float
    graded: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What a command, or a stage of one, asks of its devices; the plan has room and shape."""

    plan: Plan[Any]
    sampled: tuple[Sampled, ...]
    updated: Updated

    @property
    def shape(self) -> ModelShape:
        """Of the model that is trained."""
        assert self.plan.room is not None
        return self.plan.room.shape

    @property
    def columns(self) -> int:
        """Tokens of a sequence, its prompt included."""
        return int(self.plan.config.max_prompt_tokens) + self.plan.longest


def works_of(config: Any, name: str) -> Iterator[Work]:
    """What a command does on devices of that name, stage by stage.

    Raises:
        RefusedError: its model or task is unknown.
    """
    parse(getattr(config, "reward", None) or [], "cpu")
    usual = usual_rewards(describe(config.task), Splits([], [], []))
    config = filled(config, reward=[f"{reward}={weight:g}" for reward, weight in usual])
    if not isinstance(config, SftRlConfig):
        yield one_work(config, name, measured=True)
        return
    entry = outlined(config.model)[0].entry
    for number, stage in enumerate(sft_rl.chosen(config)):
        settings = sft_rl.stage_settings(config, stage, entry, config.model, None)
        settings = dataclasses.replace(settings, baselines=config.baselines)
        yield one_work(settings, name, measured=number == 0)


def one_work(config: Any, name: str, measured: bool) -> Work:
    """What a run of `distill`, `grpo` or of a verifier does on devices of that name.

    Args:
        measured: whether test questions are asked before and after.
    """
    from reasonkit.models import precision

    model, _ = outlined(config.model)
    where = Device.cpu if name == CPU else Device.cuda
    config = dataclasses.replace(by_model(config, model.entry), device=where)
    if config.task.partition(":")[0] in GENERATORS:
        seen = draw(config.task, "test", LOOKED_AT)
        most = max(sum(len(str(m["content"])) for m in e.messages) for e in seen) + TEMPLATE
        most += len(config.system_prompt or "")
        config = dataclasses.replace(config, max_prompt_tokens=min(config.max_prompt_tokens, most))
    shape = _shape(config.model, precision.products(config))
    config, sampled, updated, beside = _kinds(config, model, shape)
    room = Room(shape, 0, 0, config.max_prompt_tokens, shares=True, beside=beside)
    plan = Plan(config, model, Splits([], [], []), [], room=room)
    if measured and not isinstance(config, VerifierConfig):
        asked = Sampled(shape, config.test_size, 1, times(plan), measures=True)
        sampled = [*sampled, asked]
    return Work(plan, tuple(sampled), updated)


def _kinds(
    config: Any, model: ResolvedModel, shape: ModelShape
) -> tuple[Any, list[Sampled], Updated, int]:
    """Settings that are settled, what is sampled and learned, and parameters of a teacher held."""
    from reasonkit.models import precision

    entry = model.entry
    if isinstance(config, GrpoConfig):
        config = grpo.by_entry(grpo.by_preset(config), entry)
        batch = config.micro_batch or entry.rl.micro_batch
        config = dataclasses.replace(config, micro_batch=batch)
        prompts, n, steps = config.prompts_per_step, config.group_size, config.steps
        looks = steps // config.validate_every if config.validate_every else 0
        sampled = [
            Sampled(shape, prompts, n, steps),
            Sampled(shape, config.validation_size, 1, looks, measures=True),
        ]
        return config, sampled, Updated(prompts, n, steps * config.updates_per_rollout), 0
    if isinstance(config, VerifierConfig):
        config = verifier.by_entry(config, entry)
        batch = config.micro_batch or entry.verifier.micro_batch
        config = dataclasses.replace(config, micro_batch=batch)
        learned = (1 - config.held_out) * config.questions * config.samples * config.epochs
        updates = math.ceil(learned / config.batch)
        sampled = [Sampled(shape, config.questions, config.samples, 1, alone=True)]
        return config, sampled, Updated(config.batch, 1, updates), 0
    assert isinstance(config, DistillConfig)
    config = distill.by_entry(config, entry)
    looks = Sampled(shape, config.validation_size, 1, config.epochs, measures=True)
    if config.objective == Distillation.on_policy:
        teacher = _shape(config.teacher or DEFAULT_TEACHER, precision.products(config))
        rows = max(1, config.batch_tokens // config.max_completion_tokens)
        updates = config.questions // rows * config.epochs
        updated = Updated(rows, 1, updates, graded=teacher.parameters)
        return config, [Sampled(shape, rows, 1, updates), looks], updated, teacher.parameters
    sampled = []
    if config.traces is None and config.endpoint is None:
        teacher = _shape(config.teacher or DEFAULT_TEACHER, precision.products(config))
        sampled = [Sampled(teacher, config.questions, config.samples, 1, alone=True)]
    if config.only == Only.traces:
        return config, sampled, Updated(1, 1, 0), 0
    kept = min(config.samples, config.per_question or config.samples) * config.questions
    rows = max(1, config.batch_tokens // (config.max_prompt_tokens + config.max_completion_tokens))
    return config, [*sampled, looks], Updated(rows, 1, math.ceil(kept / rows) * config.epochs), 0


def outlined(name: str) -> tuple[ResolvedModel, PreTrainedConfig]:
    """A model that needn't be here, and its configuration.

    Raises:
        RefusedError: neither the registry nor a file says how large it is.
    """
    entry = entry_for(name)
    if entry.parameters:
        return ResolvedModel(entry, entry.source), outline(entry)
    found = resolve(name)
    return found, read_config(found)


@functools.cache
def _shape(name: str, products: torch.dtype | None) -> ModelShape:
    from reasonkit.training import shapes

    return shapes.shape_by(outlined(name)[1], products)
