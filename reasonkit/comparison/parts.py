"""The parts of a comparison, a table of commands that anybody could run, and which are run.

Every setting is checked before a part is started. Leaves out what only a budget or the parts before
can tell: how much is spent, and the models that these have made.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reasonkit.config import (
    CommonConfig,
    CompareConfig,
    DistillConfig,
    GrpoConfig,
    SftRlConfig,
    VerifierConfig,
    VoteConfig,
    from_mapping,
    read_assignment,
    to_mapping,
)
from reasonkit.errors import RefusedError, UnknownNameError

BASE, STUDENT = "the base", "the student"
"""What a part starts from, where that is not what another part has trained; no part's names."""

COMMANDS: dict[str, type[CommonConfig]] = {
    "vote": VoteConfig,
    "verifier": VerifierConfig,
    "grpo": GrpoConfig,
    "distill": DistillConfig,
    "sft-rl": SftRlConfig,
}
TRAINING = ("grpo", "distill", "sft-rl")
"""The commands that train a policy."""

ABACUS = ("abacus", "abacus-mini", "abacus-reasoner")
QUICK_QUESTIONS = 200

DATA = ("task", "general_task", "traces", "general", "general_chats", "completions")
INPUTS = ("model", "teacher", "verifier", *DATA)
"""Settings that may name a file, a folder or a run."""

USUAL: dict[str, dict[str, Any]] = {
    "vote": {"strategy": "majority", "also": ["adaptive"], "baselines": False, "longer": False},
    **{command: {"baselines": False} for command in TRAINING},
}
"""Settings of a command in a comparison: a base and its wordings are measured once, by a part."""

QUICK: dict[str, dict[str, Any]] = {
    "grpo": {"steps": 30},
    "distill": {"questions": 1000},
    "sft-rl": {
        "set": [
            "cold-start.questions=300",
            "rl.steps=16",
            "rejection.questions=200",
            "final-rl.steps=8",
        ]
    },
}
"""What differs with ``--quick``; a vote takes half of its samples."""

LONG = ("verifier", "vote-step-by-step")
"""Parts that ``--quick`` leaves out."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of the comparison that a part yields.

    Attributes:
        label: its name; ``{model}``, ``{n}`` and ``{teacher}`` are filled in.
        evaluation: the name of its verdicts in the part's run.
        way: what it counts as: ``base``, ``vote``, ``teacher``, the command that has trained the
            model, or that and ``+vote``.
    """

    label: str
    evaluation: str
    way: str

    @property
    def wording(self) -> str | None:
        """Name of the step-by-step wording that its questions were asked with."""
        return "step-by-step" if self.evaluation == "step-by-step" else None

    @property
    def probed(self) -> bool:
        """Whether what was not trained on is asked too (`reasonkit.comparison.probes`)."""
        return self.way in ("base", *TRAINING) and "before" not in self.evaluation


@dataclass(frozen=True, slots=True)
class Part:
    """An entry of the table.

    Attributes:
        name: as with ``--only``.
        command: that it is a run of.
        what: it does.
        settings: that differ from what is usual for its command here.
        shown: the rows that it yields.
        model: what it starts from: `BASE`, `STUDENT`, or the part that has trained it.
        verifier: the part whose verifier it ranks by, where that is there.
    """

    name: str
    command: str
    what: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    shown: tuple[Shown, ...] = ()
    model: str = BASE
    verifier: str = ""

    @property
    def needs(self) -> list[str]:
        """The parts that come first."""
        return [name for name in (self.model, self.verifier) if name in PARTS]


VOTED = {"after": "majority of {n}", "adaptive": "adaptive, at most {n}"}
"""Evaluation → the name of its row."""


def _vote(
    name: str,
    what: str,
    shown: Mapping[str, str],
    way: str = "vote",
    model: str = BASE,
    **settings: Any,
) -> Part:
    """Rows by the names of their evaluations; the rest are settings."""
    rows = tuple(Shown(label, evaluation, way) for evaluation, label in shown.items())
    verifier = "verifier" if "best-of-n" in shown else ""
    return Part(name, "vote", what, settings, rows, model, verifier)


def _untrained(name: str, whose: str, model: str) -> Part:
    what = f"{whose}, asked directly and step by step"
    shown = {"after": "{model}, asked directly", "step-by-step": "{model}, step by step"}
    return _vote(name, what, shown, "base", model, strategy="greedy", also=["step-by-step"], n=1)


def _voted_on(part: str) -> Part:
    what = f"majority and adaptive votes on what {part} has trained"
    shown = {name: f"{part}, {label}" for name, label in VOTED.items()}
    return _vote(f"vote-{part}", what, shown, f"{part}+vote", part, n=8)


def _trained(name: str, what: str, *more: Shown) -> Part:
    student, command = name.startswith("student-"), name.removeprefix("student-")
    shown = (Shown(f"{{model}}, {command}" if student else command, "after", command), *more)
    return Part(name, command, what, {}, shown, STUDENT if student else BASE)


