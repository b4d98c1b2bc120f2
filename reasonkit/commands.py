"""The commands that run a recipe, each made when it is asked for.

Reading the settings of all of them takes longer than whatever ``reasonkit models`` does. A command
imports its recipe inside its body, so that ``--help`` never loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, get_type_hints

import typer
from typer.core import TyperGroup

from reasonkit import console

if TYPE_CHECKING:
    from reasonkit.config import (
        CompareConfig,
        DistillConfig,
        GrpoConfig,
        Invocation,
        SftRlConfig,
        VerifierConfig,
        VoteConfig,
    )


def grpo(config: GrpoConfig, invocation: Invocation) -> None:
    """Pure reinforcement learning against checkable rewards (the R1-Zero route)."""
    from reasonkit.recipes import grpo

    grpo.run(config, invocation)


def distill(config: DistillConfig, invocation: Invocation) -> None:
    """A student learns from a teacher's worked answers (the R1-Distill route)."""
    from reasonkit.recipes import distill

    distill.run(config, invocation)


def sft_rl(config: SftRlConfig, invocation: Invocation) -> None:
    """The full R1 recipe: cold-start SFT, GRPO, rejection-sampled SFT, and a last GRPO."""
    from reasonkit.recipes import sft_rl

    sft_rl.run(config, invocation)


def vote(config: VoteConfig, invocation: Invocation) -> None:
    """Accuracy bought at inference time: a question, a task, or completions that are there."""
    from reasonkit.recipes import vote

    vote.run(config, invocation)


def verifier(config: VerifierConfig, invocation: Invocation) -> None:
    """A verifier for vote, trained on a generator's own solutions."""
    from reasonkit.recipes import verifier

    verifier.run(config, invocation)


def compare(config: CompareConfig, invocation: Invocation) -> None:
    """The ways side by side: one base, the same test questions, accuracy against cost."""
    from reasonkit.recipes import compare

    compare.run(config, invocation)


RECIPES: dict[str, Callable[..., None]] = {
    "grpo": grpo,
    "distill": distill,
    "sft-rl": sft_rl,
    "vote": vote,
    "verifier": verifier,
    "compare": compare,
}


class Commands(TyperGroup):
    """The recipes and whatever else is registered."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, recipes first."""
        return [*RECIPES, *(name for name in self.commands if name not in RECIPES)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command; None where there is no such name."""
        if cmd_name in RECIPES:
            self._make(cmd_name)
        elif cmd_name not in self.commands:
            # Near names are looked for among those that are there.
            for name in RECIPES:
                self._make(name)
        return super().get_command(ctx, cmd_name)

    def _make(self, name: str) -> None:
        if name not in self.commands:
            self.commands[name] = _made(name)


def _made(name: str) -> Any:
    from reasonkit import config
    from reasonkit.options import with_options

    body = RECIPES[name]
    settings = get_type_hints(body, localns=vars(config))["config"]
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @wraps(body)
    def kept(config: Any, invocation: Invocation) -> None:
        with console.results_alone():
            body(config, invocation)

    alone.command(name)(with_options(settings, kept))
    return typer.main.get_command(alone)
