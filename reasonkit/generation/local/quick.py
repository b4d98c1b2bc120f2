"""A decoding step of the Llama family, with nothing computed anew that a run needs only once.

The same products, norms and rotations as in transformers' modules, but on joined weights, with a
table of rotations, and with attention to the columns that are read alone. Any other architecture,
and any of these that isn't as expected, takes its steps through its own forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from reasonkit.generation.local.cache import Slots
from reasonkit.models.pages import TOGETHER, Pages

FAMILY = {
    "transformers.models.llama.modeling_llama.LlamaDecoderLayer",
    "transformers.models.mistral.modeling_mistral.MistralDecoderLayer",
    "transformers.models.qwen2.modeling_qwen2.Qwen2DecoderLayer",
    "transformers.models.qwen3.modeling_qwen3.Qwen3DecoderLayer",
}
ROPE = {"default", "linear", "llama3", "yarn"}
"""Kinds of rotation that depend on a token's position alone."""

JOINED, JOINED_FOR_MANY, MANY = 2**19, 2**21, 16
"""Weights of at most so many elements are copied, joined; the latter where so many rows share them.
Beyond, a call costs little by itself, and copying memory and as much time as several steps."""

NARROW = ("cpu", torch.bfloat16)
"""Where torch has a product of matrix and vector that is faster than its linear map of one row."""

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Block:
    """A decoder layer; ``norm``s are weight and epsilon."""

    before: tuple[Tensor, float]
    qkv: Map
    heads: tuple[Tensor, float] | None
    out: Map
    after: tuple[Tensor, float]
    gate_up: Map
    act: Map
    down: Map
    scaling: float
    window: int | None


