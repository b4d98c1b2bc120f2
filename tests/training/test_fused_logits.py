"""What is trained on is what the model itself says, whatever it does to its logits."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel
from trl.kernels import chunked_logprob
from trl.trainer import utils
from trl.trainer.utils import add_fused_lm_head

from reasonkit.errors import RefusedError
from reasonkit.training import fused_logits
from reasonkit.training.scoring import can_share, score, without_padding

SMALL = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.4,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
KNOWN = {
    "qwen3": ("Qwen3Config", {}),
    "gemma2, with a cap": (
        "Gemma2Config", {"final_logit_softcapping": 3.0, "query_pre_attn_scalar": 8},
    ),
    "granite, scaled": ("GraniteConfig", {"logits_scaling": 3.0}),
    "cohere, scaled": ("CohereConfig", {"logit_scale": 0.3}),
}  # fmt: skip
OWN = {
    "recurrent-gemma, with a cap": (
        "RecurrentGemmaConfig",
        {"lru_width": 32, "attention_window_size": 8, "logits_soft_cap": 3.0},
    ),
    "xlstm, with a cap": (
        "xLSTMConfig",
        {
            "vocab_size": 97, "hidden_size": 32, "num_heads": 4, "num_blocks": 2,
            "chunk_size": 16, "output_logit_soft_cap": 3.0,
        },
    ),
}  # fmt: skip
TEMPERATURE = 0.7


def build(kind: str) -> PreTrainedModel:
    name, more = (KNOWN | OWN)[kind]
    torch.manual_seed(0)
    known = {} if name == "xLSTMConfig" else SMALL
    return AutoModelForCausalLM.from_config(getattr(transformers, name)(**(known | more))).eval()


def as_trained(kind: str) -> PreTrainedModel:
    """With TRL's head, mended as a trainer's model is."""
    model = build(kind)
    right = fused_logits.is_fused_right(model)
    add_fused_lm_head(model, TEMPERATURE, outputs=("log_probs", "entropy"))
    fused_logits.mend(SimpleNamespace(model=model), right, TEMPERATURE)
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", KNOWN | OWN)
def test_a_head_that_leaves_something_out_is_noticed(kind: str, dtype: torch.dtype) -> None:
    model = build(kind).to(dtype)
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert fused_logits.is_fused_right(model) == (kind in KNOWN)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("kind", KNOWN | OWN)
def test_log_probabilities_are_those_of_the_models_own_logits(kind: str) -> None:
    model, rows = as_trained(kind), [(3, 5), (6, 2), (2, 6)]
    edge, keep = max(p for p, _ in rows), max(c for _, c in rows)
    column = torch.arange(edge + keep)
    mask = torch.stack([(column >= edge - p) & (column < edge + c) for p, c in rows]).long()
    ids = torch.randint(3, 97, mask.shape, generator=torch.Generator().manual_seed(0)) * mask

    def one_pass(ids: torch.Tensor, mask: torch.Tensor, keep: int) -> tuple:
        labels = ids.masked_fill(mask == 0, -100)
        labels[:, :-keep] = -100
        given = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
        made = model(**given, labels=labels, fused_lm_head=True)
        return made.log_probs[:, -keep:], made.entropy[:, -keep:]

    if can_share(model, model):
        logps, entropies = score(model, ids, mask, keep, nullcontext())
    else:
        logps, entropies = without_padding(one_pass, ids, mask, keep)
    for i, (prompt, count) in enumerate(rows):
        own = ids[i][mask[i] == 1][None]
        with torch.no_grad():
            logits = model(own, use_cache=False).logits[0, prompt - 1 : -1] / TEMPERATURE
        expected = logits.log_softmax(-1)
        taken = expected.gather(1, own[0, prompt:, None])[:, 0]
        torch.testing.assert_close(logps[i, :count], taken, atol=1e-4, rtol=0)
        entropy = -(expected.exp() * expected).sum(-1)
        torch.testing.assert_close(entropies[i, :count], entropy, atol=1e-3, rtol=0)
    assert logps.requires_grad


def test_a_trainer_with_no_other_way_refuses() -> None:
    fused_logits.require_fused_right(build("qwen3"), "m")
    with pytest.raises(RefusedError, match=r"m .RecurrentGemma.*--objective traces"):
        fused_logits.require_fused_right(build("recurrent-gemma, with a cap"), "m")


def test_trl_scores_by_tiles_of_the_width_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = as_trained("qwen3"), torch.arange(8)[None]
    fold, widths = chunked_logprob._forward_tile, []

    def told(tile: torch.Tensor, *more: Any, **others: Any) -> None:
        widths.append(tile.size(1))
        fold(tile, *more, **others)

    monkeypatch.setattr(chunked_logprob, "_forward_tile", told)
    monkeypatch.setattr(utils, "_CHUNKED_LOGPROB_CHUNK_SIZE", 40)
    model(input_ids=ids, labels=ids, fused_lm_head=True)
    assert widths == [40, 40, 17]
