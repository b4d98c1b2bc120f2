"""The parts of a comparison, a table of data: each is a command that anybody could run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reasonkit.config import (
    CommonConfig,
    DistillConfig,
    GrpoConfig,
    SftRlConfig,
    VerifierConfig,
    VoteConfig,
)

BASE, STUDENT = "the base", "the student"
"""What a part starts from, where that is not what another part has trained; no part's names."""

COMMANDS: dict[str, type[CommonConfig]] = {
    "vote": VoteConfig,
    "verifier": VerifierConfig,
    "grpo": GrpoConfig,
    "distill": DistillConfig,
    "sft-rl": SftRlConfig,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of the comparison that a part yields.

    Attributes:
        label: its name; ``{model}``, ``{n}`` and ``{teacher}`` are filled in.
        evaluation: the name of its verdicts in the part's run.
        way: what it counts as: ``base``, ``vote``, ``teacher``, the command that has trained the
            model, or that and ``+vote``.
        wording: name of the step-by-step wording that its questions were asked with.
        probed: whether what was not trained on is asked too (`reasonkit.comparison.probes`).
    """

    label: str
    evaluation: str
    way: str
    wording: str | None = None
    probed: bool = False

    @property
    def trained(self) -> bool:
        """Whether the comparison has trained the model that answers."""
        return self.way not in ("base", "vote", "teacher")


@dataclass(frozen=True, slots=True)
class Part:
    """An entry of the table.

    Attributes:
        name: as with ``--only``.
        command: of reasonkit.
        what: one line.
        model: what it starts from: `BASE`, `STUDENT`, or the part whose trained model it takes.
        settings: that differ from the command's defaults.
        quick: that differ further with ``--quick``, which leaves the part out if None.
        taught: whether it needs a teacher.
        verifier: the part whose verifier it ranks by, where that is there.
        shown: the rows that it yields.
    """

    name: str
    command: str
    what: str
    model: str = BASE
    settings: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] | None = field(default_factory=dict)
    taught: bool = False
    verifier: str | None = None
    shown: tuple[Shown, ...] = ()

    @property
    def measures(self) -> bool:
        """Whether it only measures a model, and so has nothing to spend a budget on."""
        return all(row.way == "base" for row in self.shown) and bool(self.shown)

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts that come first."""
        other = () if self.model in (BASE, STUDENT) else (self.model,)
        return (*other, *((self.verifier,) if self.verifier else ()))


GREEDY = {"strategy": "greedy", "also": ["step-by-step"], "n": 1}
ALONE = {"baselines": False, "longer": False}
"""Of a vote: the base and its wordings are measured once, in the part of that name."""

UNTRAINED = (
    Shown("{model}, asked directly", "after", "base", probed=True),
    Shown("{model}, step by step", "step-by-step", "base", "step-by-step", probed=True),
)
VOTED = (
    Shown("majority of {n}", "after", "vote"),
    Shown("adaptive, at most {n}", "adaptive", "vote"),
    Shown("best of {n}", "best-of-n", "vote"),
)


def _voted_on(part: str) -> Part:
    """A vote on top of a trained model."""
    return Part(
        f"vote-{part}",
        "vote",
        f"majority and adaptive votes on what {part} has trained",
        model=part,
        settings={"strategy": "majority", "also": ["adaptive"], "n": 8, **ALONE},
        quick={"n": 4},
        shown=(
            Shown(f"{part}, majority of {{n}}", "after", f"{part}+vote"),
            Shown(f"{part}, adaptive, at most {{n}}", "adaptive", f"{part}+vote"),
        ),
    )


PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        Part(
            "base",
            "vote",
            "the base, asked directly and step by step",
            settings={**GREEDY, **ALONE},
            shown=UNTRAINED,
        ),
        Part(
            "verifier",
            "verifier",
            "a verifier of the base's own solutions, for best-of-n",
            settings={"questions": 1500, "samples": 8},
            quick=None,
        ),
        Part(
            "vote",
            "vote",
            "majority, adaptive and best-of-n on the base, asked directly",
            settings={
                "strategy": "majority",
                "also": ["adaptive", "best-of-n"],
                "n": 16,
                **ALONE,
            },
            quick={"n": 8},
            verifier="verifier",
            shown=VOTED,
        ),
        Part(
            "vote-step-by-step",
            "vote",
            "majority and adaptive on the base, asked to think step by step",
            settings={
                "strategy": "majority",
                "also": ["adaptive"],
                "n": 16,
                "step_by_step": True,
                **ALONE,
            },
            quick={"n": 8},
            shown=(
                Shown("majority of {n}, step by step", "after", "vote"),
                Shown("adaptive, at most {n}, step by step", "adaptive", "vote"),
            ),
        ),
        Part(
            "grpo",
            "grpo",
            "reinforcement learning from the base",
            settings={"baselines": False},
            quick={"steps": 40},
            shown=(Shown("grpo", "after", "grpo", probed=True),),
        ),
        Part(
            "distill",
            "distill",
            "the base learns from the teacher's traces",
            settings={"baselines": False},
            quick={"questions": 1000},
            taught=True,
            shown=(
                Shown("distill", "after", "distill", probed=True),
                Shown("teacher, {teacher}", "teacher", "teacher"),
            ),
        ),
        Part(
            "sft-rl",
            "sft-rl",
            "the full R1 recipe from the base",
            settings={"baselines": False},
            quick={
                "set": [
                    "cold-start.questions=300",
                    "rl.steps=24",
                    "rejection.questions=500",
                    "final-rl.steps=12",
                ]
            },
            shown=(Shown("sft-rl", "after", "sft-rl", probed=True),),
        ),
        _voted_on("grpo"),
        _voted_on("distill"),
        _voted_on("sft-rl"),
        Part(
            "student-base",
            "vote",
            "the smaller model, asked directly and step by step",
            model=STUDENT,
            settings={**GREEDY, **ALONE},
            shown=UNTRAINED,
        ),
        Part(
            "student-distill",
            "distill",
            "the smaller model learns from the teacher's traces",
            model=STUDENT,
            settings={"baselines": False},
            quick={"questions": 1000},
            taught=True,
            shown=(Shown("{model}, distill", "after", "distill", probed=True),),
        ),
        Part(
            "student-grpo",
            "grpo",
            "the smaller model, reinforcement learning from scratch",
            model=STUDENT,
            settings={"baselines": False},
            quick={"steps": 40},
            shown=(Shown("{model}, grpo", "after", "grpo", probed=True),),
        ),
    )
}
"""In the order in which they are run."""
