"""Devices that a run may be planned for, as published, and what ``--on`` says of how many.

Leaves out devices that CUDA isn't for, and networks in which some machines are nearer than others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reasonkit.errors import RefusedError, UnknownNameError

GIB = 2**30
NODE = 8
"""Devices of a machine, where a number of devices doesn't say."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device.

    Attributes:
        flops: in a second, dense, in bfloat16, at its peak; of a CPU in float32.
        memory: bytes.
        bandwidth: bytes read in a second from its memory.
        inside, between: bytes in a second that it sends to others of its machine, and to another
            machine, while it receives as many.
        source: where that is published.
    """

    flops: float
    memory: int
    bandwidth: float
    inside: float
    between: float
    source: str


SLOW = 12.5e9 / NODE
"""``between`` of devices that are sold without a network: 100 Gbit/s for a machine of eight."""

DEVICES: dict[str, Device] = {
    "A10": Device(125e12, 24 * GIB, 600e9, 32e9, SLOW, "NVIDIA A10 datasheet, 2021"),
    "A40": Device(149.7e12, 48 * GIB, 696e9, 32e9, SLOW, "NVIDIA A40 datasheet, 2021; PCIe"),
    "A100-40GB": Device(312e12, 40 * GIB, 1.555e12, 300e9, 25e9, "NVIDIA A100 datasheet, SXM"),
    "A100-80GB": Device(312e12, 80 * GIB, 2.039e12, 300e9, 25e9, "NVIDIA A100 datasheet, SXM"),
    "L4": Device(121e12, 24 * GIB, 300e9, 32e9, SLOW, "NVIDIA L4 datasheet, 2023"),
    "L40S": Device(362e12, 48 * GIB, 864e9, 32e9, SLOW, "NVIDIA L40S datasheet, 2023"),
    "RTX4090": Device(165.2e12, 24 * GIB, 1.008e12, 32e9, SLOW, "NVIDIA Ada white paper, 2022"),
    "H100": Device(989.4e12, 80 * GIB, 3.35e12, 450e9, 50e9, "NVIDIA H100 datasheet, SXM"),
    "H200": Device(989.4e12, 141 * GIB, 4.8e12, 450e9, 50e9, "NVIDIA H200 datasheet, SXM"),
    "B200": Device(2250e12, 180 * GIB, 8e12, 900e9, 50e9, "NVIDIA DGX B200 datasheet, an eighth"),
}
"""Published without sparsity, or half of what is published with it; links of A100, H100 and later
are NVLink and one InfiniBand adapter each, as in NVIDIA's DGX of eight."""

CPU = "cpu"
"""This machine's, as many threads as this process has."""

FORM = re.compile(r"(?:(\d+)\s*x\s*)?(?:(\d+)\s*x\s*)?([a-z]\S*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cluster:
    """``nodes`` machines, each with ``each`` devices of this name."""

    nodes: int
    each: int
    name: str

    @property
    def count(self) -> int:
        """Devices in all."""
        return self.nodes * self.each

    def __str__(self) -> str:
        """As ``--on`` has it."""
        machines = f"{self.nodes}x" if self.nodes > 1 or self.each > NODE else ""
        return f"{machines}{self.each}x{self.name}"

    def of(self, count: int) -> Cluster:
        """So many of the same devices, in machines of `NODE`."""
        if count == self.count:
            return self
        return Cluster(-(-count // NODE), min(count, NODE), self.name)


def parse(text: str) -> Cluster:
    """What ``--on`` says: a device's name, how many before it, and how many machines before that.

    Raises:
        UnknownNameError: there is no such device.
        RefusedError: it says something else.
    """
    read = FORM.fullmatch(text.strip())
    counts = [int(number) for number in read.groups()[:2] if number] if read else [0]
    if read is None or not all(counts):
        raise RefusedError(
            f"--on {text!r}: expected COUNTxDEVICE or MACHINESxCOUNTxDEVICE, as in 8xH100 or "
            "2x8xH200"
        )
    names = {name.lower(): name for name in (*DEVICES, CPU)}
    if read[3].lower() not in names:
        raise UnknownNameError("device", read[3], (*DEVICES, CPU), f"(--on {text})")
    nodes, each = counts if len(counts) == 2 else [1, *(counts or [1])]
    if len(counts) == 1 and each > NODE:
        if each % NODE:
            raise RefusedError(f"--on {text!r}: in how many machines? say so, as in 2x6xH100")
        nodes, each = each // NODE, NODE
    return Cluster(nodes, each, names[read[3].lower()])
