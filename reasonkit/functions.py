"""A user's own functions: in a Python file, or handed over by Python code that is running.

Either has a name that a run records: ``FILE.py:FUNCTION``, by which another process finds it, or
``python:NAME`` where it stands in no file (a notebook's cell, a lambda, a function in a function),
which only the process that handed it over knows. Leaves out functions of installed packages.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reasonkit.errors import RefusedError, UnknownNameError

SESSION = "python"
"""What stands for the file of what stands in none."""

_held: dict[str, Any] = {}
_importing: list[str] = []


def hold(function: Callable[..., Any]) -> str:
    """The name that a function is found under from now on."""
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", type(function).__name__)
    file = Path(code.co_filename) if code is not None else Path()
    at_top = getattr(function, "__qualname__", "") == name and name.isidentifier()
    if at_top and file.suffix == ".py" and file.is_file():
        return _keep(f"{file.resolve()}:{name}", function)
    return _keep(f"{SESSION}:{re.sub(r'[^0-9A-Za-z_]+', '', name)}", function)


def hold_data(data: Any) -> str:
    """The name that rows of data are found under from now on, in this process."""
    count = sum(not callable(held) for held in _held.values())
    return _keep(f"{SESSION}:data{count + 1}", data)


def is_sessions(name: str) -> bool:
    """Whether a name is one that only this process may know."""
    return name.startswith(f"{SESSION}:")


def is_name(name: str) -> bool:
    """Whether it has the form of a name of ours."""
    file, colon, _ = name.rpartition(":")
    return bool(colon) and (file == SESSION or file.endswith(".py"))


def find(path: str, name: str, kind: str) -> Any:
    """What a name stands for.

    Args:
        path: of a Python file, or `SESSION`.
        kind: what it is to be, for messages: ``reward`` or ``task``.

    Raises:
        UnknownNameError: the file has no such function.
        RefusedError: the file isn't there or raises when imported; or the name is one of another
            Python session.
    """
    spec = f"{path}:{name}"
    if spec in _held:
        return _held[spec]
    if path == SESSION:
        raise RefusedError(
            f"{kind} {spec!r} was handed over by a Python session and stands in no file: hand it "
            f"over again from Python, or put it into a file and name it FILE.py:{name}"
        )
    names = _import(path, kind)
    found = names.get(name)
    if not callable(found):
        functions = [other for other, value in names.items() if inspect.isfunction(value)]
        raise UnknownNameError(f"function in {path}", name, functions)
    return found


def require_none_importing() -> None:
    """Refuses to start a run while a file is imported for a function of it.

    Raises:
        RefusedError: one is.
    """
    if _importing:
        raise RefusedError(
            f"{_importing[-1]} starts a run whenever it is imported, as it is for its functions: "
            'put what starts it below `if __name__ == "__main__":`'
        )


def _keep(name: str, value: Any) -> str:
    _held[name] = value
    return name


def _import(path: str, kind: str) -> dict[str, Any]:
    file = Path(path).expanduser()
    if not file.is_file():
        raise RefusedError(f"{kind} file {path!r} isn't there: check the path")
    digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"reasonkit_own_{kind}_{digest}", file)
    if spec is None or spec.loader is None:
        raise RefusedError(f"{kind} file {path!r} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickle look their module up by name.
    sys.modules[spec.name] = module
    _importing.append(path)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        if isinstance(error, RefusedError):
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise RefusedError(f"{kind} file {path!r} can't be imported: {text}") from error
    finally:
        _importing.pop()
    return vars(module)
