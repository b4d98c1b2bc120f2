"""How much memory training takes, by part, worked out before anything is loaded.

Model states follow ZeRO (Rajbhandari et al., arXiv:1910.02054, section 3.1): with AdamW in mixed
precision a parameter takes 2 bytes of weights, 2 of gradients and 12 of optimiser state (a float32
master copy and two float32 moments), 16 in all; in float32 it takes 4 + 4 + 8, 16 again. With LoRA
(arXiv:2106.09685) only the adapters, held in float32, have gradients and optimiser state, and the
reference model is the policy with its adapters off.

Activations assume gradient checkpointing: the input of each layer, and the inside of the one that
is being recomputed, 34 bytes a hidden unit in 16-bit precision (Korthikanti et al.,
arXiv:2205.05198, equation 1, without its attention matrix, which fused attention never stores).
Logits are counted with their gradient, in float32, at every position.

Leaves out what varies by machine: allocator slack, the CUDA context, sharding over GPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

from rich import filesize

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FLOAT32 = 4


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What memory depends on; the parameters are all, and hidden is the residual stream's width."""

    parameters: int
    layers: int
    hidden: int
    kv_heads: int
    head_dim: int
    vocab: int


def shape_of(model: PreTrainedModel) -> ModelShape:
    """The shape of a loaded model, from its configuration."""
    config = model.config
    # A model without attention keeps no keys and values.
    heads = getattr(config, "num_attention_heads", None) or 0
    return ModelShape(
        parameters=sum(p.numel() for p in model.parameters()),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // max(1, heads),
        vocab=config.vocab_size,
    )


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes by part. GRPO has no critic (arXiv:2402.03300, section 4.1)."""

    policy: int
    gradients: int
    optimiser: int
    reference: int
    kv_cache: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """Never less than the peak: the KV cache and the activations take turns."""
        return sum(astuple(self))


def plan(
    shape: ModelShape,
    *,
    rows: int,
    tokens: int,
    dtype_bytes: int,
    lora_rank: int | None = None,
    reference: bool,
    micro_batch: int | None = None,
) -> MemoryPlan:
    """The memory that a training run takes.

    Args:
        rows: completions sampled at once.
        tokens: length of a row, prompt and completion.
        dtype_bytes: 2 (bfloat16, float16) or 4 (float32) a weight.
        lora_rank: of adapters on every linear layer; None trains all weights.
        reference: whether a reference model is held, as a KL coefficient above 0 asks for.
        micro_batch: completions a forward and backward pass; all ``rows`` if None.
    """
    weights = shape.parameters * dtype_bytes
    if lora_rank is None:
        model, gradients = weights, weights
        master = 0 if dtype_bytes == FLOAT32 else FLOAT32
        optimiser = shape.parameters * (2 * FLOAT32 + master)
    else:
        adapters = lora_parameters(shape, lora_rank)
        model = weights + adapters * FLOAT32
        gradients, optimiser = adapters * FLOAT32, adapters * 2 * FLOAT32
    sampled, trained = rows * tokens, (micro_batch or rows) * tokens
    return MemoryPlan(
        policy=model,
        gradients=gradients,
        optimiser=optimiser,
        reference=weights if reference and lora_rank is None else 0,
        kv_cache=sampled * shape.layers * shape.kv_heads * shape.head_dim * 2 * dtype_bytes,
        activations=trained * shape.hidden * (shape.layers + 17) * dtype_bytes,
        logits=trained * shape.vocab * 2 * FLOAT32,
    )


def lora_parameters(shape: ModelShape, rank: int) -> int:
    """Parameters of LoRA adapters on every linear layer: ``rank * (in + out)`` a matrix.

    The width of the gated MLP isn't part of the shape: it is what the parameter count leaves when
    one embedding matrix and the attention (queries and output as wide as the residual stream) are
    taken off. Untied embeddings make that, and so the result, a little too large.
    """
    hidden, kv = shape.hidden, shape.kv_heads * shape.head_dim
    in_layers = (shape.parameters - shape.vocab * hidden) // shape.layers
    mlp = max(0, in_layers - 2 * hidden * (hidden + kv)) // (3 * hidden)
    attention = 2 * (hidden + hidden) + 2 * (hidden + kv)
    return shape.layers * rank * (attention + 3 * (hidden + mlp))


def table(plans: Sequence[MemoryPlan]) -> list[tuple[str, ...]]:
    """A row a part and a column a plan; the total is the last."""
    parts = [*(field.name for field in fields(MemoryPlan)), "total"]
    return [
        (part.replace("_", " "), *(filesize.decimal(getattr(plan, part)) for plan in plans))
        for part in parts
    ]
