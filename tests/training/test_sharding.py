"""A model that is cut by its layers learns as one that is whole."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from transformers import Qwen3Config, Qwen3ForCausalLM
from trl.trainer.utils import add_fused_lm_head

from reasonkit import processes
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


def made(tied: bool = False) -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 40}
    config = Qwen3Config(**shape, **heads, use_cache=False, tie_word_embeddings=tied)
    model = Qwen3ForCausalLM(config)
    add_fused_lm_head(model)
    return model


@pytest.fixture
def parted(once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """What two processes came to that each held a part, in a file for each way and rank."""

    def fill(folder: Path) -> None:
        launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone")
        argv = [*launcher, "--nproc-per-node", "2", __file__, folder]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr

    return once("parts of a model", fill)


def learn(folder: str, by_layer: bool) -> None:
    model = made()
    sharding.cut(model, by_layer)
    learned = {
        name: grad.full_tensor() if isinstance(grad, DTensor) else grad
        for name, grad in gradients(model).items()
    }
    torch.save(learned, f"{folder}/{by_layer}-{dist.get_rank()}.pt")


@pytest.mark.parametrize("by_layer", [True, False])
def test_gradients_flow_back_through_prompts_that_are_read_once(
    parted: Path, by_layer: bool
) -> None:
    expected = gradients(made())
    for rank in range(2):
        learned = torch.load(parted / f"{by_layer}-{rank}.pt", weights_only=True)
        assert learned.keys() == expected.keys()
        for name, grad in expected.items():
            assert (learned[name] - grad).norm() <= 1e-5 * grad.norm(), name


def live() -> int:
    """Bytes of all tensors that there are."""
    tensors = [t for t in gc.get_objects() if isinstance(t, torch.Tensor) and not t.is_meta]
    storages = [sharding.own(t).untyped_storage() for t in tensors]
    return sum({s.data_ptr(): s.nbytes() for s in storages}.values())


def hand_out(folder: str) -> None:
    main = dist.get_rank() == 0
    model = made(tied=True)
    if not main:
        with torch.device("meta"):
            model = made(tied=True)
    hollow = sharding.hollow_copy(model, nowhere=not main)
    before, most, handed_out = live(), [0], processes.handed_out

    def watched(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        given = handed_out(tensor, device)
        most.append(live() - before)
        return given

    processes.handed_out = watched
    sharding.cut(model, by_layer=True, onto=torch.device("cpu"))
    held = sum(sharding.own(p).nbytes for p in model.parameters())
    learned = {name: sharding.whole(grad) for name, grad in gradients(model).items()}
    sharding.collect(model, hollow)
    there = {name: p.data for name, p in hollow.named_parameters()} if main else {}
    assert main or all(p.is_meta for p in hollow.parameters())
    torch.save((learned, there, held, max(most)), f"{folder}/handed-{dist.get_rank()}.pt")


def test_weights_that_the_first_process_alone_has_are_handed_out_and_collected(
    parted: Path,
) -> None:
    model = made(tied=True)
    weights = {name: p.data for name, p in model.named_parameters()}
    whole = sum(p.nbytes for p in model.parameters())
    expected = gradients(model)
    for rank in range(2):
        learned, there, held, most = torch.load(parted / f"handed-{rank}.pt", weights_only=True)
        assert held < 0.6 * whole
        # Beside the parts no more than a layer at a time: of three, this is the last.
        assert most < held + 0.4 * whole
        assert learned.keys() == expected.keys()
        for name, grad in expected.items():
            assert (learned[name] - grad).norm() <= 1e-5 * grad.norm(), name
        if rank == 0:
            assert there.keys() == weights.keys()
            assert all(torch.equal(there[name], weights[name]) for name in weights)


if __name__ == "__main__":
    dist.init_process_group("gloo")
    hand_out(sys.argv[1])
    learn(sys.argv[1], by_layer=True)
    learn(sys.argv[1], by_layer=False)
    dist.destroy_process_group()
