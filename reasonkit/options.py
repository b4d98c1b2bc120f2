"""Turns a config dataclass into the flags of a command, and flags and YAML into a config."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import typer

from reasonkit.config import Config, Invocation, from_mapping, read_yaml, to_mapping
from reasonkit.errors import RefusedError, StoppedError


def with_options(
    config: type[Config], body: Callable[[Config, Invocation], None]
) -> Callable[..., None]:
    """A function whose signature is the fields of ``config`` and of `Invocation`."""
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [
        context,
        *(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=hints[field.name],
            )
            for source in (Invocation, config)
            for hints in [get_type_hints(source, include_extras=True)]
            for field in dataclasses.fields(source)
        ),
    ]

    def command(context: typer.Context, **values: Any) -> None:
        names = [field.name for field in dataclasses.fields(Invocation)]
        invocation = Invocation(**{name: values.pop(name) for name in names})
        given = {name for name in values if _was_given(context, name)}
        try:
            body(_merge(config, values, given, invocation, context.info_name), invocation)
        except KeyboardInterrupt as stop:
            raise StoppedError("interrupted") from stop

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = body.__doc__
    return command


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _merge(
    config: type[Config],
    values: dict[str, Any],
    given: set[str],
    invocation: Invocation,
    command: str | None,
) -> Config:
    flags = {name: values[name] for name in given}
    if invocation.resume:
        if invocation.run_dir is None:
            raise RefusedError("--resume needs --run-dir: which run is to go on?")
        changeable = getattr(config, "CHANGEABLE", ())
        fixed = [f"--{name.replace('_', '-')}" for name in flags if name not in changeable]
        if fixed or invocation.config:
            extra = ", ".join(fixed) or "--config"
            raise RefusedError(f"--resume takes its settings from the run: leave out {extra}")
        # Only this needs it, and every command starts without it sooner.
        from reasonkit.runs import open_run

        made = open_run(invocation.run_dir, command)
        return from_mapping(config, made.config | flags, str(made.path / "config.yaml"))
    base = config()
    if invocation.config is not None:
        base = from_mapping(config, read_yaml(invocation.config), str(invocation.config))
    return from_mapping(config, to_mapping(base) | flags, "flags")
