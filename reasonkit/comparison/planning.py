"""From the settings of a comparison to the commands of its parts, checked before any is started."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonkit.comparison.parts import BASE, COMMANDS, PARTS, STUDENT, Part
from reasonkit.config import CommonConfig, CompareConfig, from_mapping, read_assignment, to_mapping
from reasonkit.errors import RefusedError, UnknownNameError

ABACUS = ("abacus", "abacus-mini", "abacus-reasoner")
TEACHER, SMALLER = "abacus-reasoner", "abacus-mini"
QUICK_QUESTIONS = 200

DATA = ("task", "general_task", "traces", "general", "general_chats", "completions")
INPUTS = ("model", "teacher", "verifier", *DATA)
"""Settings that may name a file, a folder or a run."""

PASSED_ON = [f.name for f in dataclasses.fields(CommonConfig) if f.name not in ("model", "seed")]


@dataclass(frozen=True, slots=True)
class Job:
    """A part with one seed: a command that is ready to be run.

    Attributes:
        part: the entry of the table.
        name: of its run directory, inside the comparison's.
        seed: of the part.
        settings: of its command, as in YAML; models of other parts and the verifier aside.
        needs: names of the jobs that come first, by part.
    """

    part: Part
    name: str
    seed: int
    settings: Mapping[str, Any]
    needs: Mapping[str, str]


def resolved(config: CompareConfig) -> CompareConfig:
    """The settings with teacher, student and the number of questions filled in."""
    ours = config.model in ABACUS
    teacher = (TEACHER if ours else "") if config.teacher is None else config.teacher
    smaller = SMALLER if config.model == "abacus" else ""
    return dataclasses.replace(
        config,
        teacher=teacher,
        student=smaller if config.student is None else config.student,
        test_size=min(config.test_size, QUICK_QUESTIONS) if config.quick else config.test_size,
    )


def left_out(config: CompareConfig, programs: bool) -> dict[str, str]:
    """Parts that such a comparison can't have, and why.

    Args:
        programs: whether answers are programs, which can't be counted as votes.
    """
    reasons: dict[str, str] = {}
    for part in PARTS.values():
        if config.quick and part.quick is None:
            reasons[part.name] = "--quick leaves it out"
        elif part.taught and not config.teacher:
            reasons[part.name] = f"there is no teacher for {config.model}: pass --teacher"
        elif part.model == STUDENT and not config.student:
            reasons[part.name] = "there is no smaller model: pass --student"
        elif programs and part.command in ("vote", "verifier"):
            reasons[part.name] = "programs can't be counted as votes"
        elif part.model in reasons:
            reasons[part.name] = f"{part.model} is left out"
    return reasons


def jobs(config: CompareConfig, programs: bool = False) -> list[Job]:
    """What is run, in its order; every setting is known to be good.

    Raises:
        RefusedError: a part or setting that there isn't, or that is left out.
    """
    reasons = left_out(config, programs)
    chosen = _chosen(config.only, reasons)
    overrides = _overrides(config.set or [])
    made = []
    for part in (PARTS[name] for name in PARTS if name in chosen):
        for seed in range(config.seed, config.seed + config.seeds):
            settings = {
                **{key: value for key, value in to_mapping(config).items() if key in PASSED_ON},
                **part.settings,
                **((part.quick or {}) if config.quick else {}),
                **overrides.get(part.name, {}),
                "seed": seed,
            }
            if part.command == "vote":
                # There a reward ranks completions, and is no reward to train with.
                settings["reward"] = None
            elif programs and part.name in ("grpo", "student-grpo"):
                settings["baselines"] = True
            if part.model in (BASE, STUDENT):
                settings["model"] = config.model if part.model == BASE else config.student
            if part.taught:
                settings["teacher"] = config.teacher
            from_mapping(COMMANDS[part.command], settings, f"part {part.name}")
            needs = {name: named(name, seed, config) for name in part.needs if name in chosen}
            made.append(Job(part, named(part.name, seed, config), seed, settings, needs))
    return made


def named(part: str, seed: int, config: CompareConfig) -> str:
    """The name of a job."""
    return part if config.seeds == 1 else f"{part}-seed-{seed}"


def _chosen(only: Sequence[str] | None, reasons: Mapping[str, str]) -> set[str]:
    for name in only or ():
        if name not in PARTS:
            raise UnknownNameError("part", name, PARTS)
        if name in reasons:
            raise RefusedError(f"--only {name}: {reasons[name]}")
    wanted = list(only) if only else list(PARTS)
    chosen: set[str] = set()
    while wanted:
        part = PARTS[wanted.pop()]
        if part.name not in reasons and part.name not in chosen:
            chosen.add(part.name)
            base = "student-base" if part.model == STUDENT else "base"
            wanted += [*part.needs, base]
    return chosen


def _overrides(specs: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for spec in specs:
        name, setting, value = read_assignment(spec)
        if name not in PARTS:
            raise UnknownNameError("part", name, PARTS, f"(--set {spec})")
        found.setdefault(name, {})[setting] = value
    return found


def key_of(job: Job, settings: Mapping[str, Any], keys: Mapping[str, str]) -> str:
    """A hash of all that a job's outcome hangs on: its settings, and what these refer to.

    Args:
        settings: with what a budget has changed.
        keys: of the jobs that come first, by name.
    """
    told = {
        "version": importlib.metadata.version("reasonkit"),
        "command": job.part.command,
        "settings": settings,
        "needs": {part: keys[name] for part, name in job.needs.items()},
        "inputs": {k: _content(settings[k]) for k in INPUTS if settings.get(k)},
    }
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def data_of(jobs: Sequence[Job]) -> list[str | None]:
    """Hashes of the data that settings of jobs name, in their order."""
    return [_content(job.settings[k]) for job in jobs for k in DATA if job.settings.get(k)]


def _content(name: str) -> str | None:
    """A hash of the weights or the data that a setting names; None where it is no path."""
    path = Path(name)
    if not path.exists():
        return None
    inside = path / "final" if (path / "run.json").exists() else path
    files = sorted(inside.rglob("*")) if inside.is_dir() else [inside]
    digest = hashlib.sha256()
    for file in (f for f in files if f.is_file()):
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