_ALL = (
    _untrained("base", "the base", BASE),
    Part(
        "verifier",
        "verifier",
        "a verifier of the base's own solutions, for best-of-n",
        {"questions": 1500, "samples": 8},
    ),
    _vote(
        "vote",
        "majority, adaptive and best-of-n on the base, asked directly",
        {**VOTED, "best-of-n": "best of {n}"},
        also=["adaptive", "best-of-n"],
        n=16,
    ),
    _vote(
        "vote-step-by-step",
        "majority and adaptive on the base, asked to think step by step",
        {name: f"{label}, step by step" for name, label in VOTED.items()},
        n=16,
        step_by_step=True,
    ),
    _trained("grpo", "reinforcement learning from the base"),
    _trained(
        "distill",
        "the base learns from the teacher's traces",
        Shown("teacher, {teacher}", "teacher", "teacher"),
    ),
    _trained("sft-rl", "the full R1 recipe from the base"),
    *map(_voted_on, TRAINING),
    _untrained("student-base", "the smaller model", STUDENT),
    _trained("student-distill", "the smaller model learns from the teacher's traces"),
    _trained("student-grpo", "the smaller model, reinforcement learning from scratch"),
)
PARTS: dict[str, Part] = {part.name: part for part in _ALL}
"""In the order in which they are run."""


@dataclass(frozen=True, slots=True)
class Job:
    """A part with one seed: a command that is ready to be run.

    Attributes:
        part: the entry of the table.
        name: of its run directory, inside the comparison's.
        settings: of its command, as in YAML; models of other parts and the verifier aside.
        needs: names of the jobs that come first, by part.
    """

    part: Part
    name: str
    settings: Mapping[str, Any]
    needs: Mapping[str, str]


def resolved(config: CompareConfig) -> CompareConfig:
    """The settings with teacher, student and the number of questions filled in."""
    teacher = "abacus-reasoner" if config.model in ABACUS else ""
    smaller = "abacus-mini" if config.model == "abacus" else ""
    return dataclasses.replace(
        config,
        teacher=teacher if config.teacher is None else config.teacher,
        student=smaller if config.student is None else config.student,
        test_size=min(config.test_size, QUICK_QUESTIONS) if config.quick else config.test_size,
    )


def left_out(config: CompareConfig, programs: bool) -> dict[str, str]:
    """Parts that such a comparison can't have, and why.

    Args:
        programs: whether answers are programs, of which models alone are compared.
    """
    reasons: dict[str, str] = {}
    for part in PARTS.values():
        if config.quick and part.name in LONG:
            reasons[part.name] = "--quick leaves it out"
        elif part.command == "distill" and not (config.teacher or config.traces):
            reasons[part.name] = f"{config.model} has no teacher: pass --teacher, or --traces"
        elif part.model == STUDENT and not config.student:
            reasons[part.name] = "there is no smaller model: pass --student"
        elif programs and part.command in ("vote", "verifier"):
            reasons[part.name] = "programs are compared without votes"
        elif part.model in reasons:
            reasons[part.name] = f"{part.model} is left out"
    return reasons


def jobs(config: CompareConfig, programs: bool = False) -> list[Job]:
    """What is run, in its order; every setting is known to be good.

    Raises:
        RefusedError: a part or setting that there isn't, or that is left out.
    """
    chosen = _chosen(config.only, left_out(config, programs))
    overrides: dict[str, dict[str, Any]] = {}
    for spec in config.set or []:
        at, setting, value = read_assignment(spec)
        overrides.setdefault(_known(at, f"(--set {spec})").name, {})[setting] = value
    shared = {f.name for f in dataclasses.fields(CommonConfig)} - {"model", "seed"}
    passed_on = {key: value for key, value in to_mapping(config).items() if key in shared}
    made = []
    for part in (PARTS[name] for name in PARTS if name in chosen):
        settings = {**passed_on, **USUAL.get(part.command, {}), **part.settings}
        if config.quick and part.command == "vote":
            settings["n"] = max(1, settings["n"] // 2)
        elif config.quick:
            settings |= QUICK.get(part.command, {})
        settings |= overrides.get(part.name, {})
        if part.command == "vote":
            # There a reward ranks completions, and is no reward to train with.
            settings["reward"] = None
        elif programs and part.command == "grpo":
            settings["baselines"] = True
        if part.model not in PARTS:
            settings["model"] = config.model if part.model == BASE else config.student
        if part.command == "distill":
            settings["teacher"] = config.teacher or None
            settings["traces"] = None if config.teacher else config.traces
        elif part.command == "sft-rl":
            settings["traces"] = config.traces
        from_mapping(COMMANDS[part.command], settings, f"part {part.name}")
        for seed in range(config.seed, config.seed + config.seeds):
            ending = "" if config.seeds == 1 else f"-seed-{seed}"
            needs = {name: f"{name}{ending}" for name in part.needs if name in chosen}
            made.append(Job(part, f"{part.name}{ending}", {**settings, "seed": seed}, needs))
    return made


def _known(name: str, where: str = "") -> Part:
    if name not in PARTS:
        raise UnknownNameError("part", name, PARTS, where)
    return PARTS[name]


def _chosen(only: Sequence[str] | None, reasons: Mapping[str, str]) -> set[str]:
    for name in only or ():
        if _known(name).name in reasons:
            raise RefusedError(f"--only {name}: {reasons[name]}")
    wanted = list(only or PARTS)
    chosen: set[str] = set()
    while wanted:
        part = PARTS[wanted.pop()]
        if part.name not in reasons and part.name not in chosen:
            chosen.add(part.name)
            wanted += [*part.needs, "student-base" if part.model == STUDENT else "base"]
    return chosen


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
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


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
