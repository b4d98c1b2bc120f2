"""A model as a GGUF file, for llama.cpp and whatever is built on it.

Tensors get the names of the package ``gguf``'s own tables and keep their format. What was written
is read again by transformers and has to give the same logits before there is a file. Leaves out
quantising, which llama.cpp does, architectures that need more than new names, and tokenizers that
aren't byte-level BPE.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonkit import console
from reasonkit.errors import RefusedError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""By transformers' names, which are those of GGUF."""

QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {
    ("ByteLevel",): "gpt-2",
    ("Digits", "ByteLevel"): "smollm",
    (QWEN, "ByteLevel"): "qwen2",
    (QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1), "ByteLevel"): "llama-bpe",
}
"""How a text is cut before its pieces are merged → llama.cpp's name for that."""

SAMPLE = "What is (1+5)*30 - 6?\n\n It's 174, isn't it?  Ünïcode: 数 🙂"


def write(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path, name: str
) -> None:
    """Writes a model, whole or not at all.

    Args:
        name: what it is called in the file.

    Raises:
        RefusedError: GGUF or this module has no form for it, or the path can't be written.
    """
    if importlib.util.find_spec("gguf") is None:
        raise RefusedError("GGUF is written by the package gguf: pip install 'reasonkit[gguf]'")
    if lacking := _lacking(model):
        raise RefusedError(f"{name} can't be written as GGUF: {lacking}")
    tokens = _tokens(model, tokenizer, name)
    aside = path.with_name(f".{path.name}")
    try:
        aside.touch()
        with console.doing(f"writing {path.name}"):
            _write(model, tokens, aside, name)
        with console.doing(f"reading {path.name} again"):
            _require_same(model, tokenizer, aside)
        aside.replace(path)
    except OSError as error:
        raise RefusedError(f"{path} can't be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)


def _lacking(model: PreTrainedModel) -> str:
    config = model.config
    if config.model_type not in ARCHITECTURES:
        return f"it is a {config.model_type}, and only {', '.join(ARCHITECTURES)} are known"
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        return f"its positions are scaled ({rope['rope_type']})"
    if getattr(config, "use_sliding_window", False):
        return "it attends within a window"
    return "" if config.hidden_act == "silu" else f"its activation is {config.hidden_act}"


def _tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str
) -> dict[str, Any]:
    """What GGUF holds of a tokenizer, by the names of the methods that write it."""
    from gguf import TokenType

    told = json.loads(tokenizer.backend_tokenizer.to_str())
    cut = told["pre_tokenizer"] or {}
    steps = tuple(
        step["pattern"]["Regex"] if step["type"] == "Split" else step["type"]
        for step in cut.get("pretokenizers", [cut])
        if step
    )
    if told["model"]["type"] != "BPE" or steps not in SPLITS:
        raise RefusedError(
            f"{name} can't be written as GGUF: its tokenizer, {told['model']['type']} on pieces "
            f"cut by {', '.join(steps)[:60] or 'nothing'}, is none of llama.cpp's"
        )
    size = model.get_input_embeddings().weight.shape[0]
    known = {id: token for token, id in tokenizer.get_vocab().items()}
    kinds = {
        token["id"]: TokenType.CONTROL if token["special"] else TokenType.USER_DEFINED
        for token in told["added_tokens"]
    }
    merges = [m if isinstance(m, str) else " ".join(m) for m in told["model"]["merges"]]
    return {
        "tokenizer_model": "gpt2",
        "tokenizer_pre": SPLITS[steps],
        "token_list": [known.get(id, f"[PAD{id}]") for id in range(size)],
        "token_types": [
            kinds.get(id, TokenType.NORMAL if id in known else TokenType.UNUSED)
            for id in range(size)
        ],
        "token_merges": merges,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "add_bos_token": False,
        "chat_template": tokenizer.chat_template,
    }


def _write(model: PreTrainedModel, tokens: dict[str, Any], path: Path, name: str) -> None:
    from gguf import MODEL_ARCH, GGUFWriter, get_tensor_name_map

    config = model.config
    writer = GGUFWriter(path, config.model_type)
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_name(name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(width)
    writer.add_vocab_size(len(tokens["token_list"]))
    for field, value in tokens.items():
        if value is not None:
            getattr(writer, f"add_{field}")(value)
    names = get_tensor_name_map(MODEL_ARCH[config.model_type.upper()], config.num_hidden_layers)
    rotated = {"q_proj": heads, "k_proj": groups} if config.model_type == "llama" else {}
    for key, tensor in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        there = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if there is None:
            raise RefusedError(f"{name} can't be written as GGUF: it has no name for {key}")
        turned = rotated.get(key.split(".")[-2])
        _add(writer, there, _turned(tensor, turned) if turned else tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _turned(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """Llama's rows, whose rotated halves llama.cpp has one beside the other."""
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return halves.transpose(1, 2).reshape(tensor.shape)


def _add(writer: Any, name: str, tensor: torch.Tensor) -> None:
    import torch
    from gguf import GGMLQuantizationType, quantize

    tensor = tensor.detach().cpu()
    # What isn't a matrix is kept in 32 bits by whoever reads GGUF.
    wide = tensor.ndim == 1 or tensor.dtype == torch.float32
    if not wide and tensor.dtype == torch.bfloat16:
        kept = GGMLQuantizationType.BF16
        writer.add_tensor(name, quantize(tensor.float().numpy(), kept), raw_dtype=kept)
    else:
        writer.add_tensor(name, (tensor.float() if wide else tensor).contiguous().numpy())


def _require_same(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Refuses a file that isn't the model any more once it is read.

    Raises:
        RefusedError: it is another.
    """
    import torch
    import transformers

    options: dict[str, Any] = {"gguf_file": path.name, "trust_remote_code": False}
    try:
        with console.others_silent():
            read = transformers.AutoTokenizer.from_pretrained(path.parent, **options)
            again = transformers.AutoModelForCausalLM.from_pretrained(
                path.parent, dtype=model.dtype, **options
            ).to(model.device)
        ids, found = (t(SAMPLE, add_special_tokens=False).input_ids for t in (tokenizer, read))
        asked = torch.tensor([ids], device=model.device)
        with torch.no_grad():
            same = ids == found and torch.equal(model(asked).logits, again(asked).logits)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise RefusedError(f"what was written can't be read again: {reason}") from error
    if not same:
        raise RefusedError("what was written is another model once it is read: nothing is kept")
