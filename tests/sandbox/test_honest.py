"""What an honest program may do, and passes."""

from __future__ import annotations

import pytest

from reasonkit.sandbox import run_tests
from reasonkit.sandbox.launcher import Launcher


def passes(code: str) -> None:
    """Asserts that the code, which has to define answer(n), gives its double."""
    tests = [{"input": [21], "output": 42}, {"input": [1], "output": 2}]
    verdict = run_tests(code, tests, entry_point="answer")
    assert verdict.passed, verdict.reason
    verdict = run_tests(code, "assert answer(21) == 42\nassert answer(1) == 2")
    assert verdict.passed, verdict.reason


DOUBLE = "def answer(n):\n    return 2 * n\n"


@pytest.mark.parametrize(
    "use",
    [
        "import math; assert math.comb(4, 2) == 6",
        "from collections import *; assert Counter('aab')['a'] == 2 and deque([1])[0] == 1",
        "import itertools; assert len(list(itertools.permutations('abc'))) == 6",
        "import functools; assert functools.reduce(lambda a, b: a * b, [2, 3]) == 6",
        "import heapq, bisect; h = [3, 1]; heapq.heapify(h); assert bisect.bisect([1, 2], 1) == 1",
        "import re; assert re.findall('[0-9]+', 'a12b3') == ['12', '3']",
        "import datetime; assert datetime.date(2024, 2, 29).weekday() == 3; datetime.date.today()",
        "from typing import *; x: Optional[List[int]] = None",
        "import random; random.seed(0); assert 0 <= random.random() < 1",
        "import string; assert string.ascii_lowercase.startswith('abc')",
        "from fractions import Fraction; assert Fraction(1, 3) + Fraction(1, 6) == Fraction(1, 2)",
        "from decimal import Decimal; assert Decimal('0.1') + Decimal('0.2') == Decimal('0.3')",
        "import json; assert json.loads(json.dumps({'a': [1]})) == {'a': [1]}",
        "import statistics, operator, copy, textwrap, enum, time, hashlib, uuid; uuid.uuid4()",
        "import sqlite3; assert sqlite3.connect(':memory:').execute('select 1').fetchone() == (1,)",
        "import zoneinfo, xml.etree.ElementTree, csv, html, secrets; secrets.token_hex(4)",
        "import asyncio; assert asyncio.run(asyncio.sleep(0, 3)) == 3",
        "import os; os.kill(os.getpid(), 0)",
        "import ctypes; ctypes.CDLL(None).getpid()",
    ],
)
def test_the_standard_library_can_be_used(use: str) -> None:
    passes(f"{use}\n{DOUBLE}")


def test_dataclasses_work() -> None:
    passes(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass, field\n"
        "@dataclass(order=True)\n"
        "class Pair:\n    a: int\n    b: list[int] = field(default_factory=list)\n"
        "assert Pair(1) < Pair(2)\n" + DOUBLE
    )


def test_deep_recursion_works() -> None:
    passes(
        "import sys, functools\n"
        "sys.setrecursionlimit(50_000)\n"
        "def depth(n):\n    return 0 if n == 0 else 1 + depth(n - 1)\n"
        "@functools.lru_cache(None)\n"
        "def cached(n):\n    return 0 if n == 0 else 1 + cached(n - 1)\n"
        "def answer(n):\n    assert depth(10_000) == cached(10_000) == 10_000\n    return 2 * n\n"
    )


def test_200_megabytes_of_memory_can_be_used() -> None:
    passes("def answer(n):\n    x = bytearray(200 << 20)\n    x[-1] = n\n    return x[-1] * 2\n")


def test_a_second_of_processor_time_can_be_used() -> None:
    code = "import time\nwhile time.process_time() < 1: pass\nprint(int(input()) * 2)\n"
    verdict = run_tests(code, [{"input": "21", "output": "42"}])
    assert verdict.passed, verdict.reason


