"""Tensors in large pages are tensors like any others."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from reasonkit.models.pages import PAGE, TOGETHER, Pages


def in_large_pages(tensor: Tensor) -> bool:
    """Whether the system is asked for them where the tensor lies."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if bounds := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(bounds[1], 16) <= tensor.data_ptr() < int(bounds[2], 16)
        if inside and line.startswith("VmFlags:"):
            return " hg" in line
    return False


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (3, 5, 2), (1024, 513)])
def test_copies_beside_each_other_are_whole_and_apart(
    dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    given = [torch.randint(0, 100, shape).to(dtype) for _ in range(3)]
    pages = Pages(TOGETHER)
    copies = [pages.copy(tensor) for tensor in given]
    copies[1].fill_(101)
    for tensor, copy in zip((given[0], given[2]), (copies[0], copies[2]), strict=True):
        assert copy.equal(tensor)
        assert (copy.dtype, copy.shape) == (dtype, tensor.shape)
        assert copy.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="has no large pages")
def test_large_pages_are_asked_for_where_tensors_fill_them_and_outlast_who_asked() -> None:
    like = torch.zeros(1)
    alone = Pages().empty((PAGE // 4,), like)
    assert in_large_pages(alone)
    assert not in_large_pages(Pages().empty((100,), like))
    pages = Pages(TOGETHER)
    first = pages.copy(torch.arange(10.0))
    others = [pages.empty((TOGETHER // 8,), like).zero_() for _ in range(5)]
    del pages
    assert in_large_pages(first)
    assert all(in_large_pages(other) for other in others)
    assert first.tolist() == list(range(10))


def test_memory_of_another_device_is_as_it_always_is() -> None:
    assert Pages(TOGETHER).empty((4, 5), torch.empty(1, device="meta")).device.type == "meta"
