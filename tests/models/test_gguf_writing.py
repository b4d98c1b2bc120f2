"""A model that is written as GGUF is the same once it is read; others are refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reasonkit.errors import RefusedError
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.models import gguf_writing
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.types import Example

pytest.importorskip("gguf", reason="pip install '.[gguf]'")

KINDS = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}


def folder(kind: str, tokens: Path, target: Path, **settings: object) -> Path:
    """A small model with random weights and another's tokenizer."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(tokens)
    torch.manual_seed(0)
    config = getattr(transformers, f"{KINDS[kind]}Config")(
        vocab_size=len(tokenizer) + 3, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.3,
        **({"head_dim": 128} if kind == "qwen3" else {}), **settings,
    )  # fmt: skip
    getattr(transformers, f"{KINDS[kind]}ForCausalLM")(config).save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [True, False])
def test_what_is_exported_says_the_same_tokens_once_it_is_read(
    kind: str,
    tied: bool,
    random_qwen3: Path,
    tmp_path: Path,
    reasonkit: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reasonkit.models.gguf._cache", lambda: tmp_path / "kept")
    folder(kind, random_qwen3, tmp_path / "model", tie_word_embeddings=tied, rope_theta=5e4)
    written = reasonkit("export", "model", "--gguf")
    assert written.code == 0, written.err
    assert written.out == "model.gguf\n"
    asked = Example("1", "t", ({"role": "user", "content": "How many apples?"},), "")
    said = []
    for name in ("model", "model.gguf"):
        found = resolve(name)
        engine = LocalEngine(load_model(found, "cpu", "float32"), load_tokenizer(found)[0])
        engine.tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
        (group,) = engine.sample([asked], 1, Sampling(20, temperature=0))
        said.append(group.completions[0].token_ids)
    assert said[0] == said[1]
    assert len(set(said[0])) > 2


def test_what_has_no_form_in_gguf_is_refused(
    random_qwen3: Path, tmp_path: Path, reasonkit: Callable
) -> None:
    for name, reason in (("abacus", "WordLevel"), ("abacus-judge", "no language model")):
        refused = reasonkit("export", name, "--gguf", "--out", tmp_path / "out.gguf")
        assert refused.code == 2
        assert reason in refused.err
    scaled = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    path = folder("llama", random_qwen3, tmp_path / "scaled", rope_parameters=scaled)
    found = resolve(str(path))
    model, (tokenizer, _) = load_model(found, "cpu", "float32"), load_tokenizer(found)
    with pytest.raises(RefusedError, match="positions are scaled"):
        gguf_writing.write(model, tokenizer, tmp_path / "out.gguf", "scaled")
    assert [p.name for p in tmp_path.iterdir()] == ["scaled"]


def test_a_file_that_reads_as_another_model_is_not_kept(
    random_qwen3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = resolve(str(folder("llama", random_qwen3, tmp_path / "model")))
    model, (tokenizer, _) = load_model(found, "cpu", "float32"), load_tokenizer(found)
    monkeypatch.setattr(gguf_writing, "_turned", lambda tensor, heads: tensor)
    with pytest.raises(RefusedError, match="another model"):
        gguf_writing.write(model, tokenizer, tmp_path / "out.gguf", "model")
    assert not list(tmp_path.glob("*.gguf")) and not list(tmp_path.glob(".*"))
