"""Decides whether an untrusted program passes its tests.

The expected values never leave this process, or, where tests are Python, the process of the tests;
the program gets inputs only. So it may forge what it likes, exit codes, output, messages: that is
worth as much as a guess. Three kinds of tests, see :func:`run_tests`.

What a program says of itself is never asked: an object with an ``__eq__`` of its own is no answer,
and no method of a result that text, numbers or collections have is called.

Left out: order and arithmetic of the program's own classes, and their use in ``isinstance``;
globals of the program that tests compare with; arguments changed in place by a function that also
returns something (it could empty what its result is compared with); coroutines, processes and their
locks; numeric tolerance, other languages, packages beyond the standard library.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reasonkit.errors import DataError, RefusedError
from reasonkit.sandbox.inside import values
from reasonkit.sandbox.launcher import FailedError, Launcher, LostError, Process
from reasonkit.sandbox.tests import Pairs, Source, check_tests

LARGEST_OUTPUT = 1 << 20
"""Bytes that a program may write beyond what is expected of it."""

MEMORY = 512 * 2**20
"""Bytes of address space of a process."""

_SHOWN = 80

LAUNCHER = Launcher()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of running a program against its tests.

    Attributes:
        passed: whether it passed all of them.
        reason: why not, in a few words; "passed" if it did.
        level: the isolation that it ran under, as of :func:`isolation`.
    """

    passed: bool
    reason: str
    level: str


def isolation() -> str:
    """The layers of isolation that programs run under here, e.g. ``namespaces+seccomp+rlimits``.

    Found out once, by trying each.

    Raises:
        RunError: no sandboxed process can be started.
    """
    return "+".join(LAUNCHER.layers)


def run_tests(
    code: str,
    tests: str | Sequence[Mapping[str, Any]],
    *,
    entry_point: str | None = None,
    timeout: float = 5.0,
    memory: int = MEMORY,
    allow_weaker: bool = False,
) -> Verdict:
    """Runs an untrusted Python program in a sandbox and says whether it passes all of its tests.

    No content of ``code`` makes it raise. May be called from several threads.

    Args:
        tests: one of three kinds.

            - Python source (MBPP, HumanEval): asserts, or a function ``check(candidate)`` that is
              called with the entry point. It runs in a sandboxed process of its own, in which every
              name that the source uses but doesn't define, except built-ins, stands for the
              function or class of that name in the program. Values of Python's own types and most
              of its standard library's are passed, objects of their subclasses too, as what they
              are subclasses of. Other objects stay with the program, and the tests ask for their
              attributes, items and calls; those of a dataclass are equal where their fields are.
              Iterators are asked item by item. A function that the tests rely on, not one to be
              tested, belongs into their source: in the program, it could be made to agree with
              everything.
            - A list of ``{"input": …, "output": …}`` with an ``entry_point``: the function is
              called with the list of arguments, or the one argument that isn't a list, in one
              process for all tests. The result has to be the expected JSON value by exact type
              (``True`` isn't ``1``), except that a tuple may stand for a list, an int for a float,
              and a Fraction or a Decimal for the number it is.
            - The same without an ``entry_point``: strings, what the program reads from standard
              input and has to print, in a process for each. All lines are compared, without
              whitespace at their ends and without empty lines at the end; the exit status has to
              be 0, as of ``python main.py``.
        entry_point: the function to be tested; a method of a class ``Solution`` is found too.
        timeout: seconds of wall-clock time for all tests together.
        memory: bytes of address space of a process; the interpreter takes some 50 MiB of it.
        allow_weaker: whether to run where not both files and network can be closed to the program.

    Raises:
        DataError: the tests are malformed: empty, without an assertion, or not as described.
        RefusedError: the machine's isolation is too weak.
        RunError: no sandboxed process can be started.
    """
    require_isolation(allow_weaker)
    read = check_tests(tests, entry_point)
    start = functools.partial(LAUNCHER.process, memory, timeout)
    failure: str | None = "the sandbox was killed"
    for _ in range(2):
        try:
            if isinstance(read, Source):
                _run_source(start, code, read)
            elif entry_point is not None:
                _run_calls(start, code, entry_point, read)
            else:
                _run_program(start, code, read)
        except LostError:
            continue
        except TimeoutError:
            failure = f"took longer than {timeout:g} s"
        except FailedError as error:
            failure = str(error)
        else:
            failure = None
        break
    return Verdict(failure is None, failure or "passed", isolation())


