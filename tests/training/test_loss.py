"""Every loss that can be trained is computed here by hand, from its formula, and agrees.

A tiny model is really trained through `Trainer` on fixed completions with fixed rewards, in float64
so that rounding can't blur which side of a clip a token is on. At each update its log-probabilities
are worked out apart, one completion at a time and without padding; numpy does the rest. The
gradient is checked too, by the slope of the formula along it: where the ratio is 1, many losses
have a value that says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel as Model
from transformers import PrinterCallback, TrainerCallback
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from reasonkit.config import GrpoConfig
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.objectives import (
    PRESETS,
    Importance,
    KlForm,
    LossType,
    Objective,
    RatioLevel,
    RewardScaling,
)
from reasonkit.training.advantages import advantages
from reasonkit.training.grpo import arguments
from reasonkit.training.importance import BOUND
from reasonkit.training.loss import Trainer
from reasonkit.training.micro_batches import Lengths, computed
from reasonkit.training.rollouts import lookup

Array = NDArray[np.float64]

PROMPTS = [[5, 6, 7, 8], [9, 10], [11, 12, 13, 14, 15, 16]]
LENGTHS = [[3, 7, 5, 12], [6, 6, 2, 9], [4, 4, 10, 1]]
REWARDS = [[1.0, 0.0, 0.0, 1.0], [0.2, 1.0, 0.0, 1.2], [1.0, 1.0, 1.0, 1.0]]
LONGEST = 12
MICRO_BATCHES = 3
ROWS = [(p, n) for p, lengths in enumerate(LENGTHS) for n in lengths]
SHIPPED = resolve("abacus-mini")
STEP = 1e-8
"""Along the unit gradient, for the slope."""


def policy() -> Model:
    return load_model(SHIPPED, "cpu", "float32").eval()


def sampled() -> list[list[int]]:
    """Completions that the policy may well write; those of the full length are cut off."""
    model, end = policy(), load_tokenizer(SHIPPED)[0].eos_token_id
    generator = torch.Generator().manual_seed(0)
    made = []
    for prompt, length in ROWS:
        ids = list(PROMPTS[prompt])
        for _ in range(length):
            with torch.no_grad():
                chances = model(torch.tensor([ids])).logits[0, -1].softmax(-1)
            chances[end] = 0
            ids.append(int(torch.multinomial(chances, 1, generator=generator)))
        completion = ids[len(PROMPTS[prompt]) :]
        made.append(completion if length == LONGEST else [*completion[:-1], end])
    return made


COMPLETIONS = sampled()


@dataclass
class Update:
    """One update as it was trained, and what a copy of the model says of it."""

    loss: float
    grad_norm: float
    logps: list[Array]
    uphill: list[Array]
    downhill: list[Array]
    micro_batches: list[list[int]]
    entropies: list[Array]
    gradient: torch.Tensor
    logged: dict[str, float]


def distributions(model: Model) -> list[torch.Tensor]:
    """Log-probabilities of all tokens at each of a completion's, one completion at a time."""
    found = []
    for (prompt, n), completion in zip(ROWS, COMPLETIONS, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([PROMPTS[prompt] + completion])).logits
        found.append(logits[0, -n - 1 : -1].log_softmax(-1))
    return found


def log_probabilities(found: list[torch.Tensor]) -> list[Array]:
    """Of each completion's tokens."""
    return [
        logps.gather(1, torch.tensor(ids)[:, None])[:, 0].numpy().astype(np.float64)
        for logps, ids in zip(found, COMPLETIONS, strict=True)
    ]


