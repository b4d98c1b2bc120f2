"""What the tests of a program may look like, read before anything runs.

Malformed ones are an error, never a verdict.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reasonkit.errors import DataError
from reasonkit.sandbox.inside import values

Call = tuple[list[Any], Any]
"""Encoded arguments, expected JSON value."""


@dataclass(frozen=True, slots=True)
class Source:
    """Tests written in Python.

    Attributes:
        text: the source.
        names: what it needs of the program.
        check: what its function ``check`` is called with; None where it has none.
    """

    text: str
    names: tuple[str, ...]
    check: str | None


@dataclass(frozen=True, slots=True)
class Calls:
    """A function that is called once a test."""

    name: str
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Runs:
    """A program that is run once a test: its standard input, and what it has to print."""

    pairs: tuple[tuple[str, str], ...]


def read(tests: Any, entry_point: str | None) -> Source | Calls | Runs:
    """The tests of a program, of one of the kinds of `reasonkit.sandbox.run_tests`.

    Raises:
        DataError: they are malformed: empty, without an assertion, or not as described there.
    """
    if isinstance(tests, str):
        return _source(tests, entry_point)
    if entry_point is not None:
        return Calls(entry_point, tuple(map(_call, _listed(tests))))
    return Runs(tuple(map(_texts, _listed(tests))))


def check_tests(tests: Any, entry_point: str | None = None) -> None:
    """Refuses malformed tests without running anything.

    Raises:
        DataError: as `read`.
    """
    read(tests, entry_point)


def _source(source: str, entry_point: str | None) -> Source:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"the tests are no Python: {error}") from None
    nodes = list(ast.walk(tree))
    if not any(isinstance(node, ast.Assert | ast.Raise) for node in nodes):
        raise DataError("the tests assert nothing, so that anything would pass")
    checks = any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in tree.body)
    if checks and entry_point is None:
        raise DataError("the tests define check(candidate), which needs an entry_point")
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    bound = {name for node in nodes for name in _bound(node)}
    # A program's own sorted or set would make equal whatever the tests compare with it.
    names = used - bound - set(dir(builtins)) - {"__file__"}
    if entry_point is not None:
        names.add(entry_point)
    return Source(source, tuple(sorted(names)), entry_point if checks else None)


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name.partition(".")[0]
        case ast.arg(arg=name):
            yield name
        case ast.ExceptHandler(name=str(name)):
            yield name


def _listed(tests: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(tests, list | tuple) or not tests:
        raise DataError("tests have to be Python source or a list of at least one test")
    for test in tests:
        if not isinstance(test, Mapping) or not {"input", "output"} <= test.keys():
            raise DataError("a test has to be an object with an input and an output")
    return tests


def _call(test: Mapping[str, Any]) -> Call:
    given = test["input"]
    arguments = given if isinstance(given, list) else [given]
    return values.encode(_json(arguments)), _json(test["output"])


def _texts(test: Mapping[str, Any]) -> tuple[str, str]:
    given, expected = test["input"], test["output"]
    if not isinstance(given, str) or not isinstance(expected, str):
        raise DataError("without an entry_point, input and output of a test have to be strings")
    return given, expected


def _json(value: Any, depth: int = values.DEPTH) -> Any:
    """A JSON value, with its tuples as lists.

    Raises:
        DataError: it isn't one.
    """
    if depth == 0:
        raise DataError(f"a test's values may be nested {values.DEPTH} levels deep")
    match value:
        case None | bool() | int() | str():
            return value
        case float() if value == value:
            return value
        case list() | tuple():
            return [_json(item, depth - 1) for item in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _json(item, depth - 1) for key, item in value.items()}
    raise DataError(f"a test's input and output have to be JSON values, not {type(value).__name__}")
