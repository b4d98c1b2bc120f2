"""The commands that run a recipe: their flags are the fields of their settings, declared there.

A flag of another program is answered with ours, a misspelt one with the near ones.

Each is made when it is asked for, since reading the settings of all of them takes longer than
whatever ``reasonkit models`` does; its recipe is imported when it runs, so that ``--help`` never
loads torch.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import importlib
import inspect
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from reasonkit import completing, console, launching
from reasonkit.errors import PreemptedError, RefusedError, StoppedError, UnknownNameError
from reasonkit.examples import epilog
from reasonkit.interruption import Preemption

RECIPES = {
    "grpo": "Pure reinforcement learning against checkable rewards (the R1-Zero route).",
    "distill": "A student learns from a teacher's worked answers (the R1-Distill route).",
    "sft-rl": "The full R1 recipe: cold-start SFT, GRPO, rejection-sampled SFT, and a last GRPO.",
    "vote": "Accuracy bought at inference time: a question, a task, or completions that are there.",
    "verifier": "A verifier for vote, trained on a generator's own solutions.",
    "compare": "The ways side by side: one base, the same test questions, accuracy against cost.",
}
"""What each of them does."""

USES = {
    **dict.fromkeys(("chat", "serve", "push", "export"), "using"),
    "explain": "explaining",
    "docs": "manual",
}
"""Functions that are commands, and the module of each."""

METAVARS: dict[object, str] = {bool: "", int: "N", float: "X", str: "TEXT", Path: "PATH"}
"""What stands for a value in ``--help``."""


class Commands(TyperGroup):
    """The recipes and whatever else is registered."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, recipes first."""
        later = (*RECIPES, *USES)
        return [*later, *(name for name in self.commands if name not in later)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command; None where there is no such name."""
        if cmd_name in (*RECIPES, *USES) and cmd_name not in self.commands:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            if cmd_name in RECIPES:
                alone.command(cmd_name, cls=Recipe, help=RECIPES[cmd_name])(_body(cmd_name))
            else:
                module = importlib.import_module(f"reasonkit.{USES[cmd_name]}")
                alone.command(cmd_name)(getattr(module, cmd_name))
            self.commands[cmd_name] = typer.main.get_command(alone)
        return with_examples(super().get_command(ctx, cmd_name), cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As of click.

        Raises:
            UnknownNameError: there is no such command.
        """
        if args[0] not in (names := self.list_commands(ctx)) and not args[0].startswith("-"):
            raise UnknownNameError("command", args[0], names)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """As of click.

        Raises:
            StoppedError: Ctrl-C or a signal has ended it.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            error = PreemptedError if isinstance(stop, Preemption) else StoppedError
            raise error(str(stop) or "interrupted") from stop


def with_examples(command: Any, path: str) -> Any:
    """A command whose help ends with its examples, and so that of each command below it.

    Args:
        command: None stays None.
        path: its name, below those of the groups that it is in.
    """
    if command is not None:
        command.epilog = epilog(path)
        for name, below in getattr(command, "commands", {}).items():
            with_examples(below, f"{path} {name}")
    return command


class Recipe(TyperCommand):
    """A command that knows what other programs call its flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As of click.

        Raises:
            RefusedError: for a flag that isn't here.
        """
        # So settings are written for verl.
        dotted = [arg.partition("=")[0] for arg in args if "=" in arg and "." in arg]
        self._answer([name for name in dotted if not name.startswith("-")])
        runs = [arg for arg in args if (Path(arg) / "run.json").exists()]
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # Which click it is from depends on the version of typer.
            if type(error).__name__ != "NoSuchOption":
                if ctx.info_name == "compare" and len(runs) > 1:
                    raise RefusedError(
                        "compare trains one base in several ways; of finished runs: "
                        f"reasonkit runs {shlex.join(runs)}"
                    ) from None
                raise
            name = str(error.option_name)  # type: ignore[attr-defined]
            self._answer([name])
            flags = [f for p in self.params for f in (*p.opts, *p.secondary_opts) if f[:2] == "--"]
            near = difflib.get_close_matches(name.replace("_", "-"), flags, n=3)
            offer = f"did you mean {' or '.join(near)}?" if near else "--help lists those there are"
            raise RefusedError(f"unknown flag {name}: {offer}") from None

    def _answer(self, names: list[str]) -> None:
        from reasonkit.config.foreign import answers

        help = {str(p.name): getattr(p, "help", None) or "" for p in self.params}
        for sentence in answers(dict.fromkeys(names), help, "--{}", help):
            raise RefusedError(sentence)


def settings(command: str) -> Any:
    """The class of a command's settings."""
    from reasonkit import config

    return getattr(config, f"{command.title().replace('-', '')}Config")


def is_shared(command: str) -> bool:
    """Whether several processes can carry it out together."""
    from reasonkit.config import SharedConfig

    return command in RECIPES and issubclass(settings(command), SharedConfig)


def asked(command: str, context: Any, values: dict[str, Any]) -> tuple[Any, Any]:
    """The settings and the `Invocation` of a call.

    Raises:
        RefusedError: as of `merge`.
    """
    from reasonkit.config import Invocation

    own = {field.name for field in dataclasses.fields(Invocation)}
    given = {
        name: value
        for name, value in values.items()
        if name not in own
        and (source := context.get_parameter_source(name))
        and source.name == "COMMANDLINE"
    }
    invocation = Invocation(**{name: values[name] for name in own & values.keys()})
    return merge(settings(command), given, invocation, command), invocation


def _body(name: str) -> Callable[..., None]:
    """What a command does, as a function whose signature is its settings and `Invocation`."""
    from reasonkit import config

    module, kind = name.replace("-", "_"), settings(name)
    first = {field: place for place, field in enumerate(kind.FIRST)}
    only_shared = () if is_shared(name) else ("processes", "on")
    called = _parameters(config.Invocation, name)
    flags = [
        *(flag for flag in called if flag.name not in only_shared),
        *_parameters(kind, name),
    ]
    parameters = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        *sorted(flags, key=lambda flag: first.get(flag.name, len(first))),
    ]

    def body(context: typer.Context, **values: Any) -> None:
        if is_shared(name):
            launching.share(values["processes"])
        merged, invocation = asked(name, context, values)
        if invocation.on is not None and not invocation.dry_run:
            raise RefusedError("--on plans for devices that aren't here: add --dry-run")
        console.note(_headline(name, merged))
        with console.results_alone(), console.doing("loading libraries and data"):
            if invocation.on is not None:
                from reasonkit.plan import ahead

                ahead.show(merged, invocation.on)
                return
            importlib.import_module(f"reasonkit.recipes.{module}").run(merged, invocation)

    body.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    body.__annotations__ = {p.name: p.annotation for p in parameters}
    return body