def outputs(
    code: str, calls: Sequence[Sequence[Any]], entry_point: str, timeout: float = 5.0
) -> list[str | None]:
    """What a function of an untrusted program gives for each list of arguments, as JSON.

    None for a call that fails, and for all where the program can't be started, has no such
    function, ends or takes too long. Left out: that values may be equal and written differently, as
    ``1`` and ``1.0``, or dictionaries of another order.

    Raises:
        RefusedError, RunError: as of `run_tests`.
    """
    require_isolation()
    for _ in range(2):
        try:
            with LAUNCHER.process(MEMORY, timeout) as program:
                _load(program, code)
                replies = [_call(program, entry_point, values.encode([*given])) for given in calls]
        except LostError:
            continue
        except (TimeoutError, FailedError):
            break
        return [json.dumps(reply["value"]) if "value" in reply else None for reply in replies]
    return [None] * len(calls)


def require_isolation(allow_weaker: bool = False) -> None:
    """Makes sure that this machine can close files and network to a program.

    Raises:
        RefusedError: it can't, and weaker isolation isn't allowed.
        RunError: no sandboxed process can be started.
    """
    layers = LAUNCHER.layers
    if not ("namespaces" in layers or {"landlock", "seccomp"} <= set(layers) or allow_weaker):
        raise RefusedError(
            "untrusted code needs Linux with user namespaces, or with Landlock and seccomp, to be "
            f"kept from files and network; this machine offers only {isolation()}"
        )


def _run_source(start: Callable[..., Process], code: str, source: Source) -> None:
    with start() as program, start() as tests:
        program.deadline = tests.deadline
        _load(program, code)
        tests.send({"role": "tests", **asdict(source)})
        while "ask" in (message := tests.receive()):
            tests.send(_ask(program, message["ask"]))
    if message["verdict"] is not None:
        raise FailedError(_line(message["verdict"]))
    if message["asked"] == 0:
        raise DataError("the tests never call the program, so that anything would pass")


def _run_calls(start: Callable[..., Process], code: str, name: str, calls: Pairs) -> None:
    with start() as program:
        _load(program, code)
        for number, (arguments, expected) in enumerate(calls, start=1):
            with _numbered(number):
                reply = _call(program, name, arguments)
                if "value" not in reply:
                    raise FailedError(_line(": ".join(_error(reply))))
                if not values.matches(expected, reply["value"]):
                    raise FailedError(f"returned {_shown(reply['value'])}")


def _call(program: Process, name: str, arguments: Any) -> dict[str, Any]:
    return _ask(program, [name, "__call__", [arguments, {"dict": []}]])


def _run_program(start: Callable[..., Process], code: str, runs: Pairs) -> None:
    deadline = 0.0
    for number, (given, expected) in enumerate(runs, start=1):
        with _numbered(number), start(outputs=True) as program:
            program.deadline = deadline = deadline or program.deadline
            program.send({"role": "program", "code": code, "stdin": given})
            most = len(expected.encode("utf-8", "replace")) + LARGEST_OUTPUT
            output, errors = program.printed(most)
            if program.close() != 0:
                last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
                raise FailedError(_line(f"{program.explain()} {last}"))
            printed, wanted = _lines(output.decode("utf-8", "replace")), _lines(expected)
            for line, (found, right) in enumerate(itertools.zip_longest(printed, wanted), start=1):
                if found != right:
                    shown = "missing" if found is None else _line(repr(found))
                    raise FailedError(f"line {line} of the output is {shown}")


@contextlib.contextmanager
def _numbered(number: int) -> Iterator[None]:
    try:
        yield
    except FailedError as error:
        raise FailedError(f"test {number}: {error}") from None


def _load(program: Process, code: str) -> None:
    program.send({"role": "functions", "code": code})
    reply = program.receive()
    if reply != "loaded":
        raise FailedError(f"the program failed: {_line(': '.join(_error(reply)))}")


def _ask(program: Process, question: Any) -> dict[str, Any]:
    """What a call gives: a value, encoded but not to be trusted, or an error as two texts.

    Or a call in return, of a function that the tests have passed.
    """
    program.send(question)
    reply = program.receive()
    answers = ({"value"}, {"value", "changed"}, {"function"})
    if isinstance(reply, dict) and reply.keys() in answers:
        return reply
    return {"error": _error(reply)}


def _error(reply: Any) -> list[str]:
    match reply:
        case {"error": [str(name), str(text)]}:
            return [name, text]
    raise FailedError("the answer is garbage")


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _shown(value: Any) -> str:
    try:
        return _line(repr(value))
    except RecursionError:
        return "something nested too deeply"


def _line(text: str) -> str:
    """Untrusted text, made fit for a log."""
    start = text[: 4 * _SHOWN].encode("utf-8", "replace").decode()
    start = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return start if len(start) <= _SHOWN else f"{start[:_SHOWN]}…"
