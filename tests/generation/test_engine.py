"""Which engine is taken and why, and what is said where vLLM is not there or can't be used."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import Qwen3Config

from reasonkit.config import Device, EngineName, GrpoConfig
from reasonkit.errors import RefusedError
from reasonkit.generation import vllm
from reasonkit.generation.engine import settle

QWEN3 = Qwen3Config(architectures=["Qwen3ForCausalLM"])
HERE = importlib.util.find_spec("vllm") is not None
without_vllm = pytest.mark.skipif(HERE, reason="vLLM is installed")


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str, code: str) -> None:
    """A package of that name and version, whose import does what the code says."""
    about = folder / f"vllm-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
    (about / "top_level.txt").write_text("vllm\n")
    (folder / "vllm").mkdir()
    (folder / "vllm" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "vllm", raising=False)


def test_a_cpu_takes_our_own_sampler_and_says_so() -> None:
    config, why = settle(GrpoConfig(device=Device.cpu), QWEN3, 2_000_000)
    assert (config.engine, why) == (EngineName.local, "2M parameters on cpu")


@without_vllm
def test_a_gpu_falls_back_to_our_sampler_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reasonkit.models.precision.device", lambda name: "cuda")
    config, why = settle(GrpoConfig(), QWEN3, 2_000_000)
    assert config.engine == EngineName.local
    assert why.startswith("2M parameters on cuda; vllm is not installed")


@without_vllm
def test_vllm_that_is_not_there_is_refused_with_how_to_get_it(reasonkit: Callable) -> None:
    ended = reasonkit("grpo", "--engine", "vllm", "--dry-run")
    assert ended.code == 2
    assert "--engine vllm: vllm is not installed: pip install 'reasonkit[vllm]'" in ended.err


@without_vllm
def test_a_version_that_does_not_go_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "0.10.2", "")
    with pytest.raises(RefusedError, match=r"vllm 0\.10\.2 is here, and 0\.22 to below 0\.32 is"):
        vllm.require(QWEN3)


@without_vllm
def test_a_vllm_that_can_not_be_imported_is_refused_with_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "raise RuntimeError('operator torchvision::nms\\ndoes not exist')"
    install(tmp_path, monkeypatch, "0.31.0", broken)
    said = r"operator torchvision::nms does not exist\): pip uninstall torchvision torchaudio"
    with pytest.raises(RefusedError, match=said):
        settle(GrpoConfig(engine=EngineName.vllm), QWEN3, 1)