def in_float64(model: Model) -> Model:
    """A copy that computes in float64 throughout; Qwen3's norms go through float32."""
    # A deep copy won't do: TRL gives the model a forward that stays bound to the original.
    exact = type(model)(model.config).double().eval()
    exact.load_state_dict(model.state_dict())

    def normed(norm: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return norm.weight * x * torch.rsqrt((x**2).mean(-1, keepdim=True) + norm.variance_epsilon)

    for module in exact.modules():
        if isinstance(module, Qwen3RMSNorm):
            module.forward = partial(normed, module)
    return exact


class Recorder(TrainerCallback):
    """Looks at the model just before each optimiser step."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.losses: list[float] = []
        self.micro_batches: list[list[int]] = []

    def on_pre_optimizer_step(self, *_: Any, model: Model, **__: Any) -> None:
        exact = in_float64(model)
        grads = [p.grad.double() for p in model.parameters()]
        norm = float(torch.sqrt(sum((g**2).sum() for g in grads)))
        found = distributions(exact)
        here = log_probabilities(found)
        entropies = [-(p.exp() * p).sum(-1).numpy() for p in found]
        sides = []
        for sign in (1, -2):
            with torch.no_grad():
                for p, g in zip(exact.parameters(), grads, strict=True):
                    p.add_(g, alpha=sign * STEP / max(norm, 1e-12))
            sides.append(log_probabilities(distributions(exact)))
        gradient = torch.cat([g.flatten() for g in grads])
        made = (sum(self.losses), norm, here, *sides, self.micro_batches, entropies, gradient)
        self.updates.append(Update(*made, {}))
        self.losses, self.micro_batches = [], []

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        if self.updates and "entropy" in logs:
            self.updates[-1].logged |= logs


def trained(
    objective: Objective,
    updates: int,
    folder: Path,
    sampler: list[Array] | None = None,
    how: Importance = Importance.off,
) -> list[Update]:
    """The updates of one rollout; ``sampler`` has the log-probabilities of what drew it."""
    torch.manual_seed(0)
    model, (tokenizer, _) = in_float64(policy()), load_tokenizer(SHIPPED)
    settings = {
        f.name: getattr(objective, f.name)
        for f in fields(objective)
        if f.name not in ("source", "summary")
    }
    config = GrpoConfig(
        temperature=1.0,
        group_size=4,
        prompts_per_step=len(PROMPTS),
        steps=1,
        updates_per_rollout=updates,
        micro_batch=len(ROWS) // MICRO_BATCHES,
        learning_rate=2e-4,
        warmup_steps=0,
        max_grad_norm=1e9,
        max_completion_tokens=LONGEST,
        save_every=0,
        importance=how,
        **settings,
    )
    rows = [PROMPTS[p] for p, _ in ROWS]
    trainer = Trainer(
        model=model,
        args=arguments(config, folder),
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict({"prompt": [str(i) for i in range(len(PROMPTS))]}),
        reward_funcs=[lookup("fixed")],
        rollout_func=lambda prompts, trainer: {
            "prompt_ids": rows,
            "completion_ids": COMPLETIONS,
            "logprobs": sampler and [logps.tolist() for logps in sampler],
            "score_fixed": [value for group in REWARDS for value in group],
        },
    )
    trainer.config = config
    recorder = Recorder()
    compute = trainer.compute_loss

    def recording(model: Model, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        loss: torch.Tensor = compute(model, inputs, *args, **kwargs)
        ids, lengths = inputs["completion_ids"], inputs["completion_mask"].sum(1)
        texts = [row[:n].tolist() for row, n in zip(ids, lengths, strict=True)]
        recorder.losses.append(loss.item())
        recorder.micro_batches.append([COMPLETIONS.index(t) for t in texts if t])
        return loss

    trainer.compute_loss = recording
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(recorder)
    trainer.train()
    assert len(recorder.updates) == updates
    return recorder.updates


Term = Callable[[Objective, Array, Array, Array, float], Array]


def clipped(o: Objective, ratio: Array, logp: Array, frozen: Array, a: float) -> Array:
    """PPO's clip (arXiv:1707.06347, equation 7), as in GRPO (arXiv:2402.03300, equation 3)."""
    return np.minimum(ratio * a, np.clip(ratio, 1 - o.epsilon_low, 1 + o.epsilon_high) * a)


def cispo(o: Objective, ratio: Array, logp: Array, frozen: Array, a: float) -> Array:
    """arXiv:2506.13585, equation 4: a clipped weight without gradient, times log-probability."""
    return np.minimum(frozen, o.epsilon_high) * a * logp


def sapo(o: Objective, ratio: Array, logp: Array, frozen: Array, a: float) -> Array:
    """arXiv:2511.20347: a soft gate, of temperature 1 where A > 0 and 1.05 elsewhere."""
    t = 1.0 if a > 0 else 1.05
    return 4 / t / (1 + np.exp(-t * (ratio - 1))) * a


def vespo(o: Objective, ratio: Array, logp: Array, frozen: Array, a: float) -> Array:
    """arXiv:2602.10693: a gamma weight of the whole sequence's ratio, without gradient."""
    k, scale = (2.0, 3.0) if a >= 0 else (3.0, 2.0)
    w = np.prod(frozen)
    return np.exp(scale) * w**k * np.exp(-scale * w) * a * logp


TERMS: dict[LossType, Term] = {
    LossType.cispo: cispo,
    LossType.sapo: sapo,
    LossType.vespo: vespo,
}


def by_hand(
    o: Objective,
    logps: list[Array],
    here: list[Array],
    old: list[Array],
    micro_batches: list[list[int]],
    weights: list[Array] | None = None,
) -> float:
    """The loss of a whole update; the reference model is the old policy.

    ``here`` is where stopped gradients are held, and ``weights`` are factors of the advantages.
    """
    flat = [a for group in advantages(REWARDS, o.reward_scaling) for a in group]
    term = TERMS.get(o.loss_type, clipped)
    losses = []
    for i, (logp, at, before, a) in enumerate(zip(logps, here, old, flat, strict=True)):
        if o.mask_truncated and len(COMPLETIONS[i]) == LONGEST:
            # arXiv:2503.14476, section 3.4: overlong filtering.
            losses.append(np.empty(0))
            continue
        ratio, frozen = np.exp(logp - before), np.exp(at - before)
        if o.ratio_level == RatioLevel.sequence:
            # arXiv:2507.18071, equation 7: the geometric mean of a sequence's ratios.
            ratio = np.full_like(ratio, np.exp(np.mean(logp - before)))
        # Schulman's k3 estimator, arXiv:2402.03300, equation 4.
        kl = np.exp(before - logp) - (before - logp) - 1
        if o.kl_form == KlForm.k3_times_ratio:
            kl = kl * ratio
        scored = -term(o, ratio, logp, frozen, a) * (1.0 if weights is None else weights[i])
        losses.append(scored + o.kl_coefficient * kl)
    tokens = sum(map(len, losses))
    per_completion = [loss.sum() for loss in losses]
    match o.loss_type:
        case LossType.grpo | LossType.sapo:
            # arXiv:2402.03300, equation 3: 1/G Σ 1/|o| Σ.
            return float(np.mean([loss.mean() for loss in losses]))
        case LossType.dr_grpo:
            # arXiv:2503.20783, section 3.2: a constant, the longest completion there may be.
            return float(np.mean(per_completion) / LONGEST)
        case LossType.bnpo:
            # TRL: a mean over the tokens of each micro-batch, then over micro-batches.
            means = [np.mean(np.concatenate([losses[i] for i in m])) for m in micro_batches]
            return float(np.mean(means))
        case LossType.luspo:
            # arXiv:2602.05261: 1/G Σ |o| · (mean over o).
            return float(np.mean(per_completion))
        case _:
            # arXiv:2503.14476, equation 8: one mean over the tokens of the whole rollout.
            return float(sum(per_completion) / tokens)


def row(number: int) -> Lengths:
    """A completion as it is laid out."""
    prompt, tokens = ROWS[number]
    return Lengths(prompt, len(PROMPTS[prompt]), tokens)


def check(objective: Objective, updates: int, folder: Path) -> None:
    made = trained(objective, updates, folder)
    old = made[0].logps
    for update in made:
        parts = update.micro_batches
        hand = by_hand(objective, update.logps, update.logps, old, parts)
        assert update.loss == pytest.approx(hand, abs=1e-6)
        up, down = (
            by_hand(objective, side, update.logps, old, parts)
            for side in (update.uphill, update.downhill)
        )
        assert (up - down) / (2 * STEP) == pytest.approx(update.grad_norm, rel=1e-5, abs=1e-6)
    weights = [a for group in advantages(REWARDS, objective.reward_scaling) for a in group]
    counted = [
        entropies
        for entropies, ids, a in zip(made[0].entropies, COMPLETIONS, weights, strict=True)
        if not (objective.mask_truncated and len(ids) == LONGEST)
        # What has no gradient isn't computed.
        and (a or objective.kl_coefficient)
    ]
    if objective.loss_type != LossType.bnpo:
        # A mean over all tokens of the update, however it was cut.
        assert made[0].logged["entropy"] == pytest.approx(np.concatenate(counted).mean(), abs=1e-5)
        cut = [row(i) for part in made[0].micro_batches for i in part]
        if not objective.mask_truncated:
            size = len(ROWS) // MICRO_BATCHES
            by_length = sorted(cut, key=lambda r: -r.tokens)
            assert computed(cut, size, True) <= computed(by_length, size, True)
    if updates > 1:
        moved = np.concatenate(made[-1].logps) - np.concatenate(old)
        assert np.abs(np.exp(moved) - 1).max() > 0.2


@pytest.mark.parametrize(("beta", "updates"), [(0.0, 1), (0.04, 2)])
@pytest.mark.parametrize("loss", LossType)
def test_a_trained_loss_is_the_formula(
    loss: LossType, beta: float, updates: int, tmp_path: Path
) -> None:
    high = 5.0 if loss == LossType.cispo else 0.2
    check(Objective("", "", loss, kl_coefficient=beta, epsilon_high=high), updates, tmp_path)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_trains_its_papers_objective(preset: str, tmp_path: Path) -> None:
    check(PRESETS[preset], 2, tmp_path)


@pytest.mark.parametrize("scaling", RewardScaling)
def test_reward_scaling_is_that_of_the_log(scaling: RewardScaling, tmp_path: Path) -> None:
    check(Objective("", "", LossType.dapo, reward_scaling=scaling), 1, tmp_path)


def test_the_kl_can_be_weighted_by_the_ratio(tmp_path: Path) -> None:
    objective = replace(PRESETS["deepseekmath"], kl_form=KlForm.k3_times_ratio, kl_coefficient=0.5)
    check(objective, 2, tmp_path)


@pytest.mark.parametrize(("loss", "updates"), [(LossType.dapo, 1), (LossType.grpo, 2)])
@pytest.mark.parametrize("how", Importance)
def test_advantages_are_weighed_by_the_gap_to_the_sampler(
    how: Importance, loss: LossType, updates: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    gaps = [rng.normal(0, 0.7, len(ids)) for ids in COMPLETIONS]
    old = log_probabilities(distributions(in_float64(policy())))
    sampler = [logps - gap for logps, gap in zip(old, gaps, strict=True)]
    objective = Objective("", "", loss)

    def weight(gap: Array) -> Array:
        w = np.exp(gap.sum(keepdims=True) if "sequence" in how else gap)
        bounded = np.minimum(w, BOUND) if "truncate" in how else np.where(w > BOUND, 0.0, w)
        return np.ones(1) if how == Importance.off else bounded

    weights = [weight(gap) for gap in gaps]
    assert how == Importance.off or any((w == 0).any() or (w == BOUND).any() for w in weights)
    for update in trained(objective, updates, tmp_path, sampler, how):
        given = (update.logps, old, update.micro_batches, weights)
        assert update.loss == pytest.approx(by_hand(objective, update.logps, *given), abs=1e-5)
        up, down = (by_hand(objective, side, *given) for side in (update.uphill, update.downhill))
        assert (up - down) / (2 * STEP) == pytest.approx(update.grad_norm, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("loss", [LossType.dapo, LossType.grpo, LossType.dr_grpo, LossType.luspo])
def test_what_has_no_advantage_is_left_out_and_the_gradient_is_the_same(
    loss: LossType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spared,) = trained(Objective("", "", loss), 1, tmp_path)
    monkeypatch.setattr(
        Trainer, "_counting", lambda self, rows: torch.ones_like(rows["advantages"]).bool()
    )
    (whole,) = trained(Objective("", "", loss), 1, tmp_path)
    assert sum(map(len, spared.micro_batches)) == 8 < sum(map(len, whole.micro_batches)) == 12
    assert (spared.gradient - whole.gradient).abs().max() < 1e-6 * whole.grad_norm
