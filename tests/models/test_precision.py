"""One rule for numbers, whichever device there is; devices that aren't there are made believe."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reasonkit.config import DType, GrpoConfig, VerifierConfig
from reasonkit.models import precision
from reasonkit.training.trainer import checkpointing, shared


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
        assert told["gradient_checkpointing"] == (there == "cuda")


@pytest.mark.parametrize("there", ["cuda"], indirect=True)
def test_before_and_after_are_measured_in_the_numbers_of_training(there: str) -> None:
    for dtype, products in (
        (DType.auto, torch.bfloat16),
        (DType.bfloat16, torch.bfloat16),
        (DType.float16, torch.float16),
        (DType.float32, None),
    ):
        config = GrpoConfig(dtype=dtype)
        assert precision.weights(config, "a/model") == DType.float32
        assert precision.products(config) == precision.measured(config) == products


@pytest.mark.parametrize("there", ["cuda"], indirect=True)
def test_what_adapters_have_learned_is_measured_in_float32(there: str) -> None:
    config = GrpoConfig(lora=True, dtype=DType.bfloat16)
    assert precision.weights(config, "a/model") == DType.bfloat16
    assert precision.measured(config) is None


def test_adapters_learn_on_what_an_earlier_run_left_as_it_was_measured(tmp_path: Path) -> None:
    config = GrpoConfig(lora=True, dtype=DType.bfloat16)
    (tmp_path / "run.json").write_text("{}")
    assert precision.weights(config, str(tmp_path / "final")) == DType.float32


def test_gradient_checkpointing_can_be_chosen() -> None:
    assert checkpointing(GrpoConfig(gradient_checkpointing=True), "cpu")
    assert not checkpointing(GrpoConfig(gradient_checkpointing=False), "cuda")
