"""Packed training is training on each trace by itself, on its completion alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from reasonkit import runs
from reasonkit.config import DistillConfig
from reasonkit.errors import RunError
from reasonkit.generation.local import LocalEngine
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.training import sft
from reasonkit.training.encoding import IGNORED, Row, encode
from reasonkit.types import Completion, Example, Group, Trace

TEXTS = (
    "<think>2+3=5</think><answer>5</answer>",
    "<think>2*3-1=6-1=5</think><answer>5</answer>",
    "5",
)


def rows(tokenizer: object) -> list[Row]:
    traces = [
        Trace(
            Group(
                Example(str(i), "t", ({"role": "user", "content": f"What is {i}?"},), "5"),
                [Completion(text, (), "stop")],
            )
        )
        for i, text in enumerate(TEXTS * 3)
    ]
    return [row for row in encode(tokenizer, traces) if row is not None]


def test_a_pack_has_the_loss_of_its_rows_one_by_one(tmp_path: Path) -> None:
    resolved = resolve("abacus-mini")
    tokenizer, model = load_tokenizer(resolved)[0], load_model(resolved, "cpu", "float32")
    own = rows(tokenizer)
    collator = sft.Collator(own, tokenizer.pad_token_id)
    batch = collator([{"packs": [[0, 1, 2, 3], [4, 5]]}, {"packs": [[6, 7, 8]]}])
    assert batch["input_ids"].shape == batch["labels"].shape == batch["position_ids"].shape
    with torch.no_grad():
        logits = model(
            input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False
        ).logits
        packed = cross_entropy(
            logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), reduction="none"
        )
        alone = torch.cat(
            [
                cross_entropy(
                    model(input_ids=torch.tensor([row.ids])).logits[0, row.prompt - 1 : -1],
                    torch.tensor(row.learned),
                    reduction="none",
                )
                for row in own
            ]
        )
    learned = batch["labels"][:, 1:].flatten() != IGNORED
    torch.testing.assert_close(packed[learned], alone)


def test_a_model_that_does_not_keep_packed_rows_apart_is_noticed() -> None:
    resolved = resolve("abacus-mini")
    tokenizer, model = load_tokenizer(resolved)[0], load_model(resolved, "cpu", "float32")
    collator = sft.Collator(rows(tokenizer), tokenizer.pad_token_id)
    assert sft.keeps_apart(model, collator)
    forward = model.forward

    def forgetful(input_ids: torch.Tensor, position_ids: torch.Tensor, **more: object) -> object:
        return forward(input_ids=input_ids, **more)

    model.forward = forgetful
    assert not sft.keeps_apart(model, collator)


CONFIG = DistillConfig(
    max_completion_tokens=60, epochs=2, batch_tokens=256, micro_batch_tokens=256,
    learning_rate=1e-3, warmup_steps=0, device="cpu",
)  # fmt: skip


def trained(folder: Path) -> tuple[list[dict], dict[str, torch.Tensor]]:
    resolved = resolve("abacus-mini")
    tokenizer, model = load_tokenizer(resolved)[0], load_model(resolved, "cpu", "float32")
    run = runs.create("distill", "abacus-mini", "t", {"seed": 0}, folder, [])
    looks = {"validation": 0.5, "validation_low": 0.4, "validation_high": 0.6}
    own = rows(tokenizer)
    tuned = sft.train(
        model,
        LocalEngine(model, tokenizer),
        own,
        CONFIG,
        run,
        (),
        lambda epoch, engine: looks,
        lambda record: None,
    )
    return list(run.metrics()), tuned.policy.state_dict()


def test_the_loss_is_the_mean_over_the_tokens_of_an_update(tmp_path: Path) -> None:
    metrics, _ = trained(tmp_path / "run")
    resolved = resolve("abacus-mini")
    tokenizer, model = load_tokenizer(resolved)[0], load_model(resolved, "cpu", "float32")
    own = rows(tokenizer)
    layout = sft.lay_out([len(row.ids) for row in own], 256, 256, 2, 0)
    batch = sft.Collator(own, 0)([{"packs": layout.micro_batches[0]}])
    with torch.no_grad():
        logits = model(
            input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False
        ).logits
        expected = cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten())
    assert metrics[1]["loss"] == pytest.approx(float(expected), rel=1e-4)
    assert metrics[-1]["epoch"] == 2
    assert metrics[-1]["tokens_trained"] == 2 * sum(len(row.ids) for row in own)
    assert metrics[-1]["loss"] < metrics[1]["loss"]


def test_the_same_settings_give_the_same_weights(tmp_path: Path) -> None:
    (_, one), (_, other) = trained(tmp_path / "one"), trained(tmp_path / "other")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_collator_that_loses_a_token_is_noticed_before_a_step_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = sft.Collator.__call__

    def lossy(self: sft.Collator, items: list) -> sft.Batch:
        batch = honest(self, items)
        batch["labels"][batch["labels"] == self.rows[0].ids[-1]] = IGNORED
        return batch

    monkeypatch.setattr(sft.Collator, "__call__", lossy)
    with pytest.raises(RunError, match="end of sequence"):
        trained(tmp_path / "run")
    assert not list(runs.open_run(tmp_path / "run").metrics())
