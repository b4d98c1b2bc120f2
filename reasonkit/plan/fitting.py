"""Whether a run has room on this machine, how many rows it samples at once, and what makes it fit.

Rows come from what is free, as many as `reasonkit.generation.local.ROWS`; no result's distribution
depends on them. What else may be changed, only ``--fit`` changes, in the order of `CHANGES`, from
what costs least to what costs most; what is not needed in the end is left as it was.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import filesize

from reasonkit import console, processes
from reasonkit.config import (
    CommonConfig,
    Config,
    DistillConfig,
    Optimizer,
    TrainingConfig,
    UpdatesConfig,
)
from reasonkit.errors import RefusedError
from reasonkit.plan import Plan
from reasonkit.plan.machine import QUANTIZED, installed
from reasonkit.plan.room import Room

if TYPE_CHECKING:
    from rich.table import Table
    from transformers import PreTrainedModel

    from reasonkit.training.memory import MemoryPlan

Change = Callable[[Any], Any]
"""Settings with something in them changed; the same ones where nothing can be."""


def _smaller_batches(config: Any) -> Any:
    """Half the micro-batch, or the largest divisor of it that is no more."""
    if isinstance(config, DistillConfig):
        assert config.micro_batch_tokens and config.max_completion_tokens
        half = config.micro_batch_tokens // 2
        if half < config.max_completion_tokens:
            return config
        return dataclasses.replace(config, micro_batch_tokens=half)
    batch = config.micro_batch
    smaller = max((d for d in range(1, batch // 2 + 1) if batch % d == 0), default=batch)
    return dataclasses.replace(config, micro_batch=smaller)


def _adapters(config: Any) -> Any:
    return dataclasses.replace(config, lora=True) if isinstance(config, TrainingConfig) else config


def _quantized(config: Any) -> Any:
    adapted = isinstance(config, TrainingConfig) and config.lora
    return dataclasses.replace(config, load_in_4bit=True) if adapted else config


CHANGES: tuple[tuple[Change, bool], ...] = (
    *[(_smaller_batches, False)] * 12,
    (lambda config: dataclasses.replace(config, rows=None), False),
    (lambda config: dataclasses.replace(config, gradient_checkpointing=True), False),
    (lambda config: dataclasses.replace(config, optimizer=Optimizer.adamw_8bit), True),
    (_adapters, False),
    (_quantized, True),
)
"""What ``--fit`` may do, the cheapest first, and whether it takes bitsandbytes."""


def settle(
    plan: Plan[Config], model: PreTrainedModel, prompts: tuple[int, int], before: int
) -> Plan[Config]:
    """The plan with its rows settled, and what ``--fit`` changes.

    Args:
        model: loaded.
        prompts: tokens of the longest, and of most.
        before: bytes that are held without it, as of `reasonkit.training.memory.process`.

    Raises:
        RefusedError: with ``--fit``, nothing makes it fit.
    """
    from reasonkit.generation.local import ROWS
    from reasonkit.models import precision
    from reasonkit.training import memory, peaks, scoring, shapes

    config, device = plan.config, precision.device(plan.config.device)
    products = precision.products(config)
    if getattr(config, "on_first", False):
        shape = shapes.shape_by(model.config, products)
    else:
        shape = shapes.shape_of(model, products)
    room = Room(
        shape=shape,
        process=max(processes.gathered(before)),
        there=min(processes.gathered(peaks.available(device)))
        // (processes.local_size() if device == "cpu" else 1),
        prompt=prompts[0],
        usual=prompts[1],
        shares=scoring.can_share(model, model),
        parts=processes.size(),
    )
    plan = dataclasses.replace(plan, room=room)
    needed = room.needs(plan, config, ())
    if needed.total > room.there:
        there, takes = filesize.decimal(room.there), filesize.decimal(needed.total)
        if isinstance(config, UpdatesConfig) and config.fit:
            config = fitted(plan)
            flags = ", ".join(changed(plan.config, config))
            size = filesize.decimal(room.needs(plan, config, ()).total)
            console.note(f"--fit: {flags}: {size} at most, and there are {there}")
        else:
            advice = "pass --fit" if isinstance(config, UpdatesConfig) else "take a smaller model"
            console.warn(f"this takes {takes} of memory at most, and there are {there}: {advice}")
    if config.rows is None:
        load, left = room.load(config), room.there - room.process
        most = memory.rows_that_fit(room.shape, config, load, left, plan.model.source)
        # A test is answered beside none of an update's states: as many at once as there may be.
        config = dataclasses.replace(config, rows=max(1, min(ROWS, most)))
    if isinstance(config, UpdatesConfig):
        # A resumed run is to have what was chosen, whatever is free then.
        config = dataclasses.replace(config, fit=False)
    return dataclasses.replace(plan, config=config)


def fitted(plan: Plan[Any]) -> Any:
    """Settings with the cheapest changes that make them fit.

    Raises:
        RefusedError: there are none.
    """
    room, quantizes = plan.room, installed("bitsandbytes")
    assert room is not None
    entry = plan.model.entry

    def after(changes: Sequence[Change]) -> Any:
        config = plan.config
        for change in changes:
            config = change(config)
        # Adapters want a higher one; what the user has chosen stays.
        rates = entry.sft if isinstance(config, DistillConfig) else entry.rl
        lora = isinstance(config, TrainingConfig) and config.lora and not plan.config.lora
        if lora and config.learning_rate == rates.learning_rate:
            config = dataclasses.replace(config, learning_rate=rates.lora_learning_rate)
        return config

    def takes(changes: Sequence[Change]) -> int:
        return room.needs(plan, after(changes), ()).total

    def least(allowed: Sequence[Change]) -> list[Change] | None:
        count = next((n for n in range(len(allowed) + 1) if takes(allowed[:n]) <= room.there), None)
        if count is None:
            return None
        taken = list(allowed[:count])
        for place in reversed(range(count)):
            fewer = taken[:place] + taken[place + 1 :]
            if takes(fewer) <= room.there:
                taken = fewer
        return taken

    chosen = least([change for change, extra in CHANGES if quantizes or not extra])
    there = filesize.decimal(room.there)
    if chosen is not None:
        return after(chosen)
    everything = [change for change, _ in CHANGES]
    if (chosen := least(everything)) is None:
        size = filesize.decimal(takes(everything))
        raise RefusedError(
            f"--fit: with {', '.join(changed(plan.config, after(everything)))} this still takes "
            f"{size} of memory, and there are {there}: take a smaller model, or a shorter "
            "--max-completion-tokens"
        )
    raise RefusedError(
        f"--fit: {', '.join(changed(plan.config, after(chosen)))} would fit into the {there} "
        f"there are, and needs bitsandbytes: {QUANTIZED}"
    )


def changed(before: CommonConfig, after: CommonConfig) -> list[str]:
    """What differs, as flags."""
    told = []
    for field in dataclasses.fields(after):
        value = getattr(after, field.name)
        if value != getattr(before, field.name):
            name = f"--{field.name.replace('_', '-')}"
            told.append(name if value is True else f"{name} {'auto' if value is None else value}")
    return told


def show(plan: Plan[Any], lengths: Sequence[int] = ()) -> None:
    """Prints the memory that a run takes by part, beside what there is.

    Args:
        lengths: of completions as they are now, where that is known: a column of its own.
    """
    assert plan.room is not None
    kinds = {"at this length": lengths, "at most": ()} if lengths else {"at most": ()}
    columns = {head: plan.room.needs(plan, plan.config, seen) for head, seen in kinds.items()}
    console.err.print(table("memory", columns, plan.room.there))


def table(title: str, columns: Mapping[str, MemoryPlan], there: int) -> Table:
    """Memory by part, in a column for each plan, beside what there is."""
    from reasonkit.training import memory

    parts = [memory.parts(column) for column in columns.values()]
    rows = [
        (name.replace("_", " "), *(filesize.decimal(part[name]) for part in parts))
        for name in parts[0]
        if any(part[name] for part in parts)
    ]
    last = ("available", *[filesize.decimal(there)] * len(parts))
    return console.table(title, ("part", *columns), [*rows, last], numbers=True)


def predicted(plan: Plan[Any], lengths: Sequence[int] = ()) -> dict[str, int]:
    """Bytes by part, and ``peak``; arguments as of `show`."""
    from reasonkit.training import memory

    assert plan.room is not None
    return memory.parts(plan.room.needs(plan, plan.config, lengths))


def longest(completions: Iterable[Mapping[str, Any]]) -> list[int]:
    """Tokens of each completion of the step that had the most of them, of a run's records."""
    steps: dict[int, list[int]] = defaultdict(list)
    for record in completions:
        steps[record["step"]].append(record["tokens"])
    return max(steps.values(), key=sum, default=[])


def beside(predicted: Mapping[str, int], measured: Mapping[str, int]) -> dict[str, Any]:
    """What was predicted beside what was measured, as it stands in ``summary.json``."""
    return {
        "predicted_bytes": predicted["peak"],
        "measured_bytes": measured["peak"],
        "parts": {
            name: {"predicted_bytes": predicted[name], "measured_bytes": measured[name]}
            for name in predicted
            if name != "peak"
        },
    }
