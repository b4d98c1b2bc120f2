"""What of a model its memory depends on, asked of the model: what a layer keeps is not derived.

The loaded model reads a few tokens, and what autograd has saved is counted, in whatever format and
attention the run has. Leaves out what a router of experts keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

from reasonkit.generation.local import quick
from reasonkit.models import precision

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

PROBE = 8
"""Tokens that a model reads, and twice as many, to ask what it keeps of one."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What memory depends on.

    Attributes:
        parameters: all of them; ``embeddings`` are those of the input and an untied head.
        hidden: width of the residual stream; ``heads_width`` and ``kv_width`` those of all queries
            and all keys.
        kept: bytes for the backward pass, for each token.
        once: the same, whatever the number of tokens: casts of the weights.
        copied: bytes of weights that sampling many rows copies.
        heads: of queries, and of keys and values; 0 in a model without attention.
        pieces: bytes of each tensor that is kept, for each token; none where their number varies.
    """

    parameters: int
    embeddings: int
    layers: int
    hidden: int
    heads_width: int
    kv_width: int
    vocab: int
    kept: int = 0
    once: int = 0
    copied: int = 0
    heads: tuple[int, int] = (0, 0)
    pieces: tuple[int, ...] = ()


def shape_of(model: PreTrainedModel, products: torch.dtype | None = None) -> ModelShape:
    """The shape of a loaded model, which reads a few tokens for it.

    Args:
        products: as of `reasonkit.models.precision.products`.
    """
    config = model.config.get_text_config()
    # A model without attention keeps no keys and values.
    heads = getattr(config, "num_attention_heads", None) or 0
    width = getattr(config, "head_dim", None) or config.hidden_size // max(1, heads)
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    words, head = model.get_input_embeddings().weight, model.get_output_embeddings()
    tables = {id(words): words.numel()}
    if head is not None:
        tables[id(head.weight)] = head.weight.numel()
    few, more = (_kept(model, tokens, products) for tokens in (PROBE, 2 * PROBE))
    kept = (sum(more) - sum(few)) // PROBE
    pairs = zip(few, more, strict=True) if len(few) == len(more) else ()
    return ModelShape(
        parameters=model.num_parameters(),
        embeddings=sum(tables.values()),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        heads_width=heads * width,
        kv_width=kv_heads * width,
        vocab=config.vocab_size,
        kept=kept,
        once=max(0, sum(few) - PROBE * kept),
        copied=quick.copied(model),
        heads=(heads, kv_heads),
        pieces=tuple(sorted((b - a) // PROBE for a, b in pairs)),
    )


def shape_by(config: PreTrainedConfig, products: torch.dtype | None = None) -> ModelShape:
    """The shape of a model whose weights are nowhere, by its configuration, as of `shape_of`."""
    from transformers import AutoModelForCausalLM

    with FakeTensorMode():
        return shape_of(AutoModelForCausalLM.from_config(config), products)


def _kept(model: PreTrainedModel, tokens: int, products: torch.dtype | None) -> list[int]:
    """Bytes of each tensor that autograd keeps of a forward pass without its head, but weights."""
    # One that holds nothing has no address.
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(saved: torch.Tensor) -> torch.Tensor:
        storage = saved.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage
        return saved

    def entered(layer: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        pack(given[0])

    # Their adapters keep what goes into them, which packed weights have no need of.
    hooks = [
        layer.register_forward_pre_hook(entered) for layer in precision.quantized_layers(model)
    ]
    ids = (
        torch.arange(tokens, device=model.device)[None] % model.config.get_text_config().vocab_size
    )
    with (
        torch.enable_grad(),
        precision.computing(model.device, products),
        saved_tensors_hooks(pack, lambda saved: saved),
    ):
        # It has to be held until it is counted: freed storages' places are given out again.
        output = model.base_model(input_ids=ids, use_cache=False)
        counted = [storage.nbytes() for storage in kept.values()]
    del output
    for hook in hooks:
        hook.remove()
    return counted


def lora_parameters(shape: ModelShape, rank: int) -> int:
    """Parameters of LoRA adapters on every linear layer: ``rank * (in + out)`` a matrix.

    The width of the gated MLP isn't part of the shape: it is what the parameter count leaves when
    embeddings and attention are taken off.
    """
    hidden, heads, kv = shape.hidden, shape.heads_width, shape.kv_width
    in_layers = (shape.parameters - shape.embeddings) // shape.layers
    mlp = max(0, in_layers - 2 * hidden * (heads + kv)) // (3 * hidden)
    attention = 2 * (hidden + heads) + 2 * (hidden + kv)
    return shape.layers * rank * (attention + 3 * (hidden + mlp))
