"""What is here to run with, which parts of it would be used and why, and what to do about lacks.

Nothing is downloaded and no model is loaded. Leaves out what only a run can know: whether a model
fits (its ``--dry-run``), and servers.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.requirements import Requirement

from reasonkit import console
from reasonkit.errors import ReasonkitError, RefusedError, RunError

EXTRAS = {
    "deepspeed": "--shard zero2 and zero3",
    "docs": "builds the documentation as a site",
    "gguf": "reads .gguf files",
    "gym": "tasks named gym:NAME",
    "serve": "reasonkit serve",
    "smollm2": "a chat model of 135M parameters, without a hub",
    "quantized": "--load-in-4bit and optimizers of 8 bits, on a GPU",
    "tensorboard": "--report-to tensorboard",
    "trackio": "--report-to trackio",
    "vllm": "--engine vllm, on a GPU",
    "wandb": "--report-to wandb",
}
"""What each extra of the package is for."""

FOR_TESTS = "test"
GIB = 2**30
LITTLE_MEMORY, LITTLE_DISK = 2 * GIB, 2 * GIB
"""Bytes: below the first even small models are short; a run of one of 0.5B leaves the other."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that runs depend on.

    Attributes:
        part: packages, extras, machine or runs.
        name: what was looked at.
        found: what there is.
        mend: what to do about what isn't there; empty where nothing has to be done.
        needed: whether nothing works without.
    """

    part: str
    name: str
    found: str
    mend: str = ""
    needed: bool = False


def examine() -> Iterator[Finding]:
    """What is found, one after the other; some of it takes seconds."""
    yield Finding("packages", "python", f"{platform.python_version()} on {platform.platform()}")
    yield from _packages()
    yield from _machine()
    yield _sandbox()
    yield _hub()
    yield _disk()


def show(as_json: bool) -> None:
    """Prints what is found to stdout.

    Raises:
        RunError: something that is needed isn't there.
    """
    with console.results_alone():
        findings = list(examine())
        if as_json:
            console.write(json.dumps([asdict(finding) for finding in findings], indent=2))
        else:
            _show(findings)
    if lacking := [finding.name for finding in findings if finding.needed and finding.mend]:
        raise RunError(f"{', '.join(lacking)}: nothing runs without: see what to do above")


def _show(findings: list[Finding]) -> None:
    for part in dict.fromkeys(finding.part for finding in findings):
        rows = [(f.name, f.found) for f in findings if f.part == part]
        console.show_table(part, ("name", "found"), rows)
    todo = [f"{finding.name}: {finding.mend}" for finding in findings if finding.mend]
    console.say("nothing has to be done" if not todo else "what to do, where you need it:")
    for line in todo:
        console.say(f"  {line}")


def _packages() -> Iterator[Finding]:
    there = importlib.metadata.distribution("reasonkit")
    yield Finding("packages", "reasonkit", f"{there.version} in {Path(__file__).parent}")
    needs = [Requirement(text) for text in there.requires or []]
    for need in needs:
        if _is_wanted(need, ""):
            found, mend = _installed(need)
            yield Finding("packages", need.name, found, mend, needed=True)
    for extra, purpose in EXTRAS.items():
        wanted = [n for n in needs if _is_wanted(n, extra) and not _is_wanted(n, "")]
        own = [n for n in wanted if n.name != "reasonkit"]
        looked_at = [(n.name, *_installed(n)) for n in own]
        found = ", ".join(f"{name} {version}" for name, version, _ in looked_at)
        lacking = any(mend for _, _, mend in looked_at)
        mend = f"{purpose}: pip install 'reasonkit[{extra}]'" if lacking else ""
        yield Finding("extras", extra, found, mend)


def _is_wanted(need: Requirement, extra: str) -> bool:
    return need.marker is None or need.marker.evaluate({"extra": extra})


def _installed(need: Requirement) -> tuple[str, str]:
    """The version that is there, and what to do where it isn't one that is needed."""
    try:
        version = importlib.metadata.version(need.name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed", f"pip install '{need.name}{need.specifier}'"
    if need.specifier.contains(version, prereleases=True):
        return version, ""
    return f"{version}, needs {need.specifier}", f"pip install '{need.name}{need.specifier}'"


def _machine() -> Iterator[Finding]:
    try:
        import torch

        from reasonkit.config import CommonConfig
        from reasonkit.generation import engine
        from reasonkit.models import MODELS, precision
        from reasonkit.models.loading import read_config
        from reasonkit.models.resolving import resolve
        from reasonkit.training import peaks
    except ImportError as error:
        yield Finding("machine", "device", f"unknown: {error}", "install what is missing first")
        return
    where = precision.device("auto")
    has_card = shutil.which("nvidia-smi") is not None or Path("/dev/nvidia0").exists()
    mend = ""
    if where == "cuda":
        found = f"cuda: {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    elif has_card:
        found = "cpu: there is an NVIDIA card, which this torch can't use"
        mend = f"torch {torch.__version__} can't use it: install one for CUDA, as pytorch.org says"
    else:
        found = f"{where}: there is no {'other' if where == 'mps' else 'GPU'}"
    yield Finding("machine", "device", found, mend)
    yield Finding(
        "machine", "cores", f"{os.cpu_count()}, of which torch uses {torch.get_num_threads()}"
    )
    free = peaks.available(where)
    short = "little even for small models: end other programs" if free < LITTLE_MEMORY else ""
    yield Finding("machine", "memory", f"{free / GIB:.1f} GiB free for a run on {where}", short)
    model = MODELS["abacus"]
    settings = CommonConfig()
    settled, why = engine.settle(settings, read_config(resolve(model.name)), int(model.parameters))
    yield Finding("machine", "engine", f"{settled.engine} ({why}), for {model.name}")


def _sandbox() -> Finding:
    from reasonkit.sandbox import isolation, require_isolation

    name, part = "sandbox", "runs"
    try:
        found = isolation()
        require_isolation()
    except RefusedError as error:
        return Finding(part, name, found, f"{error}; or allow it with --reward code:weaker")
    except ReasonkitError as error:
        return Finding(part, name, "none", f"tasks of programs can't be checked: {error}")
    return Finding(part, name, f"{found}: programs are kept from files and network")


def _hub() -> Finding:
    from huggingface_hub import constants

    from reasonkit.offline import reachable

    if reachable():
        return Finding("runs", "hub", f"{constants.ENDPOINT} answers")
    mend = "name local folders or .gguf files, or models that `reasonkit models` says are packaged"
    return Finding("runs", "hub", f"{constants.ENDPOINT} can't be reached", mend)


def _disk() -> Finding:
    free = shutil.disk_usage(Path()).free
    mend = "little for checkpoints: make room, or pass --run-dir" if free < LITTLE_DISK else ""
    return Finding("runs", "disk", f"{free / GIB:.1f} GiB free in this folder", mend)
