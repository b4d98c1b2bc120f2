"""Scores are those of whole rows, gradients included: with prompts computed once, and moved."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM
from trl.trainer.utils import add_fused_lm_head

from reasonkit.models.loading import load_model
from reasonkit.models.resolving import resolve
from reasonkit.training.scoring import can_share, score, without_padding

SHAPES = {
    "groups": [("aa", 5), ("aa", 1), ("bbbb", 9), ("bbbb", 2), ("aa", 7)],
    "one group": [("abc", 4)] * 4,
    "all masked": [("abc", 0), ("abc", 0)],
    "prompts of one token": [("a", 3), ("b", 1), ("a", 2)],
    "same start": [("ab", 3), ("abb", 3), ("b", 3)],
    "some masked": [("aaaaaa", 0), ("aaaaaa", 3), ("ab", 0)],
    "one long": [("a", 50)],
}


def rollout(rows: list[tuple[str, int]]) -> tuple[Tensor, Tensor, int]:
    """Ids laid out as TRL does: a letter a prompt token, random completions of a length."""
    edge, keep = max(len(p) for p, _ in rows), max(1, *(c for _, c in rows))
    column = torch.arange(edge + keep)
    mask = torch.stack([(column >= edge - len(p)) & (column < edge + c) for p, c in rows]).long()
    ids = torch.randint(5, 90, mask.shape, generator=torch.Generator().manual_seed(0))
    for i, (prompt, _) in enumerate(rows):
        ids[i, edge - len(prompt) : edge] = torch.tensor([ord(c) - 80 for c in prompt])
    return ids * mask, mask, keep


def one_by_one(model: torch.nn.Module, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    """Log-probabilities of each row alone, without any padding."""
    rows = []
    for row, own in zip(ids, mask, strict=True):
        tokens, count = row[own == 1], int(own[-keep:].sum())
        logps = model(tokens[None]).logits[0, :-1].log_softmax(-1)
        taken = logps.gather(1, tokens[1:, None])[:, 0][len(tokens) - 1 - count :]
        rows.append(torch.nn.functional.pad(taken, (0, keep - count)))
    return torch.stack(rows)


def gradients(model: torch.nn.Module, value: Tensor) -> Tensor:
    model.zero_grad()
    value.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "lora"])
@pytest.mark.parametrize("shape", SHAPES)
def test_scores_and_gradients_are_those_of_each_row_alone(shape: str, kind: str) -> None:
    torch.manual_seed(0)
    if kind == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=100, n_embd=32, n_layer=2, n_head=2)).eval()
    else:
        model = load_model(resolve("abacus-mini"), "cpu", "float32").eval()
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    if kind == "lora":
        model = get_peft_model(
            model, LoraConfig(target_modules="all-linear", init_lora_weights=False)
        )
    ids, mask, keep = rollout(SHAPES[shape])
    logps, entropies = score(model, ids, mask, keep, nullcontext(), rows=2)
    expected = one_by_one(model, ids, mask, keep)
    torch.testing.assert_close(logps, expected, atol=1e-4, rtol=0)
    assert entropies is not None and logps.shape == entropies.shape == (len(ids), keep)
    assert not entropies[mask[:, -keep:] == 0].any()
    if "masked" in shape:
        return
    weights = torch.rand(expected.shape, generator=torch.Generator().manual_seed(1))
    ours, theirs = (gradients(model, (x * weights).sum()) for x in (logps, expected))
    torch.testing.assert_close(ours, theirs, atol=1e-4 * float(theirs.abs().max()), rtol=1e-3)


def test_a_sliding_window_and_checkpointing_are_left_to_others() -> None:
    plain = load_model(resolve("abacus-mini"), "cpu", "float32")
    assert can_share(plain, plain)
    assert not can_share(torch.nn.Sequential(plain), plain)
    plain.gradient_checkpointing_enable()
    assert not can_share(plain, plain)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 9}
    sliding = MistralForCausalLM(MistralConfig(num_attention_heads=1, sliding_window=4, **small))
    assert not can_share(sliding, sliding)


def test_the_same_rollout_has_the_same_gradients_to_the_bit() -> None:
    model = load_model(resolve("abacus"), "cpu", "float32").eval()
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    ids, mask, keep = rollout([("abcdefghijklmnopqrstuvwxyz" * 2, 3 + i) for i in range(16)] * 2)
    made = [
        gradients(model, score(model, ids, mask, keep, nullcontext())[0].sum()) for _ in range(8)
    ]
    assert all(torch.equal(made[0], other) for other in made[1:])


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_without_padding_are_those_of_the_padded_pass(shape: str) -> None:
    model = load_model(resolve("abacus-mini"), "cpu", "float32").eval()

    def padded(ids: Tensor, mask: Tensor, keep: int) -> tuple[Tensor, Tensor]:
        logps = model(ids, attention_mask=mask).logits.log_softmax(-1)
        entropies = -(logps.exp() * logps).sum(-1)
        # Column c is predicted by column c - 1.
        taken = logps[:, :-1].gather(2, ids[:, 1:, None])[:, :, 0]
        return taken[:, -keep:], entropies[:, :-1][:, -keep:]

    ids, mask, keep = rollout(SHAPES[shape])
    with torch.no_grad():
        whole, entropies = padded(ids, mask, keep)
        logps, narrow = without_padding(padded, ids, mask, keep, rows=2)
    within = mask[:, -keep:]
    assert narrow is not None and logps.shape == narrow.shape == (len(ids), keep)
    torch.testing.assert_close(logps, whole * within, atol=1e-5, rtol=0)
    torch.testing.assert_close(narrow, entropies * within, atol=1e-5, rtol=0)


def test_a_pass_is_no_wider_than_its_longest_row() -> None:
    seen: list[tuple[int, ...]] = []

    def seeing(ids: Tensor, mask: Tensor, keep: int) -> tuple[Tensor, None]:
        seen.append(tuple(ids.shape))
        return torch.zeros(len(ids), keep), None

    ids, mask, keep = rollout([("a" * 3, 9), ("a" * 7, 1), ("a" * 5, 30), ("a" * 9, 4)])
    assert without_padding(seeing, ids, mask, keep, rows=1)[1] is None
    assert seen == [(1, 35), (1, 13), (1, 12), (1, 8)]


def test_shared_prompts_under_autocast_are_the_plain_pass_within_its_rounding() -> None:
    """As accelerate wraps a model on a GPU: the forward of weights in float32, in bfloat16."""
    torch.manual_seed(0)
    model = load_model(resolve("abacus"), "cpu", "float32").eval()
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    ids, mask, keep = rollout([("whatisthesumof", 5 + i) for i in range(6)])
    exact = score(model, ids, mask, keep, nullcontext())[0]
    AcceleratorState._reset_state(reset_partial_state=True)
    wrapped = Accelerator(cpu=True, mixed_precision="bf16").prepare(model)
    AcceleratorState._reset_state(reset_partial_state=True)
    assert can_share(wrapped, model)

    def plain(ids: Tensor, mask: Tensor, keep: int) -> tuple[Tensor, Tensor | None]:
        labels = ids.masked_fill(mask == 0, -100)
        labels[:, :-keep] = -100
        output = wrapped(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True)
        return output.log_probs[:, -keep:], output.entropy[:, -keep:]

    autocast = torch.autocast("cpu", torch.bfloat16)
    ours = score(wrapped, ids, mask, keep, autocast)[0]
    theirs = without_padding(plain, ids, mask, keep)[0]
    rounding = float((theirs - exact).detach().abs().max())
    assert 1e-4 < rounding < 0.2
    assert float((ours - theirs).detach().abs().max()) < 2 * rounding
    grads = [gradients(model, x.sum()) for x in (exact, ours, theirs)]
    off = [float((g - grads[0]).norm() / grads[0].norm()) for g in grads[1:]]
    assert off[0] < 2 * off[1] < 0.2
