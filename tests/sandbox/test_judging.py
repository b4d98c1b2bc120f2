"""The kinds of tests, what passes them, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonkit.errors import DataError, RefusedError
from reasonkit.sandbox import isolation, judge, run_tests
from reasonkit.sandbox.launcher import Launcher

ADD = "def add(a, b):\n    return a + b\n"


def test_asserts_in_the_manner_of_mbpp() -> None:
    tests = "assert add(1, 2) == 3\nassert add([1], [2]) == [1, 2]\nassert add('a', 'b') == 'ab'"
    assert run_tests(ADD, tests).passed
    verdict = run_tests(ADD, tests + "\nassert add(1, 1) == 3")
    assert not verdict.passed
    assert verdict.reason == "AssertionError (line 4 of the tests)"
    assert verdict.level == isolation()


def test_a_check_in_the_manner_of_humaneval() -> None:
    tests = (
        "METADATA = {}\n\ndef check(candidate):\n"
        "    assert candidate((1,), (2,)) == (1, 2)\n"
        "    assert abs(candidate(0.1, 0.2) - 0.3) < 1e-6\n"
    )
    assert run_tests(ADD, tests, entry_point="add").passed
    assert not run_tests("def add(a, b): return ()", tests, entry_point="add").passed
    assert not run_tests("", tests, entry_point="add").passed


@pytest.mark.parametrize(
    "value",
    ["(1, 2)", "{1, 2}", "frozenset({1})", "{1: (2,), (3, 4): None}", "b'x'", "1j", "10 ** 5000"],
)
def test_plain_values_pass_both_ways(value: str) -> None:
    code = "def same(x, *, deep=None):\n    return x if deep is None else [deep]\n"
    tests = f"assert same({value}) == {value}\nassert same(0, deep={value}) == [{value}]\n"
    tests += f"assert type(same({value})) is type({value})"
    verdict = run_tests(code, tests)
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize("error", ["ValueError", "KeyError", "ZeroDivisionError", "TypeError"])
def test_tests_see_the_exceptions_of_the_program(error: str) -> None:
    tests = f"try:\n    f()\n    raise AssertionError\nexcept {error}:\n    pass"
    assert run_tests(f"def f():\n    raise {error}('no')", tests).passed
    assert run_tests(
        f"class Own({error}): pass\ndef f():\n    raise Own('no')",
        tests,
    ).passed
    assert not run_tests("def f():\n    raise OSError", tests).passed
    assert not run_tests("def f():\n    pass", tests).passed


def test_a_stop_iteration_does_not_end_the_loop_of_a_test() -> None:
    tests = "assert all(map(lambda pair: f(pair[0]) == pair[1], [(1, 2), (2, 3)]))"
    assert not run_tests("def f(x):\n    raise StopIteration", tests).passed


@pytest.mark.parametrize("name", ["sorted", "set", "abs", "len", "isinstance", "range"])
def test_a_program_can_not_shadow_the_builtins_of_its_tests(name: str) -> None:
    code = f"def {name}(*a):\n    return True\ndef f(x):\n    return 0\n"
    tests = f"import builtins\nassert {name} is builtins.{name}\nassert f(1) == 1"
    assert "line 3" in run_tests(code, tests).reason


def test_names_that_the_tests_define_are_theirs() -> None:
    code = "def close(a, b):\n    return True\ndef f(x):\n    return 0\n"
    tests = "def close(a, b):\n    return abs(a - b) < 1\nassert close(f(1), 5)"
    assert not run_tests(code, tests).passed


def test_several_functions_of_a_program_can_be_tested() -> None:
    code = "def encode(x):\n    return x[::-1]\ndef decode(x):\n    return x[::-1]\n"
    assert run_tests(code, "for x in ('abc', ''):\n    assert decode(encode(x)) == x").passed


def test_a_builtins_name_can_be_the_entry_point() -> None:
    code = "def sum(a, b):\n    return a + b"
    assert run_tests(code, "assert sum(1, 2) == 3", entry_point="sum").passed


def test_state_is_kept_between_calls_of_one_row_and_no_further() -> None:
    code = "seen = []\ndef count():\n    seen.append(1)\n    return len(seen)\n"
    for _ in range(2):
        assert run_tests(code, "assert count() == 1\nassert count() == 2").passed
    code = "import os\nprint(len(os.listdir()))\nopen('x', 'w').close()"
    assert run_tests(code, [{"input": "", "output": "0"}] * 2).passed


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("1\n2\n", "1\n2", True),
        ("1  \n2\t\n\n\n", "1\n2\n", True),
        ("1\r\n2\r\n", "1\n2", True),
        ("1\n", "1\n2", False),
        ("1\n2\n3", "1\n2", False),
        (" 1", "1", False),
        ("\n1", "1", False),
        ("1.0", "1", False),
        ("1.00000001", "1", False),
        ("Yes", "yes", False),
        ("", "", True),
        ("1\x0b2", "1\n2", False),
    ],
)
def test_all_lines_of_the_output_are_compared(printed: str, expected: str, same: bool) -> None:
    code = f"import sys\nsys.stdout.write({printed!r})"
    assert run_tests(code, [{"input": "", "output": expected}]).passed is same


def test_a_right_output_with_a_wrong_end_fails() -> None:
    tests = [{"input": "", "output": "42"}]
    assert "ValueError: no" in run_tests("print(42)\nraise ValueError('no')", tests).reason
    assert not run_tests("print(42)\nraise SystemExit(1)", tests).passed
    assert not run_tests("print(42, flush=True)\nimport os\nos.abort()", tests).passed


def test_all_tests_have_to_pass() -> None:
    tests = [{"input": [1, 1], "output": 2}, {"input": [1, 2], "output": 3}]
    code = "def add(a, b):\n    return 2"
    assert run_tests(code, tests, entry_point="add").reason == "test 2: returned 2"
    assert run_tests(code, tests[:1], entry_point="add").passed
    texts = [{"input": "1", "output": "1"}, {"input": "2", "output": "2"}]
    assert not run_tests("print(1)", texts).passed


def test_one_argument_needs_no_list() -> None:
    tests: list[dict[str, Any]] = [
        {"input": "ab", "output": "ba"},
        {"input": {"x": 1}, "output": {"x": 1}},
    ]
    code = "def f(x):\n    return x[::-1] if isinstance(x, str) else x"
    assert run_tests(code, tests, entry_point="f").passed


def test_the_limit_covers_all_tests_of_a_row() -> None:
    code = "import time\ntime.sleep(0.2)\nprint(1)"
    tests = [{"input": "", "output": "1"}]
    assert run_tests(code, tests, timeout=1).passed
    assert "longer than 0.5 s" in run_tests(code, tests * 5, timeout=0.5).reason


@pytest.mark.parametrize(
    ("tests", "entry_point"),
    [
        ("", None),
        ("   \n", None),
        ("print(1)", None),
        ("add(1, 2) == 3", None),
        ("assert (", None),
        ("assert add(1)\0", None),
        ("def check(candidate):\n    assert candidate(1, 2) == 3", None),
        ("def check(candidate):\n    candidate(1, 2) == 3", "add"),
        ("def test():\n    assert add(1, 2) == 4", None),
        ("assert True", "add"),
        ([], None),
        ([], "add"),
        ([{"input": 1}], "add"),
        ([{"input": "1", "output": 1}], None),
        ([{"input": [1], "output": "1"}], None),
        ([{"input": [1, 2], "output": {1}}], "add"),
        ([{"input": [1, 2], "output": {1: 2}}], "add"),
        ([{"input": [1, object()], "output": 1}], "add"),
        ([{"input": [1, 2], "output": float("nan")}], "add"),
        (["assert add(1, 2) == 3"], "add"),
        (None, "add"),
        ({"input": [1, 2], "output": 3}, "add"),
    ],
)
def test_malformed_tests_are_refused(tests: Any, entry_point: str | None) -> None:
    with pytest.raises(DataError):
        run_tests(ADD, tests, entry_point=entry_point)


def test_weak_isolation_is_refused_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for layers in (("rlimits",), ("landlock", "rlimits"), ("seccomp", "rlimits")):
        weak = Launcher(layers)
        monkeypatch.setattr(judge, "LAUNCHER", weak)
        with pytest.raises(RefusedError, match="+".join(layers).replace("+", r"\+")):
            run_tests(ADD, "assert add(1, 2) == 3")
        verdict = run_tests(ADD, "assert add(1, 2) == 3", allow_weaker=True)
        assert verdict.passed
        assert verdict.level == "+".join(layers)
        weak.close()


@settings(max_examples=40, deadline=None)
@given(st.text() | st.text().map(lambda text: f"def f(x):\n    return {text!r} + {text}"))
def test_no_text_makes_it_raise(code: str) -> None:
    for tests in ("assert f(1) == 42", [{"input": "", "output": "never printed"}]):
        verdict = run_tests(code, tests, timeout=1)
        assert not verdict.passed
        verdict.reason.encode()


@pytest.mark.parametrize(
    "code",
    ["\0", "\ud800", "(" * 100_000, "-" * 1_000_000 + "1", "x=" * 50_000 + "1", "#" * 5_000_000],
)
def test_sources_that_hurt_the_compiler_make_it_fail_only(code: str) -> None:
    assert not run_tests(code, "assert f(1) == 42").passed