def test_scratch_files_and_folders_can_be_used() -> None:
    passes(
        "import os, tempfile, pathlib\n"
        "def answer(n):\n"
        "    with open('number', 'w') as file:\n        file.write(str(n))\n"
        "    os.makedirs('a/b', exist_ok=True)\n"
        "    os.replace('number', 'a/b/number')\n"
        "    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:\n"
        "        file.write(bytes(1 << 20))\n"
        "        (pathlib.Path(folder) / 'x').write_text('x')\n"
        "    with open(os.path.expanduser('~/a/b/number')) as file:\n"
        "        return 2 * int(file.read())\n"
    )


def test_prints_do_not_disturb() -> None:
    passes(
        "import sys\nprint('42')\ndef answer(n):\n    print('passed', n)\n"
        "    print(n, file=sys.stderr)\n    return 2 * n\n"
    )


def test_threads_can_be_used() -> None:
    passes(
        "import threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def answer(n):\n"
        "    with ThreadPoolExecutor(16) as pool:\n"
        "        assert sum(pool.map(lambda x: 2 * x, range(100))) == 9900\n"
        "    threads = [threading.Thread(target=int) for _ in range(16)]\n"
        "    for thread in threads: thread.start()\n"
        "    for thread in threads: thread.join()\n"
        "    return 2 * n\n"
    )


def test_alarms_can_be_used() -> None:
    passes(
        "import signal, time\n"
        "def answer(n):\n"
        "    rung = []\n"
        "    signal.signal(signal.SIGALRM, lambda *_: rung.append(n))\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.01)\n"
        "    time.sleep(0.1)\n"
        "    return 2 * rung[0]\n"
    )


def test_sets_have_the_same_order_in_every_run(launcher: Launcher) -> None:
    code = "def answer(n):\n    return list({str(i) for i in range(50)})\n"
    reasons = set()
    for _ in range(3):
        reasons.add(run_tests(code, [{"input": 0, "output": 0}], entry_point="answer").reason)
        # A new zygote has a new hash, if it isn't told otherwise.
        launcher.close()
    assert len(reasons) == 1


def test_a_method_of_solution_is_found() -> None:
    passes("class Solution:\n    def answer(self, n):\n        return 2 * n\n" + DOUBLE)
    code = "class Solution:\n    def answer(self, n):\n        return 2 * n\n"
    assert run_tests(code, [{"input": [2], "output": 4}], entry_point="answer").passed


@pytest.mark.parametrize(
    "code",
    [
        "print(int(input()) + int(input()))",
        "import sys\nprint(sum(int(line) for line in sys.stdin))",
        "import sys\nprint(sum(map(int, sys.stdin.read().split())))",
        "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))",
        "import os\nprint(sum(map(int, os.read(0, 100).split())))",
        "print(sum(map(int, open(0).read().split())))",
        "import sys\nsys.stdout.write(str(sum(map(int, sys.stdin.readlines()))))",
        "def main():\n    print(int(input()) + int(input()))\n"
        "if __name__ == '__main__':\n    main()",
        "import threading\n"
        "threading.Thread(target=lambda: print(int(input()) + int(input()))).start()",
        "import atexit\natexit.register(lambda: print(int(input()) + int(input())))",
        "print(int(input()) + int(input()))\nexit()",
        "import sys\nprint(int(input()) + int(input()), '  ')\nprint()\nsys.exit()",
        "import os\nprint(int(input()) + int(input()), flush=True)\nos._exit(0)",
    ],
)
def test_programs_read_standard_input(code: str) -> None:
    code = code.replace("\nexit()", "\nraise SystemExit")
    tests = [{"input": "40\n2\n", "output": "42\n"}, {"input": "1\n2", "output": "3"}]
    verdict = run_tests(code, tests)
    assert verdict.passed, verdict.reason


def test_large_inputs_and_outputs_pass() -> None:
    text = "".join(f"{number} é\n" for number in range(300_000))
    code = "import sys\nfor line in sys.stdin: sys.stdout.write(line)"
    verdict = run_tests(code, [{"input": text, "output": text}], timeout=20)
    assert verdict.passed, verdict.reason
    numbers = list(range(200_000))
    verdict = run_tests("def f(x): return x", [{"input": [numbers], "output": numbers}],
                        entry_point="f", timeout=20)  # fmt: skip
    assert verdict.passed, verdict.reason
