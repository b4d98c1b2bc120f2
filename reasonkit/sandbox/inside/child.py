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
import tempfile
import threading
import traceback
import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import frames
from .functions import Functions
from .stubs import Link
from .values import described

_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def main() -> NoReturn:
    """Plays the role, inside the sandbox; never returns."""
    frames.write("entered")
    job = frames.read()
    roles: dict[str, Callable[..., None]] = {"functions": _serve, "program": _run, "tests": _test}
    roles[job.pop("role")](**job)
    os._exit(0)


def _serve(code: str) -> None:
    program = _module("solution")
    try:
        _execute(code, program)
    except BaseException as error:
        frames.write({"error": described(error)})
        os._exit(1)
    frames.write("loaded")
    Functions(program).serve()


def _run(code: str, stdin: str) -> None:
    os.close(frames.PIPE)
    with tempfile.TemporaryFile(dir=".") as file:
        file.write(stdin.encode("utf-8", "surrogatepass"))
        file.seek(0)
        os.dup2(file.fileno(), 0)
    _open_streams()
    program = _module("__main__")
    status = 0
    try:
        _execute(code, program)
    except SystemExit as leave:
        if isinstance(leave.code, int):
            status = leave.code & 0xFF
        elif leave.code is not None:
            print(leave.code, file=sys.stderr)
            status = 1
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
    tests, link = _module("tests"), Link()
    tests.__dict__.update({name: link.named(name) for name in names})
    verdict = None
    try:
        exec(compile(source, "<tests>", "exec", dont_inherit=True), tests.__dict__)
        if check is not None:
            tests.__dict__["check"](link.named(check))
    except BaseException as error:
        places = traceback.extract_tb(error.__traceback__)
        lines = [place.lineno for place in places if place.filename == "<tests>"]
        name, text = described(error)
        place = f" (line {lines[-1]} of the tests)" if lines else ""
        verdict = f"{name}{': ' if text else ''}{text}{place}"
    frames.write({"verdict": verdict, "asked": link.asked})


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
    given = io.BufferedReader(io.FileIO(0, closefd=False))
    output, errors = (io.BufferedWriter(io.FileIO(end, "w", closefd=False)) for end in (1, 2))
    streams = {
        "stdin": io.TextIOWrapper(given, "utf-8"),
        "stdout": io.TextIOWrapper(output, "utf-8"),
        "stderr": io.TextIOWrapper(errors, "utf-8", "backslashreplace", line_buffering=True),
    }
    for name, stream in streams.items():
        vars(sys).update({name: stream, f"__{name}__": stream})
    opened = io.open

    def open(file: Any, *options: Any, **named: Any) -> Any:
        """Finds the standard streams by name where there is no ``/proc``."""
        stream = _STREAMS.get(file) if isinstance(file, str) else None
        return opened(file if stream is None else os.dup(stream), *options, **named)

    builtins.open = io.open = open


def _flush(*streams: Any) -> None:
    for stream in streams:
        if stream is not None and not stream.closed:
            stream.flush()
