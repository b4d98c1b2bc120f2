"""A run's model for the Hugging Face hub: what goes there, and the card that goes with it.

Nothing is sent by looking. Leaves out logging in, which is ``hf auth login``, and everything of a
run but its model: data, completions and logs stay here.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reasonkit.errors import RefusedError, RunError
from reasonkit.models.resolving import ResolvedModel, resolve
from reasonkit.offline import is_id
from reasonkit.report.card import model_card
from reasonkit.runs import Run, open_run

CARD = "README.md"
LEFT = ("manifest.json", CARD)
"""Files of a finished model that stay here: the hub keeps hashes of its own."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to a repository: files by their names there, and the card."""

    repo: str
    files: dict[str, Path]
    card: str

    def listing(self) -> list[tuple[str, str]]:
        """Each file with its size in bytes."""
        sizes = {name: path.stat().st_size for name, path in self.files.items()}
        sizes[CARD] = len(self.card.encode())
        return [(name, f"{size:,}") for name, size in sizes.items()]


def pack(path: Path, repo: str) -> Parcel:
    """Looks through a finished run.

    Raises:
        RefusedError: it isn't one, has no model, or the repository's name can't be one.
    """
    if not is_id(repo):
        raise RefusedError(f"{repo!r} is no name of a repository: expected OWNER/NAME")
    run = open_run(path)
    if run.status != "finished" or not run.final.exists():
        raise RefusedError(f"{path} has no final model to push: --resume it first")
    found = {p.relative_to(run.final).as_posix(): p for p in sorted(run.final.rglob("*"))}
    files = {name: p for name, p in found.items() if p.is_file() and p.name not in LEFT}
    return Parcel(repo, files, _card(run))


def _card(run: Run) -> str:
    summary = run.summary()
    if "paired" not in summary:
        return (run.final / CARD).read_text(encoding="utf-8")
    base = _base(run.config["model"])
    hub = base.source if base and is_id(base.source) and not Path(base.source).exists() else None
    licence = _licence(base) if base else None
    return model_card(run, summary, base_model=hub, license=licence)


def _base(name: str) -> ResolvedModel | None:
    """The model that a run has begun with, through the runs that it went through."""
    with suppress(RefusedError):
        earlier = Path(name)
        if (earlier / "run.json").exists():
            return _base(str(open_run(earlier).config["model"]))
        return resolve(name)
    return None


def _licence(base: ResolvedModel) -> str | None:
    """As the base model's own card has it; None where it has none or can't be had."""
    from huggingface_hub import ModelCard

    folder = Path(base.source)
    if base.entry.source == "packaged":
        return "mit"
    with suppress(Exception):
        card = ModelCard.load(folder / CARD if folder.is_dir() else base.source)
        return card.data.license or None
    return None


def send(parcel: Parcel, private: bool = False) -> str:
    """Makes the repository if need be, and uploads; its address.

    Raises:
        RefusedError: nobody is logged in.
        RunError: the hub doesn't take it, or can't be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if get_token() is None:
        raise RefusedError("the hub wants to know who you are: hf auth login, or set HF_TOKEN")
    api = HfApi()
    operations = [CommitOperationAdd(name, str(path)) for name, path in parcel.files.items()]
    operations.append(CommitOperationAdd(CARD, parcel.card.encode()))
    try:
        api.create_repo(parcel.repo, private=private, exist_ok=True)
        done = api.create_commit(parcel.repo, operations, commit_message="A run of reasonkit")
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"{parcel.repo}: the hub didn't take it: {reason}") from error
    return str(done.repo_url)
