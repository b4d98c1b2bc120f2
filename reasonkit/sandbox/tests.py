"""What the tests of a program may look like, read before anything runs.

Malformed ones are an error, never a verdict.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from reasonkit.errors import DataError
from reasonkit.sandbox.inside import values

Pairs: TypeAlias = list[tuple[Any, Any]]
"""Encoded arguments with the expected JSON value, or standard input with what is to be printed."""


@dataclass(frozen=True, slots=True)
class Source:
    """Tests written in Python.

    Attributes:
        names: what it needs of the program.
        check: what its function ``check`` is called with; None where it has none.
    """

    source: str
    names: tuple[str, ...]
    check: str | None


def check_tests(tests: Any, entry_point: str | None = None) -> Source | Pairs:
    """The tests of a program, of one of the kinds of `reasonkit.sandbox.run_tests`, read.

    Raises:
        DataError: they are malformed: empty, without an assertion, or not as described there.
    """
    if isinstance(tests, str):
        return _source(tests, entry_point)
    if not isinstance(tests, list | tuple) or not tests:
        raise DataError("tests have to be Python source or a list of at least one test")
    for test in tests:
        if not isinstance(test, Mapping) or not {"input", "output"} <= test.keys():
            raise DataError("a test has to be an object with an input and an output")
    pairs = [(test["input"], test["output"]) for test in tests]
    if entry_point is not None:
        listed = [(given if isinstance(given, list) else [given], out) for given, out in pairs]
        return [(values.encode(_json(given)), _json(out)) for given, out in listed]
    if not all(isinstance(text, str) for pair in pairs for text in pair):
        raise DataError("without an entry_point, input and output of a test have to be strings")
    return pairs


def _source(source: str, entry_point: str | None) -> Source:
    try:
        tree = ast.parse(source)
        module = symtable.symtable(source, "<tests>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"the tests are no Python: {error}") from None
    if not any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(tree)):
        raise DataError("the tests assert nothing, so that anything would pass")
    checks = any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in tree.body)
    if checks and entry_point is None:
        raise DataError("the tests define check(candidate), which needs an entry_point")
    # A program's own sorted or set would make equal whatever the tests compare with it.
    names = _undefined(module) - set(dir(builtins)) - {"__file__"}
    if entry_point is not None:
        names.add(entry_point)
    return Source(source, tuple(sorted(names)), entry_point if checks else None)


def _undefined(module: symtable.SymbolTable) -> set[str]:
    """The globals that a module uses and doesn't define."""
    used: set[str] = set()
    defined: set[str] = set()
    tables = [module]
    for table in tables:
        tables += table.get_children()
        for symbol in table.get_symbols():
            if table is module or symbol.is_global():
                known = symbol.is_assigned() or symbol.is_imported()
                (defined if known else used).add(symbol.get_name())
    return used - defined


def _json(value: Any, depth: int = values.DEPTH // 2) -> Any:
    """A JSON value, with its tuples as lists."""
    if depth == 0:
        raise DataError(f"a test's values may be nested {values.DEPTH // 2} levels deep")
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
