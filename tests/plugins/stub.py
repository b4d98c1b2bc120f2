"""Writes ``reasonkit/__init__.pyi``, what editors and mypy know of the package: run this file.

The keywords of a command's function are the fields of its settings.
"""

from __future__ import annotations

import dataclasses
import enum
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_origin

import reasonkit
from reasonkit import api, commands, config

STUB = Path(reasonkit.__file__).with_suffix(".pyi")
HEAD = '''"""What the package offers to Python code; tests/plugins/stub.py makes this file."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from reasonkit.errors import ReasonkitError, RefusedError, RunError
from reasonkit.result import Result

__version__: str
__all__ = [{names}]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Path = str | os.PathLike[str]
_Row = Mapping[str, Any]
_Rows = Iterable[_Row] | Mapping[str, Iterable[_Row]]
_Task = _Path | _Rows | Callable[[], _Rows]
_Reward = str | Callable[..., Sequence[float | None]]
_Rewards = _Reward | Sequence[_Reward] | Mapping[_Reward, float]

@overload
def reward(
    function: None = None,
    *,
    needs_answer: bool = True,
    claim: Literal["correctness", "form", "shaping"] | None = None,
) -> Callable[[_Function], _Function]: ...
@overload
def reward(
    function: _Function,
    *,
    needs_answer: bool = True,
    claim: Literal["correctness", "form", "shaping"] | None = None,
) -> _Function: ...
def task(function: _Function) -> _Function: ...
def open_run(path: _Path) -> Result: ...
'''
FREER = {
    **dict.fromkeys(("task", "general_task"), "_Task"),
    **dict.fromkeys(("reward", "general_reward"), "_Rewards"),
    **dict.fromkeys(("model", "teacher", "student", "verifier", "traces"), "_Path"),
    **dict.fromkeys(("completions", "general", "general_chats", "api_key_file"), "_Path"),
    **dict.fromkeys(("config", "run_dir"), "_Path"),
}
"""Keywords that take more than the settings that they become."""


def written() -> str:
    """The stub's text."""
    names = ", ".join(f'"{name}"' for name in reasonkit.__all__)
    kinds = {command: commands.settings(command) for command in commands.RECIPES}
    # Those that others inherit from first.
    above = [kind for made in kinds.values() for kind in reversed(made.__mro__[:-1])]
    text = HEAD.replace("{names}", names) + "".join(map(_keywords, dict.fromkeys(above)))
    text += "".join(_function(command, kind) for command, kind in kinds.items())
    format = [sys.executable, "-m", "ruff", "format", "--stdin-filename", STUB.name, "-"]
    top = Path(__file__).parent.parent.parent
    return subprocess.run(
        format, input=text, text=True, check=True, capture_output=True, cwd=top
    ).stdout


def _keywords(kind: type) -> str:
    """What a class of settings adds to those that it is made of."""
    inherited = {f.name for base in kind.__mro__[1:-1] for f in dataclasses.fields(base)}
    types = config.field_types(kind)
    fields = [f for f in dataclasses.fields(kind) if f.name not in inherited]
    lines = [f"    {f.name}: {_type(f.name, types[f.name])}" for f in fields]
    if kind is config.CommonConfig:
        own = config.field_types(config.Invocation)
        lines += [f"    {name}: {_type(name, own[name])}" for name in api.KEYWORDS]
        lines.append("    on_step: Callable[[dict[str, Any]], object] | None")
    bases = [f"_{base.__name__}" for base in kind.__bases__ if base is not object]
    head = f"class _{kind.__name__}({', '.join(bases or ['TypedDict'])}, total=False):"
    return "\n".join([head, *lines, ""])


def _function(command: str, kind: type) -> str:
    name = command.replace("-", "_")
    told = f'    """{commands.RECIPES[command]}"""'
    return f"def {name}(**settings: Unpack[_{kind.__name__}]) -> Result:\n{told}\n"


def _type(name: str, hint: Any) -> str:
    options = get_args(hint) if get_origin(hint) is not list and get_args(hint) else (hint,)
    empty = " | None" if type(None) in options else ""
    kind = next(option for option in options if option is not type(None))
    if name in FREER:
        return FREER[name] + empty
    if get_origin(kind) is list:
        return f"str | Sequence[str]{empty}"
    if isinstance(kind, enum.EnumMeta):
        return f"Literal[{', '.join(repr(str(value)) for value in kind)}]{empty}"
    return str(kind.__name__) + empty


if __name__ == "__main__":
    STUB.write_text(written(), encoding="utf-8")
