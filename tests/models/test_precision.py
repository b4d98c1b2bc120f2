"""One rule for numbers, whichever device there is; devices that aren't there are made believe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from reasonkit.config import DType, GrpoConfig, VerifierConfig
from reasonkit.models import precision
from reasonkit.training.trainer import shared


@pytest.fixture
def there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: request.param == "mps")
    return str(request.param)


@pytest.mark.parametrize("there", ["cpu", "mps", "cuda"], indirect=True)
def test_auto_is_the_same_device_for_loading_and_for_training(there: str, tmp_path: Path) -> None:
    assert precision.device("auto") == there
    assert precision.device("cpu") == "cpu"
    for config in (GrpoConfig(learning_rate=1.0), VerifierConfig(learning_rate=1.0)):
        told = shared(config, tmp_path, 1)
        assert told["use_cpu"] == (there == "cpu")
        assert told["bf16"] == (precision.products(config) == torch.bfloat16) == (there == "cuda")
        assert not told["gradient_checkpointing"]


ENTRIES = {
    ("cpu", precision.WHOLE): ("float32", "{}", None),
    ("cpu", precision.ADAPTED): ("{}", None, None),
    ("cpu", precision.QUANTIZED): ("nf4", None, None),
    ("cuda", precision.WHOLE): ("float32", "{}", "{}"),
    ("cuda", precision.ADAPTED): ("{}", "{}", None),
    ("cuda", precision.QUANTIZED): ("nf4", "{}", None),
}
"""Weights, and what autocast computes in, while it is trained and when it is measured."""

TRAINED = {
    precision.WHOLE: GrpoConfig(),
    precision.ADAPTED: GrpoConfig(lora=True),
    precision.QUANTIZED: GrpoConfig(lora=True, load_in_4bit=True),
}


@pytest.mark.parametrize("dtype", [DType.bfloat16, DType.float16, DType.float32])
@pytest.mark.parametrize(
    ("there", "trained"), [pytest.param(*entry) for entry in precision.FORMATS], indirect=["there"]
)
def test_each_entry_of_the_table_is_what_is_loaded_computed_and_measured_in(
    there: str, trained: str, dtype: DType
) -> None:
    config = dataclasses.replace(TRAINED[trained], dtype=dtype)
    weights, products, measured = (one and one.format(dtype) for one in ENTRIES[there, trained])
    kept = precision.formats(config, "a/model")
    assert kept.weights == weights and kept.saved == "float32"
    for asked, found in (
        (products, precision.products(config)),
        (measured, precision.measured(config)),
    ):
        assert found == (None if asked in (None, "float32") else getattr(torch, asked))


@pytest.mark.parametrize("there", ["cpu", "cuda"], indirect=True)
def test_auto_is_bfloat16_on_a_gpu_and_float32_elsewhere(there: str) -> None:
    auto = precision.formats(GrpoConfig(lora=True), "a/model")
    assert auto.weights == auto.products == ("bfloat16" if there == "cuda" else "float32")


def test_adapters_learn_on_what_an_earlier_run_left_as_it_was_measured(tmp_path: Path) -> None:
    config = GrpoConfig(lora=True, dtype=DType.bfloat16)
    (tmp_path / "run.json").write_text("{}")
    assert precision.formats(config, str(tmp_path / "final")).weights == "float32"


def test_weights_in_float32_are_as_they_were_afterwards_to_the_bit() -> None:
    layer = torch.nn.Linear(4, 4).bfloat16()
    before = layer.weight.detach().clone()
    with precision.in_float32(layer):
        assert layer.weight.dtype == torch.float32
    assert layer.weight.dtype == torch.bfloat16 and torch.equal(layer.weight, before)


def test_gradient_checkpointing_can_be_chosen(tmp_path: Path) -> None:
    config = GrpoConfig(gradient_checkpointing=True, learning_rate=1.0, device="cpu")
    assert shared(config, tmp_path, 1)["gradient_checkpointing"]
