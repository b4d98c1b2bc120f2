"""When a policy has collapsed; numbers that are none are never published by any trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from reasonkit import runs
from reasonkit.config import DistillConfig, GrpoConfig, VerifierConfig
from reasonkit.errors import NotFiniteError, RunError
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.objectives import PRESETS
from reasonkit.rewards import parse
from reasonkit.rewards.guard import Guard
from reasonkit.training import grpo, on_policy, sft, verifier
from reasonkit.training.encoding import encode
from reasonkit.training.rollback import Standing, standing
from reasonkit.training.solutions import Solution
from reasonkit.training.trainer import RunTrainer
from reasonkit.types import Completion, Example, Group, Trace

SHIPPED = resolve("abacus-mini")
TOKENIZER = load_tokenizer(SHIPPED)[0]
EXAMPLES = [
    Example(str(i), "t", ({"role": "user", "content": f"What is {i}+{i}?"},), str(2 * i))
    for i in range(8)
]
LOOKS = {"validation": 0.5, "validation_low": 0.4, "validation_high": 0.6}
COMMON = {
    "learning_rate": 1e-3, "warmup_steps": 0, "save_every": 1, "device": "cpu",
    "max_completion_tokens": 8, "temperature": 1.0,
}  # fmt: skip


OBJECTIVE = {
    name: value
    for name, value in asdict(PRESETS["dapo"]).items()
    if name in {field.name for field in fields(GrpoConfig)}
}


def by_grpo(run: runs.Run, **more: Any) -> object:
    settled = GrpoConfig(
        group_size=2, prompts_per_step=2, micro_batch=2, steps=4, validate_every=2,
        **OBJECTIVE, **COMMON,
    )  # fmt: skip
    rewards = parse(["format=1"])
    model = load_model(SHIPPED, "cpu", "float32")
    return grpo.train(
        model, LocalEngine(model, TOKENIZER, trains=True), EXAMPLES, [], replace(settled, **more),
        Guard(rewards, 9.0), run, (), lambda step, engine: LOOKS, lambda record, seen: None,
        lambda step, sign: None,
    )  # fmt: skip


def by_sft(run: runs.Run, **more: Any) -> object:
    config = DistillConfig(epochs=4, batch_tokens=256, micro_batch_tokens=256, **COMMON)
    said = [(e, Completion(f"<think>{e.answer}</think>", (), "stop")) for e in EXAMPLES]
    traces = [Trace(Group(example, [completion])) for example, completion in said]
    rows = [row for row in encode(TOKENIZER, traces) if row is not None]
    model = load_model(SHIPPED, "cpu", "float32")
    return sft.train(
        model, LocalEngine(model, TOKENIZER), rows, replace(config, **more), run, (),
        lambda epoch, engine: LOOKS, lambda record: None,
    )  # fmt: skip


def by_on_policy(run: runs.Run, **more: Any) -> object:
    config = DistillConfig(epochs=2, batch_tokens=32, micro_batch_tokens=16, **COMMON)
    student, teacher = (load_model(SHIPPED, "cpu", "float32") for _ in range(2))
    return on_policy.train(
        student, teacher, LocalEngine(student, TOKENIZER), EXAMPLES, replace(config, **more), run,
        (), lambda epoch, engine: LOOKS, lambda record: None,
    )  # fmt: skip


def by_verifier(run: runs.Run, **more: Any) -> object:
    config = VerifierConfig(batch=2, micro_batch=1, lm_weight=0.5, **COMMON)
    solutions = [
        Solution(
            TOKENIZER(f"{i}+1=").input_ids,
            (ids := TOKENIZER(str(i + j)).input_ids),
            [j == 1] * len(ids),
        )
        for i in range(4)
        for j in (1, 2)
    ]
    model = load_model(SHIPPED, "cpu", "float32")
    return verifier.train(model, TOKENIZER, solutions, replace(config, **more), run, lambda _: None)


TRAINERS = [by_grpo, by_sft, by_on_policy, by_verifier]
Train = Callable[..., object]


def new(folder: Path) -> runs.Run:
    return runs.create("grpo", "abacus-mini", "t", {"seed": 0}, folder, [])


def assert_published_are_finite(run: runs.Run) -> None:
    for path in run.checkpoints.glob("checkpoint-*/model.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(path).values())


def spoiled_from(limit: float) -> Callable[..., Any]:
    """A norm of the gradient that is no number while the learning rate is above the limit."""
    whole = RunTrainer._get_grad_norm

    def norm(self: RunTrainer, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        if self.state.global_step >= 2 and self.optimizer.param_groups[0]["lr"] > limit:
            for parameter in model.parameters():
                parameter.grad.mul_(float("nan"))
        return whole(self, model, None)

    return norm


@pytest.mark.parametrize("train", TRAINERS)
def test_training_goes_back_and_on_with_half_the_learning_rate(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunTrainer, "_get_grad_norm", spoiled_from(0.51e-3 * 0.5))
    run = new(tmp_path / "run")
    train(run)
    (back,) = run.record["rollbacks"]
    assert 0 <= back["to"] <= back["from"] == 2
    assert "gradient is nan" in back["why"]
    assert_published_are_finite(run)
    steps = [record["step"] for record in run.metrics()]
    assert steps == sorted(set(steps)) and steps[-1] == 4


@pytest.mark.parametrize("train", TRAINERS)
def test_where_every_retry_diverges_the_run_ends_and_publishes_nothing_broken(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunTrainer, "_get_grad_norm", spoiled_from(0.0))
    run = new(tmp_path / "run")
    with pytest.raises(
        RunError, match=r"diverged after step 2, 3 time.* last good checkpoint"
    ) as e:
        train(run)
    assert not isinstance(e.value, NotFiniteError) and "\n" not in str(e.value)
    assert_published_are_finite(run)
    monkeypatch.undo()
    train(run)
    assert [record["step"] for record in run.metrics()][-1] == 4


@pytest.mark.parametrize("train", TRAINERS)
def test_weights_that_are_no_numbers_are_not_published(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = torch.optim.AdamW.step

    def spoiling(self: torch.optim.AdamW, *args: Any, **more: Any) -> Any:
        done = step(self, *args, **more)
        self.param_groups[0]["params"][0].data[0] = float("inf")
        return done

    monkeypatch.setattr(torch.optim.AdamW, "step", spoiling)
    run = new(tmp_path / "run")
    with pytest.raises(RunError, match=r"diverged after step 1, 3 time"):
        train(run)
    assert_published_are_finite(run)


def test_nothing_to_go_back_to_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunTrainer, "_get_grad_norm", spoiled_from(0.0))
    with pytest.raises(RunError, match="no checkpoint was made"):
        by_grpo(new(tmp_path / "run"), save_every=0, validate_every=0)


def test_a_verifier_begins_again_with_the_generators_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = by_verifier(new(tmp_path / "slow"), save_every=9, learning_rate=0.5e-3)
    monkeypatch.setattr(RunTrainer, "_get_grad_norm", spoiled_from(0.51e-3 * 0.5))
    begun = by_verifier(new(tmp_path / "begun"), save_every=9)
    both = zip(slow.policy.parameters(), begun.policy.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in both)


def test_a_loss_that_is_no_number_ends_an_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = sft.Trainer.training_step

    def infinite(self: sft.Trainer, *args: Any, **more: Any) -> torch.Tensor:
        return compute(self, *args, **more) + float("inf")

    monkeypatch.setattr(sft.Trainer, "training_step", infinite)
    with pytest.raises(RunError, match="the loss is inf"):
        by_sft(new(tmp_path / "run"))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_broken_model_samples_nothing(temperature: float) -> None:
    model = load_model(SHIPPED, "cpu", "float32")
    model.model.norm.weight.data[:] = float("nan")
    sampled = LocalEngine(model, TOKENIZER).sample(EXAMPLES, 2, Sampling(8, temperature))
    with pytest.raises(NotFiniteError, match="no numbers"):
        list(sampled)


def records(*accuracies: float) -> list[dict[str, Any]]:
    """Validations with an interval of ±0.1, ten steps apart, and steps between them."""
    made: list[dict[str, Any]] = []
    for i, accuracy in enumerate(accuracies):
        made.append({"step": 10 * i, "validation": accuracy, "validation_low": accuracy - 0.1})
        made.append({"step": 10 * i + 5.0, "reward": 1.0})
    return made


@pytest.mark.parametrize(
    ("accuracies", "best_step", "collapsed"),
    [
        ([], None, False),
        ([0.5], 0, False),
        ([0.5, 0.9, 0.7], 10, False),
        ([0.5, 0.9, 0.7, 0.7], 10, True),
        ([0.5, 0.9, 0.7, 0.85, 0.7], 10, False),
        ([0.5, 0.9, 0.81, 0.82, 0.83], 10, False),
        ([0.5, 0.9, 0.7, 0.9, 0.7], 30, False),
        ([0.9, 0.7, 0.7, 0.95], 30, False),
    ],
)
def test_two_validations_below_the_bests_interval_are_a_collapse(
    accuracies: list[float], best_step: int | None, collapsed: bool
) -> None:
    found = standing(records(*accuracies))
    assert (found.best_step, found.collapsed) == (best_step, collapsed)


def test_of_equal_validations_the_latest_is_best() -> None:
    assert standing(records(0.5, 0.9, 0.9, 0.85)) == Standing(20, 0.9, 0.8, 0)


def test_where_general_prompts_are_taken_in_the_score_decides() -> None:
    accuracy_falls = [
        {
            "step": step,
            "validation": 0.9 - 0.2 * step,
            "validation_low": 0.8 - 0.2 * step,
            "validation_score": 0.5 + 0.1 * step,
            "validation_score_low": 0.4 + 0.1 * step,
        }
        for step in range(3)
    ]
    found = standing(accuracy_falls)
    assert (found.best_step, found.collapsed) == (2, False)
