"""The commands that run a recipe: their flags are the fields of their settings, declared there.

Each is made when it is asked for, since reading the settings of all of them takes longer than
whatever ``reasonkit models`` does; its recipe is imported when it runs, so that ``--help`` never
loads torch.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import typer
from typer.core import TyperGroup

from reasonkit import console
from reasonkit.errors import RefusedError, StoppedError

RECIPES = {
    "grpo": "Pure reinforcement learning against checkable rewards (the R1-Zero route).",
    "distill": "A student learns from a teacher's worked answers (the R1-Distill route).",
    "sft-rl": "The full R1 recipe: cold-start SFT, GRPO, rejection-sampled SFT, and a last GRPO.",
    "vote": "Accuracy bought at inference time: a question, a task, or completions that are there.",
    "verifier": "A verifier for vote, trained on a generator's own solutions.",
    "compare": "The ways side by side: one base, the same test questions, accuracy against cost.",
}
"""What each of them does."""

USES = ("chat", "push", "export")
"""Functions of `reasonkit.using` that are commands."""


class Commands(TyperGroup):
    """The recipes and whatever else is registered."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, recipes first."""
        later = (*RECIPES, *USES)
        return [*later, *(name for name in self.commands if name not in later)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command; None where there is no such name."""
        later = (*RECIPES, *USES)
        known = cmd_name in later or cmd_name in self.commands
        # Near names are looked for among those that are there.
        for name in (cmd_name,) if known else later:
            if name not in self.commands:
                alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
                if name in RECIPES:
                    alone.command(name, help=RECIPES[name])(_body(name))
                else:
                    using = importlib.import_module("reasonkit.using")
                    alone.command(name)(getattr(using, name))
                self.commands[name] = typer.main.get_command(alone)
        return super().get_command(ctx, cmd_name)


def _body(name: str) -> Callable[..., None]:
    """What a command does, as a function whose signature is its settings and `Invocation`."""
    from reasonkit import config

    module = name.replace("-", "_")
    settings = getattr(config, f"{module.title().replace('_', '')}Config")
    parameters = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *_parameters(config.Invocation),
        *_parameters(settings),
    ]

    def body(context: typer.Context, **values: Any) -> None:
        own = [field.name for field in dataclasses.fields(config.Invocation)]
        invocation = config.Invocation(**{field: values.pop(field) for field in own})
        given = {
            field: value
            for field, value in values.items()
            if (source := context.get_parameter_source(field)) and source.name == "COMMANDLINE"
        }
        try:
            merged = _merge(settings, given, invocation, name)
            console.note(_headline(name, merged))
            with console.results_alone(), console.doing("loading libraries and data"):
                importlib.import_module(f"reasonkit.recipes.{module}").run(merged, invocation)
        except KeyboardInterrupt as stop:
            raise StoppedError("interrupted") from stop

    body.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    body.__annotations__ = {p.name: p.annotation for p in parameters}
    return body


def _parameters(settings: type) -> Iterator[inspect.Parameter]:
    """A parameter of a command for each field, as `reasonkit.config.base.flag` describes it."""
    hints = get_type_hints(settings)
    for field in dataclasses.fields(settings):
        told: dict[str, Any] = dict(field.metadata)
        panel = told.pop("panel")
        names = [f"--{field.name.replace('_', '-')}"] if told.pop("one_way", False) else []
        make = typer.Argument if told.pop("argument", False) else typer.Option
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=make(field.default, *names, rich_help_panel=panel, **told),
            annotation=hints[field.name],
        )


def _headline(command: str, settings: Any) -> str:
    """What is going to be done, in one line."""
    about = getattr(settings, "question", None) or getattr(settings, "completions", None)
    line = f"{command}: {settings.model} on {about or settings.task}"
    if steps := getattr(settings, "steps", None):
        line += f", {steps} steps"
    if taught := getattr(settings, "teacher", None):
        line += f", taught by {taught}"
    return line


def _merge(settings: Any, flags: dict[str, Any], invocation: Any, command: str) -> Any:
    """The settings of a call: flags over the file, or over what the run to go on with has."""
    from reasonkit.config import More, from_mapping, read_yaml, to_mapping

    if invocation.resume:
        if invocation.run_dir is None:
            raise RefusedError("--resume needs --run-dir: which run is to go on?")
        changeable = getattr(settings, "CHANGEABLE", ())
        fixed = [f"--{name.replace('_', '-')}" for name in flags if name not in changeable]
        if fixed or invocation.config:
            extra = ", ".join(fixed) or "--config"
            raise RefusedError(f"--resume takes its settings from the run: leave out {extra}")
        # Only this needs it, and every command starts without it sooner.
        from reasonkit.runs import open_run

        made = open_run(invocation.run_dir, command)
        for name, value in flags.items():
            if isinstance(value, More):
                flags[name] = made.config[name] + value
        return from_mapping(settings, made.config | flags, str(made.path / "config.yaml"))
    base = settings()
    if invocation.config is not None:
        base = from_mapping(settings, read_yaml(invocation.config), str(invocation.config))
    return from_mapping(settings, to_mapping(base) | flags, "flags")
