"""What a run does at once, by its settings and the lengths of what it learns from.

Leaves out the bytes that this takes: `reasonkit.training.memory`.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reasonkit.config import (
    CommonConfig,
    Distillation,
    DistillConfig,
    GrpoConfig,
    VerifierConfig,
)

if TYPE_CHECKING:
    from reasonkit.plan import Plan
    from reasonkit.training.memory import Load, MemoryPlan
    from reasonkit.training.micro_batches import Lengths
    from reasonkit.training.shapes import ModelShape


@dataclass(frozen=True, slots=True)
class Room:
    """What memory a run depends on, once its model is known.

    Attributes:
        process: bytes that are held without the model.
        there: bytes that this process may hold in all.
        prompt: tokens of the longest prompt; ``usual`` are those of most.
        shares: whether a group's prompt goes through the model once (`training.scoring`).
        parts, gpu, beside: as of `reasonkit.training.memory.Load`.
    """

    shape: ModelShape
    process: int
    there: int
    prompt: int
    shares: bool
    parts: int = 1
    gpu: int = 0
    beside: int = 0
    usual: int = 0

    def needs(self, plan: Plan[Any], config: CommonConfig, lengths: Sequence[int]) -> MemoryPlan:
        """The memory that a run takes, with these settings and completions of these lengths.

        Args:
            lengths: in tokens, as seen, by group; of traces with their prompts. Empty for those
                that are as long as they may be.
        """
        from reasonkit.training import memory

        source = plan.model.source
        load = self.load(config, lengths)
        if config.rows is None:
            most = memory.rows_that_fit(self.shape, config, load, self.there - self.process, source)
            load = dataclasses.replace(load, rows=max(1, min(load.rows, most)))
        return memory.plan(self.shape, config, load, self.process, source)

    def load(self, config: CommonConfig, lengths: Sequence[int] = ()) -> Load:
        """What a run does at once; arguments are those of `needs`."""
        from reasonkit.generation.local import ROWS
        from reasonkit.training.memory import Load

        assert config.max_completion_tokens
        rows, columns = config.rows or ROWS, self.prompt + config.max_completion_tokens
        load = Load(rows, columns, 0, 0, parts=self.parts, gpu=self.gpu, beside=self.beside)
        if isinstance(config, GrpoConfig):
            return self._of_groups(load, config, lengths)
        if isinstance(config, VerifierConfig):
            return self._of_solutions(load, config)
        if isinstance(config, DistillConfig):
            return self._of_traces(load, config, lengths)
        return load

    def _of_groups(self, load: Load, config: GrpoConfig, lengths: Sequence[int]) -> Load:
        from reasonkit.training.micro_batches import PASS_ROWS, computed

        assert config.micro_batch and config.prompts_per_step and config.group_size
        assert config.max_completion_tokens
        batch, prompts = config.micro_batch, config.prompts_per_step
        longest = max(lengths or [config.max_completion_tokens])
        shared = self.shares and not (config.lora or config.gradient_checkpointing)
        rows = self._together(config, lengths, shared)
        at_once = max(config.group_size * prompts, config.validation_size)
        return dataclasses.replace(
            load,
            rows=min(load.rows, at_once) if lengths else load.rows,
            columns=self.prompt + longest,
            tokens=computed(rows, batch, shared),
            # Of whole rows TRL scores the prompts too, but where Triton is.
            scored=(longest + (0 if shared else self.prompt)) * min(PASS_ROWS, batch),
            reused=sum(row.prompt_tokens for row in rows) if shared else 0,
            passes=math.ceil(batch / PASS_ROWS),
            several=config.group_size * prompts > batch * self.parts,
        )

    def _of_solutions(self, load: Load, config: VerifierConfig) -> Load:
        assert config.micro_batch
        tokens = config.micro_batch * load.columns
        return dataclasses.replace(load, tokens=tokens, scored=tokens)

    def _of_traces(self, load: Load, config: DistillConfig, lengths: Sequence[int]) -> Load:
        assert config.micro_batch_tokens and config.batch_tokens and config.max_completion_tokens
        longest = config.max_completion_tokens
        tokens, several = max(config.micro_batch_tokens, longest), True
        rows = config.validation_size
        if config.objective == Distillation.on_policy:
            rows = max(rows, config.batch_tokens // longest)
            tokens = max(1, tokens // longest) * load.columns
        elif lengths:
            tokens, several = self._packed(config, lengths)
        rows = min(load.rows, rows)
        return dataclasses.replace(load, rows=rows, tokens=tokens, scored=tokens, several=several)

    def _packed(self, config: DistillConfig, lengths: Sequence[int]) -> tuple[int, bool]:
        """Tokens of the largest micro-batch of traces, and whether there are several."""
        from reasonkit.training.packing import lay_out

        assert config.batch_tokens and config.micro_batch_tokens
        batches = (config.batch_tokens, config.micro_batch_tokens)
        laid = lay_out(lengths, *batches, epochs=1, seed=config.seed, processes=self.parts)
        lines = [[sum(lengths[n] for n in pack) for pack in micro] for micro in laid.micro_batches]
        return max(len(micro) * max(micro) for micro in lines), len(lines) > self.parts

    def _together(
        self, config: GrpoConfig, lengths: Sequence[int], shared: bool
    ) -> Sequence[Lengths]:
        """The largest micro-batch of a rollout whose completions have these lengths, by group.

        Where none are known: one of the longest completions, of as many prompts as there can be.
        """
        from reasonkit.training.micro_batches import Lengths, arranged, computed

        assert config.micro_batch and config.prompts_per_step and config.group_size
        assert config.max_completion_tokens
        size, group, prompts = config.micro_batch, config.group_size, config.prompts_per_step
        if not lengths:
            longest = config.max_completion_tokens
            return [Lengths(i % prompts, self.prompt, longest) for i in range(size)]
        count = max(size, group * prompts // self.parts)
        rows = [
            Lengths(i // group, self.usual or self.prompt, length)
            for i, length in zip(range(count), itertools.cycle(lengths), strict=False)
        ]
        order = arranged(rows, size, shared)
        batches = [[rows[i] for i in order[at : at + size]] for at in range(0, count, size)]
        return max(batches, key=lambda batch: computed(batch, size, shared))
