"""The same recipes from Python: ``reasonkit.grpo(model="abacus", task="arithmetic", steps=50)``.

A function for each command, whose keywords are the settings of `reasonkit.config`, and more freely
written: a reward or a task may be a function, a path anything path-like. What the command line
writes to stderr is written there; what it prints as a result is what is returned. Errors are those
of `reasonkit.errors`, and Ctrl-C is KeyboardInterrupt. Leaves out ``--dry-run`` and ``--json``.

Nothing of torch is imported until a function is called.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from reasonkit import commands, config, console, functions, hanging, processes, runs
from reasonkit.errors import RefusedError
from reasonkit.result import Result
from reasonkit.types import Claim

Function = TypeVar("Function", bound=Callable[..., Any])
OnStep = Callable[[dict[str, Any]], object]

KEYWORDS = ("config", "run_dir", "resume")
"""What belongs to a call and not to its settings, of `reasonkit.config.Invocation`."""

_named: dict[str, str] = {}


def reward(
    function: Function | None = None, *, needs_answer: bool = True, claim: Claim | None = None
) -> Any:
    """Marks a function as a reward, which its name then stands for in ``reward=``.

    Args:
        function: ``f(group)`` or TRL's ``f(completions, **kwargs)``; see `reasonkit.rewards.own`.
        needs_answer: whether it reads the reference answer.
        claim: "correctness", "form" or "shaping"; by default correctness if it reads the answer.

    Returns:
        The function itself; without one, what marks it.
    """

    def marked(function: Function) -> Function:
        function.needs_answer = needs_answer  # type: ignore[attr-defined]
        if claim is not None:
            function.claim = claim  # type: ignore[attr-defined]
        _named[function.__name__] = functions.hold(function)
        return function

    return marked if function is None else marked(function)


def task(function: Function) -> Function:
    """Marks a function without arguments that gives rows, which its name then stands for."""
    _named[function.__name__] = functions.hold(function)
    return function


def open_run(path: str | os.PathLike[str]) -> Result:
    """An earlier run, from Python or the command line, finished or not.

    Raises:
        RefusedError: it is none.
    """
    return Result(runs.open_run(Path(path)).path)


def call(command: str, on_step: OnStep | None, given: dict[str, Any]) -> Result:
    """Carries a command out.

    Args:
        on_step: is told what is logged of each step; of a run in stages with the ``stage``.
        given: its settings, and `KEYWORDS`.

    Raises:
        RefusedError: before anything is made.
        RunError: when it can't go on.
    """
    functions.require_none_importing()
    file, folder, resume = (given.pop(name, None) for name in KEYWORDS)
    settings = {name: _plain(name, value) for name, value in given.items()}
    _tell_of_session(command, settings)
    with processes.joined() as store, hanging.noticed(store):
        invocation = config.Invocation(
            Path(file) if file else None, Path(folder) if folder else None, bool(resume)
        )
        merged = commands.merge(
            commands.settings(command), settings, invocation, command, f"{command}()"
        )

        def path() -> Path:
            return invocation.run_dir or runs.fresh(command, merged.model, merged.task)

        at = processes.from_main(path)
        invocation = dataclasses.replace(invocation, run_dir=at)
        recipe = importlib.import_module(f"reasonkit.recipes.{command.replace('-', '_')}")

        def tell(run: runs.Run, record: dict[str, Any]) -> None:
            assert on_step is not None
            on_step(record if run.path == at else {**record, "stage": run.path.name})

        with console.unshown(), runs.watched(tell if on_step else None):
            recipe.run(merged, invocation)
    return Result(at)


def _plain(name: str, value: Any) -> Any:
    """A setting as YAML would have it."""
    if name in ("reward", "general_reward"):
        return None if value is None else list(_rewards(value))
    if name in ("task", "general_task"):
        return _task(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _rewards(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (f"{_reward(one)}={weight:g}" for one, weight in value.items())
    elif isinstance(value, str) or callable(value):
        yield _reward(value)
    else:
        yield from map(_reward, value)


def _reward(value: Any) -> str:
    if callable(value):
        return functions.hold(value)
    name, equals, weight = str(value).partition("=")
    return f"{_named.get(name, name)}{equals}{weight}"


def _task(value: Any) -> Any:
    if callable(value):
        return functions.hold(value)
    if isinstance(value, str | os.PathLike) or value is None:
        return _named.get(os.fspath(value), os.fspath(value)) if value is not None else None
    if isinstance(value, Iterable):
        return functions.hold_data(value)
    raise RefusedError(f"task: expected a name, a path, a function or rows, got {value!r}")


def _tell_of_session(command: str, settings: Mapping[str, Any]) -> None:
    """Says what a run can't be gone on with by another process.

    Raises:
        RefusedError: this command needs other processes.
    """
    specs = [
        spec
        for value in settings.values()
        for spec in (value if isinstance(value, list) else [value])
    ]
    for spec in specs:
        if isinstance(spec, str) and functions.is_sessions(spec):
            name = spec.partition(":")[2].partition("=")[0]
            if command == "compare":
                raise RefusedError(
                    f"{name} stands in no file, and each part of a comparison is a process of its "
                    "own: put it into a .py file, or its rows into a .jsonl file"
                )
            console.note(
                f"{name} stands in no file: only this Python process can resume the run; put it "
                "into a .py file, or its rows into a .jsonl file, if that is to be possible later"
            )


def _function(command: str) -> Callable[..., Result]:
    """The function of a command, with its settings for keywords."""
    kind = commands.settings(command)

    def function(*, on_step: OnStep | None = None, **settings: Any) -> Result:
        return call(command, on_step, settings)

    function.__name__ = function.__qualname__ = command.replace("-", "_")
    keywords = [f for f in dataclasses.fields(config.Invocation) if f.name in KEYWORDS]
    every = [*dataclasses.fields(kind), *keywords]
    told = "\n".join(f"    {field.name}: {field.metadata['help']}" for field in every)
    function.__doc__ = (
        f"{commands.RECIPES[command]}\n\nArgs:\n"
        f"    on_step: is called with the metrics of each step.\n{told}\n"
    )
    only = inspect.Parameter.KEYWORD_ONLY
    types = config.field_types(kind) | config.field_types(config.Invocation)
    parameters = [
        inspect.Parameter(f.name, only, default=_worded(f.default), annotation=types.get(f.name))
        for f in every
    ]
    told_first = inspect.Parameter("on_step", only, default=None, annotation=OnStep | None)
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*parameters, told_first], return_annotation=Result
    )
    return function


def _worded(default: Any) -> Any:
    return str(default) if isinstance(default, enum.StrEnum) else default


grpo = _function("grpo")
distill = _function("distill")
sft_rl = _function("sft-rl")
vote = _function("vote")
verifier = _function("verifier")
compare = _function("compare")
