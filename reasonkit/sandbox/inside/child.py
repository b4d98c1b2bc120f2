"""What a sandboxed process does: one of three roles, told by its first message.

- ``functions``: runs a program, then calls its functions as it is told, and sends the results.
- ``program``: runs a program with standard input, and is gone.
- ``tests``: runs the tests, which are trusted; the functions that they test are stubs that ask for
  each result. The program itself is in a process of the first role.

A program can take over its process and answer what it likes. It knows the calls, never the results
that are expected.
"""

from __future__ import annotations

import atexit
import builtins
import io
import os
import sys
import threading
import traceback
import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import frames, values

PIPE = 3
"""The descriptor of the private pipe."""


def main() -> NoReturn:
    """Plays the role, inside the sandbox; never returns."""
    frames.write(PIPE, "entered")
    job = frames.read(PIPE)
    if job["role"] == "functions":
        _serve(job["code"])
    if job["role"] == "program":
        _run(job["code"], job["stdin"])
    _test(job["source"], job["names"], job["check"])
    os._exit(0)


def _serve(code: str) -> NoReturn:
    program = _module("solution")
    try:
        exec(compile(code, "solution.py", "exec"), program.__dict__)
    except BaseException as error:
        frames.write(PIPE, {"error": _description(error)})
        os._exit(1)
    frames.write(PIPE, "loaded")
    while True:
        name, arguments, keywords = frames.read(PIPE)
        try:
            function = _function(program, name)
            result = function(*values.decode(arguments), **values.decode(keywords))
            reply = {"value": values.encode(result)}
        except values.UnplainError as error:
            reply = {"error": ["TypeError", f"returned {error}"]}
        except BaseException as error:
            reply = {"error": _description(error)}
        frames.write(PIPE, reply)


def _run(code: str, stdin: str) -> NoReturn:
    os.close(PIPE)
    given = os.open("stdin", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink("stdin")
    with io.BufferedWriter(io.FileIO(given, "r+", closefd=False)) as file:
        file.write(stdin.encode("utf-8", "surrogatepass"))
    os.lseek(given, 0, os.SEEK_SET)
    os.dup2(given, 0)
    os.close(given)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc] # noqa: SIM115
    status = 0
    try:
        exec(compile(code, "main.py", "exec"), _module("__main__").__dict__)
    except SystemExit as leave:
        status = _status(leave.code)
    except BaseException:
        traceback.print_exc()
        status = 1
    try:
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        status = status or 1
    os._exit(status)


def _test(source: str, names: Sequence[str], check: str | None) -> None:
    tests = _module("tests")
    calls = 0

    def stub(name: str) -> Callable[..., Any]:
        def function(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            try:
                question = [name, values.encode(list(arguments)), values.encode(keywords)]
            except values.UnplainError as error:
                raise TypeError(f"an argument of {error} can't be passed to {name}") from None
            frames.write(PIPE, {"call": question})
            reply = frames.read(PIPE)
            if "error" in reply:
                raise _exception(*reply["error"])
            try:
                return values.decode(reply["value"])
            except (ValueError, RecursionError):
                # Raised, it could be what the tests expect.
                frames.write(PIPE, {"verdict": f"{name} returned no plain value", "calls": calls})
                os._exit(0)

        function.__name__ = name
        return function

    tests.__dict__.update({name: stub(name) for name in names})
    verdict = None
    try:
        exec(compile(source, "<tests>", "exec"), tests.__dict__)
        if check is not None:
            tests.__dict__["check"](stub(check))
    except BaseException as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.name]
        name, text = _description(error)
        place = f" (line {lines[-1]} of the tests)" if lines else ""
        verdict = f"{name}{': ' if text else ''}{text}{place}"
    frames.write(PIPE, {"verdict": verdict, "calls": calls})


def _module(name: str) -> types.ModuleType:
    """A new module that imports and dataclasses can find."""
    module = sys.modules[name] = types.ModuleType(name)
    return module


def _function(program: types.ModuleType, name: str) -> Callable[..., Any]:
    """A global function, or a method of ``Solution``, as LeetCode has it, on a new object."""
    found = program.__dict__.get(name)
    if found is None and "Solution" in program.__dict__:
        found = getattr(program.__dict__["Solution"](), name, None)
    if not callable(found):
        raise NameError(f"name '{name}' is not defined")
    function: Callable[..., Any] = found
    return function


def _status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _description(error: BaseException) -> list[str]:
    """The nearest built-in class of an exception, and its text."""
    built_in = (c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")
    try:
        text = str(error)[:200]
    except BaseException:
        text = ""
    return [next(built_in), text]


def _exception(name: str, text: str) -> Exception:
    kind = getattr(builtins, name, None)
    # A StopIteration would end a loop of the tests as if all had been tried.
    stops = (StopIteration, StopAsyncIteration)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, stops):
        try:
            return kind(text)
        except TypeError:
            pass
    return RuntimeError(f"{name}: {text}")
