"""Names become models, or one line that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonkit import hub
from reasonkit.errors import OfflineError, RefusedError, UnknownNameError
from reasonkit.models import MODELS
from reasonkit.models.loading import load_model, load_tokenizer, resolve


@pytest.mark.parametrize("name", ["abacus", "abacus-mini"])
def test_packaged_models_have_the_shape_of_their_entry(name: str) -> None:
    resolved = resolve(name)
    model = load_model(resolved, "cpu", "float32")
    tokenizer, remark = load_tokenizer(resolved)
    parameters, layers, hidden, kv_heads, head_dim, vocabulary = resolved.entry.shape
    config = model.config
    assert remark == ""
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert (config.num_hidden_layers, config.hidden_size) == (layers, hidden)
    assert (config.num_key_value_heads, config.head_dim) == (kv_heads, head_dim)
    assert config.vocab_size == vocabulary == len(tokenizer)


def test_a_foreign_tokenizer_without_template_gets_a_plain_one(random_qwen3: Path) -> None:
    tokenizer, remark = load_tokenizer(resolve(str(random_qwen3)))
    messages = [{"role": "user", "content": "1+1?"}]
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert rendered == "User: 1+1?\nAssistant: "
    assert "chat template" in remark


def test_an_unknown_model_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"qwen2\.5-0\.5b"):
        resolve("qwen2.5-0.5")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"config\.json"):
        resolve(str(tmp_path))


def test_pickled_weights_are_never_read(tmp_path: Path, random_qwen3: Path) -> None:
    import torch

    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((random_qwen3 / name).read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(RefusedError, match="can't be loaded"):
        load_model(resolve(str(tmp_path)), "cpu", "float32")


def test_a_hub_model_without_network_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "HOST", "127.0.0.1")
    monkeypatch.setattr(hub, "PORT", 9)
    hub.reachable.cache_clear()
    for name in ("qwen2.5-0.5b", "nobody/nothing-at-all"):
        with pytest.raises(OfflineError, match="--model abacus"):
            resolve(name)
    hub.reachable.cache_clear()


def test_the_large_models_have_the_sizes_of_their_names() -> None:
    assert 70e9 < MODELS["deepseek-r1-distill-llama-70b"].parameters < 71e9
    assert MODELS["qwen2.5-7b-instruct"].source == "Qwen/Qwen2.5-7B-Instruct"