def _parameters(kind: type, command: str) -> Iterator[inspect.Parameter]:
    """A parameter of a command for each field, as `reasonkit.config.base.flag` describes it.

    Those that matter most have no panel of their own: so they come first.
    """
    hints, first = get_type_hints(kind), getattr(kind, "FIRST", ())
    for field in dataclasses.fields(kind):
        told: dict[str, Any] = dict(field.metadata)
        panel = None if field.name in first else told["panel"]
        del told["panel"]
        kinds = get_args(hints[field.name]) or (hints[field.name],)
        metavar = next((METAVARS[kind] for kind in kinds if kind in METAVARS), None)
        if list[str] in kinds:
            metavar = METAVARS[str]
        if isinstance(kinds[0], enum.EnumMeta):
            # In a column of their own they would leave none for words.
            metavar, told["help"] = "NAME", f"{told['help']} One of {', '.join(kinds[0])}."
        names = [f"--{field.name.replace('_', '-')}"] if told.pop("one_way", False) else []
        make = typer.Argument if told.pop("argument", False) else typer.Option
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=make(
                field.default,
                *names,
                rich_help_panel=panel,
                metavar=metavar,
                autocompletion=completing.values(field.name, command),
                **told,
            ),
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


def merge(
    kind: Any, flags: dict[str, Any], invocation: Any, command: str, where: str = "flags"
) -> Any:
    """The settings of a call: flags over the file, or over what the run to go on with has.

    Args:
        where: what stands for the flags in messages.

    Raises:
        RefusedError: a file that can't be read, or a value that can't be.
    """
    from reasonkit.config import More, from_mapping, read_yaml, to_mapping
    from reasonkit.config.shipped import settings_file

    if invocation.resume:
        if invocation.run_dir is None:
            raise RefusedError("--resume needs --run-dir: which run is to go on?")
        changeable = getattr(kind, "CHANGEABLE", ())
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
        return from_mapping(kind, made.config | flags, str(made.path / "config.yaml"))
    base = kind()
    if invocation.config is not None:
        path = settings_file(invocation.config, command)
        base = from_mapping(kind, read_yaml(path), str(invocation.config))
    return from_mapping(kind, to_mapping(base) | flags, where)
