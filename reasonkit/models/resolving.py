"""From a model's name to where it is: registry names, hub ids, folders, GGUF files and runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from reasonkit import console
from reasonkit.errors import OfflineError, RefusedError, UnknownNameError
from reasonkit.files import beside
from reasonkit.models import MODELS, OTHER, Model, entry_for
from reasonkit.offline import is_id, reachable

PACKAGED = Path(__file__).parent / "weights"
GGUF = ".gguf"


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A name that stands for a model that is there.

    Attributes:
        entry: what the registry knows of it, or assumes.
        source: what transformers loads: a folder or a hub id.
        made_from: the GGUF file that it was made from; empty where there is none.
    """

    entry: Model
    source: str
    made_from: str = ""


def resolve(name: str) -> ResolvedModel:
    """Finds a model without loading it; a GGUF file is read where it never was.

    Raises:
        UnknownNameError: no registry name, folder, GGUF file, run or hub id.
        RefusedError: a folder that holds no model, a run that has no final one yet, a GGUF file
            that can't be read, or a package that isn't installed.
        OfflineError: it would have to be downloaded and the hub can't be reached.
    """
    path = Path(name)
    if name not in MODELS and path.is_dir():
        return _resolve_folder(path)
    if path.suffix == GGUF:
        return _from_gguf(replace(OTHER, name=name, source=name), path)
    if name not in MODELS and not is_id(name):
        if path.parent != Path() or name.startswith("."):
            raise RefusedError(f"model {name}: no such folder or file{beside(path)}")
        hint = "(or a folder, a .gguf file, a run directory, a hub id owner/name)"
        raise UnknownNameError("model", name, MODELS, hint)
    entry = entry_for(name)
    if entry.source == "packaged":
        return ResolvedModel(entry, str(PACKAGED / name))
    if entry.source.startswith("gguf:"):
        from reasonkit.models.gguf import in_package

        return _from_gguf(entry, in_package(entry.source.removeprefix("gguf:")))
    from huggingface_hub import try_to_load_from_cache

    cached = isinstance(try_to_load_from_cache(entry.source, "config.json"), str)
    if not cached and not reachable():
        raise OfflineError(
            f"model {entry.source!r} is no folder here{beside(path)}, nor in the cache, and the "
            "hub can't be reached: pass the path of a folder, or abacus, which needs no download"
        )
    return ResolvedModel(entry, entry.source)


def _resolve_folder(path: Path, seen: frozenset[Path] = frozenset()) -> ResolvedModel:
    """A folder of weights, or a run, of which is known what is of the model it has started from.

    Args:
        seen: the runs on the way here; a broken one may name itself.
    """
    is_run = (path / "run.json").exists()
    folder = path / "final" if is_run else path
    if is_run and not folder.exists():
        raise RefusedError(f"run {path} has no final model yet: --resume it first")
    if not (folder / "config.json").exists():
        files = sorted(folder.glob(f"*{GGUF}"))
        if len(files) == 1:
            return _from_gguf(replace(OTHER, name=str(path), source=str(folder)), files[0])
        if files:
            names = ", ".join(file.name for file in files)
            raise RefusedError(f"{folder} holds several models: name one of {names}")
        raise RefusedError(f"{folder} holds no model: there is no config.json")
    entry = replace(OTHER, name=str(path), source=str(folder))
    settings = folder.parent / "config.yaml"
    if settings.exists() and (folder.parent / "run.json").exists():
        try:
            trained = dict(yaml.safe_load(settings.read_text(encoding="utf-8")))
        except (yaml.YAMLError, TypeError, ValueError) as error:
            raise RefusedError(f"{settings} can't be read: it is no run's settings") from error
        base = _entry_of(str(trained.get("model", "")), seen | {path.resolve()}) or entry
        prompt = trained.get("system_prompt") or None
        entry = replace(base, name=str(path), system_prompt=prompt, made=None)
    return ResolvedModel(entry, str(folder))


def _from_gguf(entry: Model, path: Path) -> ResolvedModel:
    from reasonkit.models.gguf import converted

    folder, made_from = converted(path)
    console.note_once(f"{entry.name}: {made_from}")
    return ResolvedModel(entry, str(folder), made_from)


def _entry_of(name: str, seen: frozenset[Path]) -> Model | None:
    path = Path(name)
    if name not in MODELS and path.is_dir() and path.resolve() not in seen:
        with suppress(RefusedError):
            return _resolve_folder(path, seen).entry
        return None
    return entry_for(name) if name in MODELS or is_id(name) else None