class Quick:
    """The step of one model, for positions below ``longest``; see `quick`."""

    def __init__(
        self, model: PreTrainedModel, windows: Sequence[int | None], longest: int, rows: int
    ) -> None:
        decoder: Any = model.model
        join = partial(joined, Pages(TOGETHER), JOINED if rows < MANY else JOINED_FOR_MANY)
        self.embed = decoder.embed_tokens
        self.blocks = [
            block(layer, window, join)
            for layer, window in zip(decoder.layers, windows, strict=True)
        ]
        self.norm = norm(decoder.norm)
        self.head = join(model.lm_head)
        self.width = decoder.layers[0].self_attn.head_dim
        positions = torch.arange(longest, device=model.device)[None]
        cos, sin = decoder.rotary_emb(self.embed(positions[:, :1]), positions)
        self.cos, self.sin = cos[0, :, None], sin[0, :, None, : self.width // 2]

    def __call__(self, tokens: Tensor, slots: Slots) -> Tensor:
        """Logits after one more token a row, of shape (live, vocabulary)."""
        live, width, half = slots.live, self.width, self.width // 2
        positions = slots.positions()
        cos, sin = self.cos[positions], self.sin[positions]
        x = self.embed(tokens)
        masks: dict[int, Tensor | None] = {}
        for block, layer in zip(self.blocks, slots.layers, strict=True):
            begin = slots.begin
            if block.window is not None:
                begin = max(begin, slots.end + 1 - block.window)
            if begin not in masks:
                masks[begin] = slots.bias(begin, x.dtype)
            projected = block.qkv(rms(x, block.before)).view(live, -1, width)
            groups = layer.keys.size(1)
            looking = projected[:, :-groups]
            if block.heads is not None:
                weight, epsilon = block.heads
                looking = F.rms_norm(looking, (width,), None, epsilon) * weight
            turned = looking * cos
            turned[..., :half].addcmul_(looking[..., half:], sin, value=-1)
            turned[..., half:].addcmul_(looking[..., :half], sin)
            keys, values = layer.write(turned[:, -groups:], projected[:, -groups:], begin)
            seen = F.scaled_dot_product_attention(
                turned[:, :-groups].reshape(live, groups, -1, width),
                keys,
                values,
                attn_mask=masks[begin],
                scale=block.scaling,
            )
            x = x + block.out(seen.reshape(live, -1))
            gate, up = block.gate_up(rms(x, block.after)).chunk(2, -1)
            x = x + block.down(block.act(gate).mul_(up))
        return self.head(rms(x, self.norm))


def quick(
    model: PreTrainedModel, windows: Sequence[int | None] | None, longest: int, rows: int
) -> Quick | None:
    """The quick step of a model, or None where it has to take its own.

    Args:
        windows: how far each layer looks back.
        longest: positions there may be.
        rows: that it is worth making it for.
    """
    decoder: Any = getattr(model, "model", None)
    layers = getattr(decoder, "layers", ())
    kinds = {f"{type(layer).__module__}.{type(layer).__qualname__}" for layer in layers}
    if not kinds or kinds - FAMILY or windows is None or decoder is None:
        return None
    if decoder.rotary_emb.rope_type not in ROPE:
        return None
    # The embedding is called as it is, with the hook that gradient checkpointing gives it.
    others = (module for module in model.modules() if module is not decoder.embed_tokens)
    if any(module._forward_hooks or module._forward_pre_hooks for module in others):
        return None
    made = Quick(model, windows, longest, rows)
    return made if made.cos.size(-1) == made.width else None


def copied(model: PreTrainedModel) -> int:
    """Bytes of the weights that a quick step of `MANY` rows copies, joined; 0 for other models."""
    layers = getattr(getattr(model, "model", None), "layers", ())
    if any(f"{type(x).__module__}.{type(x).__qualname__}" not in FAMILY for x in layers):
        return 0
    maps: list[tuple[Any, ...]] = [(model.get_output_embeddings(),)] if len(layers) else []
    for layer in layers:
        own, mlp = layer.self_attn, layer.mlp
        maps += [(own.q_proj, own.k_proj, own.v_proj), (own.o_proj,)]
        maps += [(mlp.gate_proj, mlp.up_proj), (mlp.down_proj,)]
    weights = [[module.weight for module in joint if module is not None] for joint in maps]
    small = [joint for joint in weights if sum(w.numel() for w in joint) <= JOINED_FOR_MANY]
    return sum(w.numel() * w.element_size() for joint in small for w in joint)


def block(layer: Any, window: int | None, join: Callable[..., Map]) -> Block:
    """A decoder layer's maps."""
    attention, mlp = layer.self_attn, layer.mlp
    heads = None
    if hasattr(attention, "q_norm"):
        width = attention.head_dim
        of_q, of_k = attention.q_proj, attention.k_proj
        pairs = ((attention.q_norm, of_q), (attention.k_norm, of_k))
        weight = torch.cat([n.weight.expand(p.out_features // width, width) for n, p in pairs])
        heads = weight, attention.q_norm.variance_epsilon
    return Block(
        before=norm(layer.input_layernorm),
        qkv=join(attention.q_proj, attention.k_proj, attention.v_proj),
        heads=heads,
        out=join(attention.o_proj),
        after=norm(layer.post_attention_layernorm),
        gate_up=join(mlp.gate_proj, mlp.up_proj),
        act=mlp.act_fn,
        down=join(mlp.down_proj),
        scaling=attention.scaling,
        window=window,
    )


def norm(module: Any) -> tuple[Tensor, float]:
    """An RMS norm's weight and epsilon."""
    return module.weight, module.variance_epsilon


def rms(x: Tensor, norm: tuple[Tensor, float]) -> Tensor:
    """Zhang and Sennrich, arXiv:1910.07467, equation 4."""
    weight, epsilon = norm
    return F.rms_norm(x, weight.shape, weight, epsilon)


def joined(pages: Pages, most: int, *modules: Any) -> Map:
    """Linear maps of one input as one map, their outputs beside each other.

    Args:
        pages: where copies are, of at most so many elements.
    """
    plain = all(type(module) is nn.Linear for module in modules)
    if plain and sum(module.weight.numel() for module in modules) <= most:
        # With few rows a product is up to twice as fast where weights lie input by input.
        turned = [module.weight.t() for module in modules]
        shape = (len(turned[0]), sum(weight.size(1) for weight in turned))
        weight = torch.cat(turned, 1, out=pages.empty(shape, turned[0]))
        if all(module.bias is None for module in modules):
            return lambda x: x @ weight
        zeros = [weight.new_zeros(module.out_features) for module in modules]
        bias = torch.cat(
            [z if m.bias is None else m.bias for m, z in zip(modules, zeros, strict=True)]
        )
        return lambda x: torch.addmm(bias, x, weight)
    maps = [single(module) for module in modules]
    return maps[0] if len(maps) == 1 else lambda x: torch.cat([each(x) for each in maps], -1)


def single(module: Any) -> Map:
    """A linear map; on a CPU, in bfloat16, of one row as a vector, which takes two thirds of it."""
    weight, bias = module.weight, getattr(module, "bias", None)
    if type(module) is not nn.Linear or (weight.device.type, weight.dtype) != NARROW:
        return cast(Map, module)

    def mapped(x: Tensor) -> Tensor:
        if len(x) > 1:
            return cast(Tensor, module(x))
        return (torch.mv(weight, x[0]) if bias is None else torch.addmv(bias, weight, x[0]))[None]

    return mapped
