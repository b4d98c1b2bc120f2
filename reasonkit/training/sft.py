"""Supervised fine-tuning on traces through TRL's SFTTrainer: completions only, packed.

What TRL does not do is done here: rows are encoded without a template's interference, packed into
lines of their own and checked before a step is taken; the order of a run is laid out beforehand; a
checkpoint is published whole or not at all; the best epoch by validation is what is kept. Several
processes share out the micro-batches of an update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from datasets import Dataset
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from reasonkit import console, processes
from reasonkit.config import DistillConfig
from reasonkit.errors import RunError
from reasonkit.generation.engine import Engine, TokenEngine
from reasonkit.generation.local import evaluating
from reasonkit.runs import Run
from reasonkit.training import checkpoints, fused_logits
from reasonkit.training.adapters import adapter
from reasonkit.training.callbacks import Record, Watch
from reasonkit.training.encoding import IGNORED, Row, check
from reasonkit.training.packing import Layout, Pack, lay_out
from reasonkit.training.trainer import RunTrainer, Trained, shared

Batch = dict[str, torch.Tensor]

TRIED = 64
"""Tokens of a row on which a model is tried."""

SAME = 0.03
"""Logits that differ by less than this share of the largest are the same, in bfloat16 too."""


class Trainer(RunTrainer, SFTTrainer):  # type: ignore[misc]
    """SFTTrainer as a trainer of ours."""


@dataclass(frozen=True, slots=True)
class Collator:
    """Makes a batch of the packs of a micro-batch, whose numbers stand for these rows.

    A pack is a line of rows, each with positions from 0 on, by which transformers keeps them apart;
    a padding token is a sequence of its own.
    """

    rows: Sequence[Row]
    pad: int

    def __call__(self, items: Sequence[dict[str, list[Pack]]]) -> Batch:
        """Ids, labels and positions, of shape (packs, longest pack)."""
        packs = [pack for item in items for pack in item["packs"]]

        def tensor(of: Callable[[Row], Iterable[int]], filler: int) -> torch.Tensor:
            # Of an empty pack there is nothing to predict.
            taken = [[i for n in pack for i in of(self.rows[n])] or [filler] * 2 for pack in packs]
            lines = [torch.tensor(line) for line in taken]
            return pad_sequence(lines, batch_first=True, padding_value=filler)

        return {
            "input_ids": tensor(lambda row: row.ids, self.pad),
            "labels": tensor(lambda row: row.labels, IGNORED),
            "position_ids": tensor(lambda row: range(len(row.ids)), 0),
        }


def train(
    model: PreTrainedModel,
    engine: TokenEngine,
    rows: Sequence[Row],
    config: DistillConfig,
    run: Run,
    lora_targets: Sequence[str] | str,
    validate: Callable[[int, Engine], dict[str, float]],
    report: Callable[[Record], None],
) -> Trained:
    """Trains a student, from the run's newest whole checkpoint if it has one.

    Args:
        engine: samples from the policy.
        rows: what is learned; at least one.
        config: fully resolved.
        lora_targets: modules that get an adapter where the config asks for LoRA.
        validate: as `Watch` has it, and ``report`` too.

    Raises:
        RunError: a trace would not be learned to its end, or the best checkpoint is damaged.
    """
    assert config.epochs and config.batch_tokens and config.micro_batch_tokens
    tokenizer = engine.tokenizer
    collator = Collator(rows, tokenizer.pad_token_id)
    apart = processes.from_main(lambda: keeps_apart(model, collator))
    if not apart:
        console.note("this model doesn't keep packed traces apart: each has a line of its own")
    layout = lay_out(
        [len(row.ids) for row in rows],
        config.batch_tokens,
        config.micro_batch_tokens,
        config.epochs,
        config.seed,
        packed=apart,
        processes=processes.size(),
    )
    right = processes.from_main(lambda: fused_logits.is_fused_right(model))
    trainer = Trainer(
        model=model,
        args=SFTConfig(
            **shared(config, checkpoints.emptied(run), layout.updates * config.epochs),
            # An item of the data set is a whole micro-batch.
            per_device_train_batch_size=1,
            gradient_accumulation_steps=layout.accumulation // processes.size(),
            dataset_kwargs={"skip_prepare_dataset": True},
            max_length=None,
        ),
        processing_class=tokenizer,
        data_collator=collator,
        train_dataset=Dataset.from_dict({"packs": layout.micro_batches}),
        peft_config=adapter(config, lora_targets, model),
    )
    fused_logits.mend(trainer, right)
    _check_first(trainer, tokenizer, rows, layout)
    sizes = [
        sum(len(rows[n].ids) for pack in micro for n in pack) for micro in layout.micro_batches
    ]

    def measured(logs: Mapping[str, float]) -> Record:
        step = trainer.state.global_step
        new = sizes[(step - 1) * layout.accumulation : step * layout.accumulation]
        watch.counters.tokens_trained += sum(new)
        numbers = {name: logs[name] for name in ("loss", "entropy")}
        return {**numbers, "token_accuracy": logs["mean_token_accuracy"]}

    watch = Watch(
        run,
        report,
        measured,
        validate,
        validate_every=layout.updates,
        by_epoch=True,
    )
    return trainer.fit(config, watch, engine)


def keeps_apart(model: PreTrainedModel, collator: Collator) -> bool:
    """Whether a row's logits are the same behind another row of its pack as by themselves."""
    if len(collator.rows) < 2:
        return True
    rows = [replace(row, ids=row.ids[:TRIED]) for row in collator.rows[:2]]
    collator = Collator(rows, collator.pad)
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
    own = layout.micro_batches[processes.rank()]
    for line, pack in zip(batch["labels"].tolist(), own, strict=True):
        for row in map(rows.__getitem__, pack):
            check(tokenizer, row, line[: len(row.ids)])
            del line[: len(row.ids)]
    if not any(processes.gathered(bool((batch["labels"] != IGNORED).any()))):
        raise RunError("the first batch has nothing to learn")
