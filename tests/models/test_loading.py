"""Names become models, or one line that says why not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers

from reasonkit import offline
from reasonkit.errors import OfflineError, RefusedError, UnknownNameError
from reasonkit.models import MODELS, OTHER
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import PACKAGED, resolve


@pytest.mark.parametrize("name", ["abacus", "abacus-mini"])
def test_packaged_models_have_the_shape_of_their_entry(name: str) -> None:
    resolved = resolve(name)
    model = load_model(resolved, "cpu", "float32")
    tokenizer, remark = load_tokenizer(resolved)
    parameters, layers, hidden, heads, kv_heads, head_dim, between, vocabulary = (
        resolved.entry.shape
    )
    config = model.config
    assert remark == ""
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert (config.num_hidden_layers, config.hidden_size) == (layers, hidden)
    assert (config.num_attention_heads, config.intermediate_size) == (heads, between)
    assert (config.num_key_value_heads, config.head_dim) == (kv_heads, head_dim)
    assert config.vocab_size == vocabulary == len(tokenizer)


def test_what_scores_texts_is_no_language_model_though_its_embedding_would_do_for_a_head() -> None:
    resolved = resolve("abacus-judge")
    with pytest.raises(RefusedError, match=r"no language model but .* scores texts"):
        load_model(resolved, "cpu", "float32")
    judge = load_model(resolved, "cpu", "float32", "SequenceClassification")
    assert sum(p.numel() for p in judge.parameters()) == resolved.entry.parameters


def test_loading_says_nothing_whatever_model_is_the_first(
    capfd: pytest.CaptureFixture[str],
) -> None:
    transformers.logging.enable_progress_bar()
    load_model(resolve("abacus-judge"), "cpu", "float32", "SequenceClassification")
    assert capfd.readouterr() == ("", "")


def test_an_unknown_model_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"qwen2\.5-0\.5b"):
        resolve("qwen2.5-0.5")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"config\.json"):
        resolve(str(tmp_path))


def test_a_hub_model_without_network_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://127.0.0.1:9")
    monkeypatch.setattr("urllib.request.getproxies", dict)
    offline.reachable.cache_clear()
    for name in ("qwen2.5-0.5b", "nobody/nothing-at-all"):
        with pytest.raises(OfflineError, match="or abacus, which"):
            resolve(name)
    offline.reachable.cache_clear()


def test_the_large_models_have_the_sizes_of_their_names() -> None:
    assert 70e9 < MODELS["deepseek-r1-distill-llama-70b"].parameters < 71e9
    assert MODELS["qwen2.5-7b-instruct"].source == "Qwen/Qwen2.5-7B-Instruct"


def test_a_run_stands_for_its_final_model(random_qwen3: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    with pytest.raises(RefusedError, match="no final model yet"):
        resolve(str(run))
    shutil.copytree(random_qwen3, run / "final")
    assert resolve(str(run)).source == str(run / "final")


def edit(folder: Path, **settings: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


BROKEN: dict[str, Callable[[Path], object]] = {
    "config is not JSON": lambda folder: (folder / "config.json").write_text("{oops"),
    "unknown architecture": lambda folder: edit(folder, model_type="nonesuch"),
    "wrong size": lambda folder: edit(folder, intermediate_size=32),
    "weights cut short": lambda folder: os.truncate(folder / "model.safetensors", 500),
    "pickled weights only": lambda folder: (folder / "model.safetensors").rename(
        folder / "pytorch_model.bin"
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_folder_is_refused(random_qwen3: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(random_qwen3, folder)
    BROKEN[kind](folder)
    with pytest.raises(RefusedError) as error:
        load_model(resolve(str(folder)), "cpu", "auto")
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)


def test_a_tokenizer_without_chat_template_gets_a_plain_one_and_says_so(
    random_qwen3: Path,
) -> None:
    tokenizer, remark = load_tokenizer(resolve(str(random_qwen3)))
    assert "no chat template" in remark
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text.startswith("User: Hi\nAssistant:")
    assert tokenizer.pad_token is not None
    assert tokenizer.padding_side == "left"


def test_a_model_is_loaded_as_float32_on_a_cpu_unless_told_otherwise(random_qwen3: Path) -> None:
    import torch

    resolved = resolve(str(random_qwen3))
    assert load_model(resolved, "cpu", "auto").dtype == torch.float32
    assert load_model(resolved, "cpu", "bfloat16").dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_are_no_part_of_a_mapped_file_and_can_be_saved(
    random_qwen3: Path, tmp_path: Path, dtype: str
) -> None:
    model = load_model(resolve(str(random_qwen3)), "cpu", dtype)
    mapped = Path("/proc/self/maps")
    assert not mapped.exists() or str(random_qwen3) not in mapped.read_text()
    model.save_pretrained(tmp_path / "again")
    again = load_model(resolve(str(tmp_path / "again")), "cpu", dtype)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert one.equal(other)
        assert one.requires_grad


def test_what_is_known_of_a_model_is_known_of_what_was_trained_from_it(tmp_path: Path) -> None:
    trained_from = "abacus"
    for name in ("first", "second", "third"):
        run = tmp_path / name
        shutil.copytree(PACKAGED / "abacus", run / "final")
        (run / "run.json").write_text("{}")
        (run / "config.yaml").write_text(f"model: {trained_from}\n")
        trained_from = str(run)
        entry = resolve(trained_from).entry
        assert entry.name == trained_from
        assert (entry.rl, entry.sft) == (MODELS["abacus"].rl, MODELS["abacus"].sft)
    shutil.rmtree(tmp_path / "first")
    assert resolve(str(tmp_path / "second")).entry.rl == OTHER.rl


def test_what_a_packaged_model_has_taken_is_not_said_of_what_was_trained_from_it(
    tmp_path: Path,
) -> None:
    shutil.copytree(PACKAGED / "abacus-reasoner", tmp_path / "final")
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "config.yaml").write_text("model: abacus-reasoner\n")
    assert MODELS["abacus-reasoner"].made is not None
    assert resolve(str(tmp_path)).entry.made is None


def test_a_run_that_names_itself_as_its_model_is_read_all_the_same(tmp_path: Path) -> None:
    shutil.copytree(PACKAGED / "abacus", tmp_path / "final")
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "config.yaml").write_text(f"model: {tmp_path}\n")
    assert resolve(str(tmp_path)).entry.rl == OTHER.rl


def with_generation_config(folder: Path, to: Path, settings: object) -> Path:
    shutil.copytree(folder, to)
    (to / "generation_config.json").write_text(json.dumps(settings))
    return to


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"do_sample": False, "temperature": 0.6, "top_p": 0.9}, {"do_sample": False}),
        ({"temperature": 0.6, "top_k": 20, "min_p": 0.1, "typical_p": 0.9, "top_h": 0.4}, {}),
        ({"epsilon_cutoff": 3e-4, "eta_cutoff": 2e-3, "temperature": 0.0}, {}),
        ({"early_stopping": True, "length_penalty": 2.0}, {}),
        ({"temperature": 0.6, "repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
        ({"do_sample": True, "temperature": 0.6}, {"do_sample": True, "temperature": 0.6}),
        ({"num_beams": 4, "early_stopping": True}, {"num_beams": 4, "early_stopping": True}),
        ({"num_return_sequences": 4}, {}),
        ({"output_scores": True, "pad_token_id": 1}, {"pad_token_id": 1}),
    ],
)
def test_a_model_can_be_saved_whatever_its_generation_config_says(
    random_qwen3: Path, tmp_path: Path, settings: dict[str, object], kept: dict[str, object]
) -> None:
    ends = {"eos_token_id": [1, 300]}
    folder = with_generation_config(random_qwen3, tmp_path / "m", settings | ends)
    load_model(resolve(str(folder)), "cpu", "float32").save_pretrained(tmp_path / "final")
    saved = json.loads((tmp_path / "final" / "generation_config.json").read_text())
    del saved["transformers_version"]
    assert {name: value for name, value in saved.items() if value is not None} == kept | ends


@pytest.mark.parametrize(
    "settings",
    [["a", "list"], {"eos_token_id": "end"}, {"eos_token_id": [[2]]}, {"pad_token_id": 1.5}],
)
def test_a_generation_config_that_makes_no_sense_is_refused_in_a_line(
    random_qwen3: Path, tmp_path: Path, settings: object
) -> None:
    folder = with_generation_config(random_qwen3, tmp_path / "m", settings)
    with pytest.raises(RefusedError, match=r"generation_config\.json") as error:
        load_model(resolve(str(folder)), "cpu", "float32")
    assert "\n" not in str(error.value)


def test_a_generation_config_that_is_no_json_is_refused(random_qwen3: Path, tmp_path: Path) -> None:
    folder = with_generation_config(random_qwen3, tmp_path / "m", {})
    (folder / "generation_config.json").write_text("{oops")
    with pytest.raises(RefusedError, match=r"generation_config\.json"):
        load_model(resolve(str(folder)), "cpu", "float32")
