"""Programs as votes: those that do the same on inputs made up for them have one answer.

AlphaCode's clusters (Li et al., arXiv:2203.07814, section 4.6), of the programs that pass the tests
which the question shows. CodeT scores a cluster by its programs times the tests that they pass
(Chen et al., arXiv:2207.10397, section 2): as all that are left pass all, by its programs, which is
what a majority counts. Inputs are of the kinds and sizes that the tests have, or the calls that the
question shows; what the tests expect is not looked at. Leaves out programs that read standard
input, and tests that a model writes.
"""

from __future__ import annotations

import ast
import builtins
import doctest
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from reasonkit.judging import AT_ONCE, TIMEOUT, with_setup
from reasonkit.types import Example

CALLS = 24
"""Lists of arguments that programs are told apart by."""

Call = tuple[str, list[Any]]
"""A function and its arguments."""


def behaviours(example: Example, programs: Sequence[str | None]) -> list[tuple[Any, ...] | None]:
    """What each program does; None, no vote, for one that fails a test which the question shows or
    every call. Where no call is known, programs are what they say.

    Raises:
        RefusedError, RunError: as of `reasonkit.sandbox.run_tests`.
    """
    made = calls(example)
    if not made:
        return [None if program is None else (program,) for program in programs]
    from reasonkit import sandbox

    name, given = made[0][0], [arguments for _, arguments in made]
    tests = "\n".join(shown(example.question))

    def behaviour(program: str) -> tuple[str | None, ...] | None:
        code = with_setup(example, program)
        if tests and not sandbox.run_tests(code, tests, timeout=TIMEOUT).passed:
            return None
        told = sandbox.outputs(code, given, name, TIMEOUT)
        return None if told == [None] * len(told) else tuple(told)

    distinct = list(dict.fromkeys(program for program in programs if program is not None))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(distinct, pool.map(behaviour, distinct), strict=True))
    return [None if program is None else found[program] for program in programs]


def calls(example: Example) -> list[Call]:
    """Calls with arguments that are made up; none where nothing tells what a program takes."""
    like: list[Call] = []
    if example.entry_point and not isinstance(example.tests, str):
        inputs = (test["input"] for test in example.tests)
        listed = (given if isinstance(given, list) else [given] for given in inputs)
        like = [(example.entry_point, arguments) for arguments in listed]
    elif isinstance(example.tests, str):
        known = _called("\n".join(shown(example.question)))
        like = [call for call in known if example.entry_point in (None, call[0])]
    rng = random.Random(example.id)
    named = [arguments for name, arguments in like if name == like[0][0]]
    return [
        (like[0][0], [_varied(argument, rng) for argument in rng.choice(named)])
        for _ in range(CALLS if named else 0)
    ]


def shown(question: str) -> list[str]:
    """The tests in a question, as asserts: lines of that kind, and the examples of docstrings."""
    lines = [line.strip() for line in question.splitlines() if line.startswith("assert ")]
    with suppress(ValueError):
        for example in doctest.DocTestParser().get_examples(question):
            want = example.want.partition('"""')[0].strip()
            # What prints tells nothing of what is returned, nor does what has no output.
            if want and not example.source.startswith("print"):
                lines.append(f"assert ({example.source.strip()}) == ({want})")
    return [line for line in lines if len(_names(line)) == 1]


def _names(source: str) -> set[str]:
    """What it uses and Python doesn't define; nothing where it is no Python."""
    with suppress(SyntaxError, ValueError):
        names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        return names - set(dir(builtins))
    return set()


def _called(tests: str) -> Iterator[Call]:
    """Their calls of a function that isn't Python's own, with arguments that are plain values."""
    for node in ast.walk(ast.parse(tests)):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                if name not in dir(builtins):
                    with suppress(ValueError):
                        yield name, [*map(ast.literal_eval, args)]


def _varied(value: Any, rng: random.Random) -> Any:
    """Another value of a kind: a number to twice its size, of its sign; parts drawn from parts."""
    match value:
        case bool():
            return rng.random() < 0.5
        case int():
            return rng.randint(*sorted((0, 2 * value + (2 if value >= 0 else -2))))
        case float():
            return round(2 * value * rng.random(), 3)
        case str() if value:
            return "".join(rng.choices(value, k=rng.randint(1, 2 * len(value))))
        case list() | tuple() if value:
            parts = rng.choices(value, k=rng.randint(1, 2 * len(value)))
            return type(value)(_varied(part, rng) for part in parts)
        case dict():
            return {key: _varied(part, rng) for key, part in value.items()}
    return value
