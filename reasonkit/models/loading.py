"""From a model that is found to its tokenizer and weights.

Weights are read from safetensors only and no code of a model's author is ever run.
"""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonkit import console, processes
from reasonkit.errors import RefusedError
from reasonkit.models import Model, chat
from reasonkit.models.resolving import ResolvedModel
from reasonkit.offline import local_only

if TYPE_CHECKING:
    from transformers import (
        GenerationConfig,
        PreTrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
    )

TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
"""Fields of a generation_config.json."""


NOWHERE = "meta"
"""A device that holds the shape of a model and none of its weights."""


def quiet() -> None:
    """Keeps other libraries from talking to the user."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # Libraries deprecate among themselves; a user can't act on it.
    warnings.filterwarnings("ignore", category=FutureWarning)


def _read(resolved: ResolvedModel, automatic: Any, **options: Any) -> Any:
    """What a class of transformers makes of a model's files.

    Raises:
        RefusedError: it can't be read.
    """
    quiet()
    try:
        with console.doing(f"loading {resolved.entry.name}"):
            return automatic.from_pretrained(
                resolved.source,
                trust_remote_code=False,
                local_files_only=local_only(resolved.source),
                **options,
            )
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise RefusedError(
            f"{resolved.entry.name}: can't be loaded from {resolved.source}: {reason}"
        ) from error


def load_tokenizer(resolved: ResolvedModel) -> tuple[PreTrainedTokenizerBase, str]:
    """The tokenizer with a template that takes any chat, and a remark for the user, or none.

    Raises:
        RefusedError: it can't be read, or it doesn't fit its template or its weights.
    """
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = _read(resolved, AutoTokenizer)
    name = resolved.entry.name
    remark = chat.settle(name, tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token_id = chat.turn_end(tokenizer)
    if tokenizer.pad_token is None:
        raise RefusedError(f"{name}: its tokenizer has no end-of-sequence token")
    chat.require_rows(name, tokenizer, read_config(resolved).get_text_config().vocab_size)
    tokenizer.padding_side = "left"
    return tokenizer, remark


def read_config(resolved: ResolvedModel) -> PreTrainedConfig:
    """The model's configuration, without its weights.

    Raises:
        RefusedError: it can't be read.
    """
    from transformers import AutoConfig

    config: PreTrainedConfig = _read(resolved, AutoConfig)
    return config


def outline(entry: Model) -> PreTrainedConfig:
    """The configuration that an entry's shape stands for: that of its weights, but for details."""
    from transformers import AutoConfig

    parameters, layers, hidden, heads, kv_heads, width, mlp, vocab = entry.shape
    matrices = layers * hidden * (2 * width * (heads + kv_heads) + 3 * mlp)
    config: PreTrainedConfig = AutoConfig.for_model(
        entry.architecture,
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=width,
        tie_word_embeddings=parameters < matrices + 2 * vocab * hidden,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    return config


def require_device(name: str) -> None:
    """Refuses a device that this process hasn't.

    Raises:
        RefusedError: there is none, or not one for each process.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(name, True):
        raise RefusedError(f"--device {name}: there is none on this machine; try --device cpu")
    if name == "cuda" and processes.local_rank() >= torch.cuda.device_count():
        raise RefusedError(
            f"--device cuda: there are more processes than GPUs, {torch.cuda.device_count()}: "
            "start as many as there are, or try --device cpu"
        )


def load_model(
    resolved: ResolvedModel,
    device: str,
    dtype: str,
    kind: str = "CausalLM",
    attention: str = "auto",
) -> PreTrainedModel:
    """The model, on its device.

    Args:
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``mps`` or `NOWHERE`.
        dtype: ``auto`` (bfloat16 on a GPU, float32 elsewhere), torch's name, or ``nf4``, whose
            products are computed as of ``auto``.
        kind: what it does: the end of a transformers class, AutoModelFor….
        attention: by transformers' name; ``auto`` for its own choice.

    Raises:
        RefusedError: it can't be read, it is of another kind, or the device isn't there.
    """
    import torch
    import transformers

    from reasonkit.models import precision
    from reasonkit.models.pages import TOGETHER, Pages

    written = (read_config(resolved).architectures or [""])[0]
    # Transformers would lend it a language head: its own embedding.
    if kind == "CausalLM" and written.endswith("Classification"):
        raise RefusedError(
            f"{resolved.entry.name} is no language model but {written}: it scores texts and writes "
            "none"
        )
    device = precision.device(device)
    require_device(device)
    options: dict[str, Any] = {}
    if kind == "CausalLM":
        options["generation_config"] = _generation_config(resolved)
    if attention != "auto":
        options["attn_implementation"] = attention
    if device == NOWHERE:
        options["device_map"] = device
    quantized = dtype == "nf4" and device != NOWHERE
    if dtype in ("auto", "nf4"):
        dtype = "bfloat16" if device == "cuda" else "float32"
    if quantized:
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, dtype),
        )
        options["device_map"] = {"": device}
    model, found = _read(
        resolved,
        getattr(transformers, f"AutoModelFor{kind}"),
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        output_loading_info=True,
        **options,
    )
    if found["missing_keys"]:
        missing = sorted(found["missing_keys"])
        raise RefusedError(
            f"{resolved.entry.name}: {len(missing)} tensors are missing in {resolved.source}, "
            f"{missing[0]} first"
        )
    for layer in precision.quantized_layers(model):
        # Bitsandbytes would pack weights anew for such a CPU at the first rollout, and no gradient
        # goes through those.
        layer.support_avx512bf16_for_cpu = False
    placed: PreTrainedModel = model if quantized else model.to(device)
    if device == "cpu":
        # Beside being quicker there: a part of a mapped file would keep all of it in memory.
        together = Pages(TOGETHER)
        for parameter in placed.parameters():
            parameter.data = together.copy(parameter.data)
    return placed


def _generation_config(resolved: ResolvedModel) -> GenerationConfig:
    """How a model is to be sampled by its files, of which each setting counts that fits the others.

    Some set sampling without ``do_sample``, or beams without any: transformers reads that, and
    refuses to write it.

    Raises:
        RefusedError: a file can't be read, or it names no token where it should.
    """
    from transformers import GenerationConfig
    from transformers.utils import cached_file

    # Old models have these settings among those of config.json.
    for name in ("generation_config.json", "config.json"):
        path = cached_file(
            resolved.source,
            name,
            local_files_only=local_only(resolved.source),
            _raise_exceptions_for_missing_entries=False,
        )
        if path is not None:
            break
    try:
        known = GenerationConfig().to_dict().keys()
        read = json.loads(Path(path).read_text(encoding="utf-8"))
        settings = {key: value for key, value in read.items() if key in known}
        for key in TOKEN_IDS:
            ids = settings.get(key)
            for id in ids if isinstance(ids, list) else [ids]:
                if ids is not None and type(id) is not int:
                    raise ValueError(f"{key} is {ids!r}, and no token's id")
    except (OSError, ValueError, AttributeError) as error:
        raise RefusedError(f"{resolved.entry.name}: {path} can't be read: {error}") from error
    kept: dict[str, Any] = {}
    first = (*TOKEN_IDS, "do_sample", "num_beams")
    for key in sorted(settings, key=lambda key: key not in first):
        with suppress(TypeError, ValueError, AttributeError):
            GenerationConfig(**kept, **{key: settings[key]}).validate(strict=True)
            kept[key] = settings[key]
    return GenerationConfig(**kept)
