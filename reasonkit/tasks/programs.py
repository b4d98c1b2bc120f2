"""Rows that ask for a program, in the layouts of HumanEval, MBPP and APPS, with what checks it.

The question is what the row says, and the name of the function where it doesn't say that: MBPP's
tells it by its first assert, the others stay hidden. Left out: LiveCodeBench's private tests, which
are pickled, and special judges for problems with many right outputs.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from reasonkit.errors import DataError

TESTS = ("test_list", "input_output")
"""Columns that hold tests: MBPP's, and those of APPS, TACO and their like."""

SOLUTIONS = ("canonical_solution", "code", "solutions")
TEST_SETUPS = ("test_setup_code", "test_imports")

Tests: TypeAlias = tuple[Mapping[str, Any], ...] | str


def pick_columns(found: Collection[str], known: bool = False) -> dict[str, str]:
    """The columns of ``tests``, ``entry_point`` and ``answer`` of rows that ask for a program.

    Empty where nothing tells that they do. HumanEval's ``test`` is taken only beside its
    ``entry_point``.

    Args:
        known: whether it is known that they do, and ``tests`` is left out.
    """
    named = {"entry_point": "entry_point"} if "entry_point" in found else {}
    usual = ("test", *TESTS) if named else TESTS
    tests = next((column for column in usual if column in found), None)
    solution = next((column for column in SOLUTIONS if column in found), None)
    if tests is None and not known:
        return {}
    picked = {"tests": tests, "answer": solution}
    return named | {role: column for role, column in picked.items() if column}


def make_program(
    record: Mapping[str, Any], columns: Mapping[str, str], question: str, where: str
) -> tuple[str, str, Tests, str | None, str]:
    """Question, answer, tests, entry point and setup, as of an `Example`, that a record has.

    The question has the function's name in it; the answer is empty where the row has none.

    Args:
        columns: of ``tests``, and of ``entry_point`` and ``answer`` where there are such.

    Raises:
        DataError: the tests are malformed.
    """
    entry_point = record.get(columns.get("entry_point", "")) or None
    if entry_point is not None and not isinstance(entry_point, str):
        raise DataError(f"{where}: no name of a function in column {columns['entry_point']!r}")
    tests, named = _tests(record.get(columns["tests"]), where)
    entry_point = entry_point or named
    if isinstance(tests, str):
        before = [_joined(record.get(column)) for column in TEST_SETUPS]
        tests = "\n".join([*filter(None, before), tests])
    solution = _first(record.get(columns.get("answer", "")))
    setup = ""
    if entry_point and (shown := _shown(question, entry_point)) is not None:
        setup, functions = shown
        if solution and _shown(solution, entry_point) is None:
            solution = f"{question}{solution}"
        # A program could make its own copy of them agree with everything.
        tests = f"{functions}\n{tests}" if isinstance(tests, str) else tests
        question = f"Write this Python function:\n\n{question.strip()}"
    elif entry_point and entry_point not in question:
        question = f"{question}\n\nThe function is called {entry_point}."
    elif entry_point is None and isinstance(tests, str):
        asserts = [line for line in tests.splitlines() if line.startswith("assert")]
        question = f"{question}\n\nIt has to pass this test:\n{''.join(asserts[:1])}"
    # Importing the sandbox takes longer than listing the tasks does.
    from reasonkit.sandbox import check_tests

    try:
        check_tests(tests, entry_point)
    except DataError as error:
        raise DataError(f"{where}: column {columns['tests']!r}: {error}") from error
    return question, solution, tests, entry_point, setup


def _tests(value: Any, where: str) -> tuple[Tests, str | None]:
    """Tests of any layout, and the function's name where they hold it."""
    value = _loaded(value)
    if isinstance(value, str):
        return value, None
    match value:
        case [str(), *_] if all(isinstance(line, str) for line in value):
            return "\n".join(value), None
        case [_, *_]:
            return tuple(value), None
        case {"inputs": list(inputs), "outputs": list(outputs)}:
            if len(inputs) != len(outputs):
                raise DataError(f"{where}: {len(inputs)} inputs and {len(outputs)} outputs")
            name = value.get("fn_name") or None
            if name is None:
                inputs, outputs = list(map(_joined, inputs)), list(map(_joined, outputs))
            elif all(isinstance(output, list) and len(output) == 1 for output in outputs):
                # APPS wraps what a function returns.
                outputs = [output[0] for output in outputs]
            pairs = zip(inputs, outputs, strict=True)
            return tuple({"input": given, "output": output} for given, output in pairs), name
    raise DataError(
        f"{where}: tests are Python asserts, or inputs with outputs, not {str(value)[:60]!r}"
    )


def _shown(source: str, entry_point: str) -> tuple[str, str] | None:
    """What code defines beside a function, and the functions of that; None if it isn't there."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if not any(isinstance(node, kinds) and node.name == entry_point for node in body):
        return None
    others = [n for n in body if not (isinstance(n, kinds) and n.name == entry_point)]
    functions = [node for node in others if isinstance(node, ast.FunctionDef)]
    imports = [node for node in others if isinstance(node, ast.Import | ast.ImportFrom)]
    return (
        "\n".join(map(ast.unparse, others)),
        "\n".join(map(ast.unparse, [*imports, *functions] if functions else [])),
    )


def _joined(value: Any) -> Any:
    """Lines as one text; some rows hold a text as its lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    return value


def _loaded(value: Any) -> Any:
    """What a JSON text says, or the value itself."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def _first(value: Any) -> str:
    """A solution, or the first of several."""
    listed = _loaded(value)
    if isinstance(listed, list):
        value = listed[0] if listed else ""
    return value if isinstance(value, str) else ""
