"""Supervised fine-tuning on traces through TRL's SFTTrainer: completions only, packed.

What TRL does not do is done here: rows are encoded without a template's interference, packed into
lines of their own and checked before a step is taken; the order of a run is laid out beforehand; a
checkpoint is published whole or not at all; the best epoch by validation is what is kept.

Leaves out runs over several processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from datasets import Dataset
from torch.utils.data import Sampler, SequentialSampler
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from reasonkit import console
from reasonkit.config import DistillConfig
from reasonkit.errors import RunError
from reasonkit.generation.local import LocalEngine, evaluating
from reasonkit.models import precision
from reasonkit.runs import Run
from reasonkit.training import epochs, head
from reasonkit.training.adapters import adapter
from reasonkit.training.checked import Checked
from reasonkit.training.encoding import IGNORED, Row, check
from reasonkit.training.packing import Layout, Pack, lay_out
from reasonkit.training.settings import shared
from reasonkit.training.trackers import trl_trackers

Batch = dict[str, torch.Tensor]

SAME = 0.03
"""Logits that differ by less than this share of the largest are the same, in bfloat16 too."""


class Trainer(Checked, SFTTrainer):  # type: ignore[misc]
    """SFTTrainer that keeps the order it is given."""

    config: DistillConfig

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Sampler[int]:
        return SequentialSampler(self.train_dataset)

    def publish(self, written: Path) -> None:
        """As a checkpoint; old ones go, but not the best."""
        epochs.publish(self.run, self.config, written)


class Collator:
    """Makes a batch of the packs of a micro-batch.

    A pack is a line of rows, each with positions from 0 on, by which transformers keeps them apart;
    a padding token is a sequence of its own.

    Args:
        rows: what the packs' numbers stand for.
        pad: id of the padding token.
    """

    def __init__(self, rows: Sequence[Row], pad: int) -> None:
        self.rows = rows
        self.pad = pad

    def __call__(self, items: Sequence[dict[str, list[Pack]]]) -> Batch:
        """Ids, labels and positions, of shape (packs, longest pack)."""
        packs = [pack for item in items for pack in item["packs"]]
        ids = [[i for n in pack for i in self.rows[n].ids] for pack in packs]
        labels = [[i for n in pack for i in self.rows[n].labels] for pack in packs]
        positions = [[i for n in pack for i in range(len(self.rows[n].ids))] for pack in packs]
        longest = max(map(len, ids))

        def tensor(lines: Sequence[list[int]], filler: int) -> torch.Tensor:
            return torch.tensor([line + [filler] * (longest - len(line)) for line in lines])

        return {
            "input_ids": tensor(ids, self.pad),
            "labels": tensor(labels, IGNORED),
            "position_ids": tensor(positions, 0),
        }


def arguments(config: DistillConfig, layout: Layout, output: Path) -> SFTConfig:
    """TRL's settings from ours; an item of the data set is a whole micro-batch."""
    assert config.epochs
    return SFTConfig(
        **shared(config, output),
        max_steps=layout.updates * config.epochs,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=layout.accumulation,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        logging_steps=1,
        report_to=trl_trackers(config),
        project="reasonkit",
        run_name=output.parent.parent.name,
    )


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    config: DistillConfig,
    run: Run,
    lora_targets: Sequence[str] | str,
    validate: Callable[[int, LocalEngine], dict[str, float]],
    report: Callable[[epochs.Record], None],
) -> epochs.Tuned:
    """Trains a student, from the run's newest whole checkpoint if it has one.

    Args:
        rows: what is learned; at least one.
        config: fully resolved.
        lora_targets: modules that get an adapter where the config asks for LoRA.
        validate: called with the epoch and an engine over the student.
        report: called with each logged record.

    Raises:
        RunError: a trace would not be learned to its end, or the best checkpoint is damaged.
    """
    assert config.epochs and config.batch_tokens and config.micro_batch_tokens
    collator = Collator(rows, tokenizer.pad_token_id)
    apart = keeps_apart(model, collator)
    if not apart:
        console.note("this model doesn't keep packed traces apart: each has a line of its own")
    layout = lay_out(
        [len(row.ids) for row in rows],
        config.batch_tokens,
        config.micro_batch_tokens,
        config.epochs,
        config.seed,
        packed=apart,
    )
    written = epochs.staging(run)
    right = head.is_fused_right(model)
    trainer = Trainer(
        model=model,
        args=arguments(config, layout, written),
        processing_class=tokenizer,
        data_collator=collator,
        train_dataset=Dataset.from_dict({"packs": layout.micro_batches}),
        peft_config=adapter(config, lora_targets, model),
    )
    head.mend(trainer, right)
    trainer.run, trainer.config = run, config
    _check_first(trainer, tokenizer, rows, layout)
    engine = LocalEngine(trainer.model, tokenizer, products=precision.products(config))
    sizes = [
        sum(len(rows[n].ids) for pack in micro for n in pack) for micro in layout.micro_batches
    ]

    def measured(logs: dict[str, float]) -> epochs.Record:
        step = trainer.state.global_step
        new = sizes[(step - 1) * layout.accumulation : step * layout.accumulation]
        watch.counters.tokens_trained += sum(new)
        return {"entropy": logs["entropy"], "token_accuracy": logs["mean_token_accuracy"]}

    watch = epochs.Watch(
        run,
        layout.updates,
        config.epochs,
        lambda epoch: validate(epoch, engine),
        report,
        measured,
    )
    return epochs.go_through(trainer, watch, config, written)


def keeps_apart(model: PreTrainedModel, collator: Collator) -> bool:
    """Whether a row's logits are the same behind another row of its pack as by themselves."""
    if len(collator.rows) < 2:
        return True
    with evaluating(model):
        behind, alone = (
            model(
                input_ids=batch["input_ids"].to(model.device),
                position_ids=batch["position_ids"].to(model.device),
                use_cache=False,
            ).logits[0, -len(collator.rows[1].ids) :]
            for batch in (collator([{"packs": [pack]}]) for pack in ([0, 1], [1]))
        )
    return float((behind - alone).abs().max()) < SAME * float(alone.abs().max())


def _check_first(
    trainer: Trainer, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], layout: Layout
) -> None:
    """Every row is whole, and the trainer's own first batch has them so.

    Raises:
        RunError: something of a trace would not be learned.
    """
    for row in rows:
        check(tokenizer, row, row.labels)
    batch = next(iter(trainer.get_train_dataloader()))
    for line, pack in zip(batch["labels"].tolist(), layout.micro_batches[0], strict=True):
        start = 0
        for number in pack:
            stop = start + len(rows[number].ids)
            check(tokenizer, rows[number], line[start:stop])
            start = stop
    if not (batch["labels"] != IGNORED).any():
        raise RunError("the first batch has nothing to learn")
