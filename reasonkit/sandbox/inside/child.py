"""What a sandboxed process does: one of three roles, told by its first message.

- ``functions``: runs a program, then calls its functions as it is told, and sends the results.
- ``program``: runs a program with standard input, and is gone.
- ``tests``: runs the tests, which are trusted; what they test are stubs that ask for each result.
  The program itself is in a process of the first role.

A program can take over its process and answer what it likes. It knows the calls, never the results
that are expected.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import io
import os
import sys
import threading
import traceback
import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import frames
from .errors import description
from .functions import Functions
from .objects import Link

PIPE = 3
"""The descriptor of the private pipe."""

_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


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
        _execute(code, program)
    except BaseException as error:
        frames.write(PIPE, {"error": description(error)})
        os._exit(1)
    frames.write(PIPE, "loaded")
    functions = Functions(program, PIPE)
    while True:
        functions.serve()


def _run(code: str, stdin: str) -> NoReturn:
    os.close(PIPE)
    given = os.open("stdin", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink("stdin")
    with io.BufferedWriter(io.FileIO(given, "r+", closefd=False)) as file:
        file.write(stdin.encode("utf-8", "surrogatepass"))
    os.lseek(given, 0, os.SEEK_SET)
    os.dup2(given, 0)
    os.close(given)
    _open_streams()
    program = _module("__main__")
    status = 0
    try:
        _execute(code, program)
    except SystemExit as leave:
        status = _status(leave.code)
    except BaseException:
        traceback.print_exc()
        status = 1
    try:
        # As the interpreter ends: threads, exit handlers, then what only globals hold.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        _flush(sys.stdout, sys.stderr)
        program.__dict__.clear()
        gc.collect()
        _flush(sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    except BaseException:
        status = status or 1
    os._exit(status)


def _test(source: str, names: Sequence[str], check: str | None) -> None:
    tests, link = _module("tests"), Link(PIPE)
    tests.__dict__.update({name: link.named(name) for name in names})
    verdict = None
    try:
        exec(compile(source, "<tests>", "exec", dont_inherit=True), tests.__dict__)
        if check is not None:
            tests.__dict__["check"](link.named(check))
    except BaseException as error:
        places = traceback.extract_tb(error.__traceback__)
        lines = [place.lineno for place in places if place.filename == "<tests>"]
        name, text = description(error)
        place = f" (line {lines[-1]} of the tests)" if lines else ""
        verdict = f"{name}{': ' if text else ''}{text}{place}"
    frames.write(PIPE, {"verdict": verdict, "asked": link.asked})


def _execute(code: str, module: types.ModuleType) -> None:
    exec(compile(code, "main.py", "exec", dont_inherit=True), module.__dict__)


def _module(name: str) -> types.ModuleType:
    """A new module that imports and dataclasses can find."""
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = os.path.abspath("main.py")
    sys.argv = ["main.py"]
    return module


def _open_streams() -> None:
    """Opens the standard streams anew: those of the zygote were made for ``/dev/null``."""
    given, output, errors = (
        io.TextIOWrapper(buffer, "utf-8", handler, line_buffering=lines)
        for buffer, handler, lines in (
            (io.BufferedReader(io.FileIO(0, closefd=False)), "strict", False),
            (io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "strict", False),
            (io.BufferedWriter(io.FileIO(2, "w", closefd=False)), "backslashreplace", True),
        )
    )
    vars(sys).update(stdin=given, stdout=output, stderr=errors)
    vars(sys).update(__stdin__=given, __stdout__=output, __stderr__=errors)
    builtins.open = io.open = _opener(io.open)


def _opener(opened: Callable[..., Any]) -> Any:
    """``open``, which finds the standard streams by name where there is no ``/proc``."""

    def open(file: Any, *options: Any, **named: Any) -> Any:
        stream = _STREAMS.get(file) if isinstance(file, str) else None
        return opened(file if stream is None else os.dup(stream), *options, **named)

    return open


def _flush(*streams: Any) -> None:
    for stream in streams:
        if stream is not None and not stream.closed:
            stream.flush()


def _status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1
