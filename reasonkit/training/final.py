"""What a run leaves behind for others: weights, tokenizer and a card of what was measured.

``final/`` is the model that was measured, number for number: adapters are merged before it is
measured, and what was saved is loaded again and compared before it is published.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from peft import (
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reasonkit.errors import RunError
from reasonkit.models.precision import quantized_layers, widen
from reasonkit.training.checkpoints import publish, writing


def to_measure(
    policy: PreTrainedModel | PeftModel, folder: Path, keep_adapter: bool = False
) -> PreTrainedModel:
    """The model that is measured and that `save` writes to this folder; the policy is used up.

    Args:
        keep_adapter: also save the adapter, if there is one, in ``adapter/``.
    """
    # A run that was killed may have left some of another model there.
    shutil.rmtree(_staging(folder), ignore_errors=True)
    if not isinstance(policy, PeftModel):
        return policy
    if keep_adapter and not folder.exists():
        with writing(folder):
            policy.save_pretrained(_staging(folder) / "adapter")
    if quantized_layers(policy):
        policy = _dequantized(policy)
    widen(policy)
    whole: PreTrainedModel = policy.merge_and_unload()
    return whole


def _dequantized(policy: PeftModel) -> PeftModel:
    """The same adapters on weights in float32, which are what those of 4 bits stand for."""
    learned, config = get_peft_model_state_dict(policy), policy.peft_config["default"]
    base = policy.unload().dequantize(torch.float32)
    again: PeftModel = get_peft_model(base, config)
    set_peft_model_state_dict(again, learned)
    return again


def save(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, card: str
) -> None:
    """Writes the model as it was measured, whole or not at all, where no folder is yet.

    Args:
        card: text of its README.md.

    Raises:
        RunError: what was saved is another model.
    """
    staging = _staging(folder)
    with writing(folder):
        model.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
    _require_same(model, staging)
    (staging / "README.md").write_text(card, encoding="utf-8")
    publish(staging, folder)


def _staging(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}")


def _require_same(model: PreTrainedModel, saved: Path) -> None:
    loaded = type(model).from_pretrained(saved, dtype=model.dtype, use_safetensors=True)
    there, ours = loaded.state_dict(), model.state_dict()
    for name in there.keys() | ours.keys():
        both = name in there and name in ours
        if not (both and torch.equal(there[name].cpu(), ours[name].cpu())):
            raise RunError(
                f"{saved}: {name} is not what was measured once it is saved and loaded again; the "
                "checkpoints are kept"
            )
