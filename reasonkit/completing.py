"""What the shell offers for the value of a flag: names of ours, runs and files of the folder.

No model, data set or run is opened. Leaves out the settings of a generated task and of ``--set``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

Offer = tuple[str, str]
"""A value and what it is; the second is empty where the first says it."""


def values(field: str, command: str = "") -> Callable[[str], list[Offer]] | None:
    """What completes a setting; None where only the user can know.

    Args:
        field: its name, or ``run`` and ``recipe`` for what isn't a setting.
    """
    if field == "config":
        return lambda incomplete: _begun(
            incomplete, chain(recipes(command), _files(incomplete, ".yaml", ".yml"))
        )
    source = SOURCES.get(field)
    return source and (lambda incomplete: _begun(incomplete, source(incomplete)))


def _begun(incomplete: str, offers: Iterable[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer[0].startswith(incomplete)]


def _models(incomplete: str) -> Iterator[Offer]:
    from reasonkit.models import MODELS

    yield from ((m.name, m.description) for m in MODELS.values())
    yield from ((name, told) for name, told in _runs(incomplete) if (Path(name) / "final").exists())
    yield from _files(incomplete, ".gguf")


def _tasks(incomplete: str) -> Iterator[Offer]:
    from reasonkit.tasks import TASKS
    from reasonkit.tasks.files import READERS

    yield from ((t.name, t.description) for t in TASKS.values())
    yield from _files(incomplete, *READERS)


def _rewards(incomplete: str) -> Iterator[Offer]:
    from reasonkit.rewards import REWARDS

    yield from ((r.name, r.description) for r in REWARDS.values())
    yield from _files(incomplete, ".py")


def _strategies(incomplete: str) -> Iterator[Offer]:
    from reasonkit.voting.strategies import STRATEGIES

    yield from ((s.name, s.summary) for s in STRATEGIES.values())


def _presets(incomplete: str) -> Iterator[Offer]:
    from reasonkit.objectives import PRESETS

    yield from ((name, preset.summary) for name, preset in PRESETS.items())


def _wordings(incomplete: str) -> Iterator[Offer]:
    from reasonkit.prompts import WORDINGS

    yield from ((name, "") for name in WORDINGS)


def _stages(incomplete: str) -> Iterator[Offer]:
    from reasonkit.config import StageName

    yield from ((str(stage), "") for stage in StageName)


def _trackers(incomplete: str) -> Iterator[Offer]:
    from reasonkit.config import TRACKERS

    yield from ((name, "") for name in TRACKERS)


def recipes(command: str = "") -> Iterator[Offer]:
    """Those that travel inside, and what they do; of a command by their own names."""
    from reasonkit.config import shipped

    for name, path in shipped.recipes().items():
        folder, _, alone = name.partition("/")
        if command in ("", folder):
            first = path.read_text(encoding="utf-8").partition("\n")[0]
            yield alone if command else name, first.lstrip("# ")


def _runs(incomplete: str) -> Iterator[Offer]:
    for made in chain(Path().glob("runs/*/run.json"), Path().glob("*/run.json")):
        with suppress(OSError, ValueError, KeyError):
            told = json.loads(made.read_text(encoding="utf-8"))
            yield str(made.parent), f"{told['command']} of {told['model']} on {told['task']}"


def _files(incomplete: str, *suffixes: str) -> Iterator[Offer]:
    """Those that end so, and folders to look into."""
    folder, slash, begun = incomplete.rpartition("/")
    with suppress(OSError, ValueError):
        for path in sorted(Path(folder + slash).glob(f"{begun}*")):
            name = f"{folder}{slash}{path.name}"
            if path.name.startswith(".") > begun.startswith("."):
                continue
            if path.suffix in suffixes and path.is_file():
                yield name, ""
            elif path.is_dir():
                yield f"{name}/", ""


SOURCES: dict[str, Callable[[str], Iterator[Offer]]] = {
    **dict.fromkeys(("model", "teacher", "student", "verifier"), _models),
    **dict.fromkeys(("task", "tasks", "general_task"), _tasks),
    **dict.fromkeys(("reward", "rewards", "general_reward", "keep"), _rewards),
    **dict.fromkeys(("strategy", "also"), _strategies),
    **dict.fromkeys(("run", "run_dir", "traces"), _runs),
    "preset": _presets,
    "wording": _wordings,
    "skip": _stages,
    "report_to": _trackers,
    "recipe": lambda incomplete: recipes(),
}
"""Setting → what it may be, as far as is known here."""
