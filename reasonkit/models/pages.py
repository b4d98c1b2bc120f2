"""Tensors in pages of 2 MiB, where the system has them.

What is read whole for each token, as weights, keys and values are, costs a look-up a page. In a
virtual machine, whose own pages are looked up in turn, products of a row with weights in pages of
4 KiB took up to half as long again, and those with joined weights twice as long. Leaves out other
devices, whose memory is as it always is.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor

PAGE = 2**21
TOGETHER = 2**26
"""Bytes that are mapped at once for tensors that stay together: what isn't used takes no memory."""

ALIGNMENT = 64
"""Bytes that a tensor's place is a multiple of, as torch's own."""


class Pages:
    """Where tensors lie beside each other; what is mapped is given back once all of it is freed.

    Args:
        size: bytes that are mapped at once, at least; by default each tensor has its own, unless
            it is smaller than a page.
    """

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self._memory: mmap.mmap | None = None
        self._place = 0

    def empty(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """A tensor with a storage of its own, of the type and on the device of another."""
        count = math.prod(shape)
        size = max(count * like.element_size(), self.size)
        if like.device.type != "cpu" or not count or size < PAGE:
            return like.new_empty(shape)
        if self._memory is None or self._place + count * like.element_size() > len(self._memory):
            self._memory, self._place = _mapped(size), 0
        tensor = torch.frombuffer(
            self._memory, dtype=like.dtype, count=count, offset=self._place
        ).view(torch.Size(shape))
        self._place += -(-count * like.element_size() // ALIGNMENT) * ALIGNMENT
        return tensor

    def copy(self, tensor: Tensor) -> Tensor:
        """A copy, in the order of its dimensions."""
        return self.empty(tensor.shape, tensor).copy_(tensor)


def _mapped(size: int) -> mmap.mmap:
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # Only Linux has them, and not every one.
    with suppress(AttributeError, OSError):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
