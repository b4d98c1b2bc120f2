"""A model that is cut by its layers learns as one that is whole."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from transformers import Qwen3Config, Qwen3ForCausalLM
from trl.trainer.utils import add_fused_lm_head

from reasonkit.training import sharding
from reasonkit.training.scoring import score

KEEP = 5


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Of rows of two prompts, one of them padded."""
    made = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 40, (4, 9), generator=made)
    ids[1], ids[3] = ids[0], ids[2]
    ids[:, 4:] = torch.randint(3, 40, (4, KEEP), generator=made)
    mask = torch.ones_like(ids)
    mask[2:, 0] = 0
    logps, _ = score(model, ids, mask, KEEP, nullcontext())  # type: ignore[arg-type]
    (logps * torch.arange(1.0, 1 + logps.numel()).view_as(logps)).sum().backward()
    sharding.part(model)
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def made() -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 40}
    model = Qwen3ForCausalLM(Qwen3Config(**shape, **heads, use_cache=False))
    add_fused_lm_head(model)
    return model


def learn(folder: str, by_layer: bool) -> None:
    dist.init_process_group("gloo")
    model = made()
    sharding.cut(model, by_layer)
    learned = {
        name: grad.full_tensor() if isinstance(grad, DTensor) else grad
        for name, grad in gradients(model).items()
    }
    torch.save(learned, f"{folder}/{dist.get_rank()}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("by_layer", [True, False])
def test_gradients_flow_back_through_prompts_that_are_read_once(
    tmp_path: Path, by_layer: bool
) -> None:
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    argv = [*launcher, "--nproc-per-node", "2", __file__, tmp_path, "by layer" * by_layer]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    expected = gradients(made())
    for rank in range(2):
        learned = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert learned.keys() == expected.keys()
        for name, grad in expected.items():
            assert (learned[name] - grad).norm() <= 1e-5 * grad.norm(), name


if __name__ == "__main__":
    learn(sys.argv[1], bool(sys.argv[2]))
