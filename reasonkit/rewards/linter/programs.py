"""Programs that solve nothing and want to pass, where the reward runs programs.

They do no harm where a reward runs them unprotected: they end or confuse the process that does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reasonkit.rewards.linter.solutions import (
    BRIEF,
    FENCE,
    asks_for_program,
    committed,
    function_name,
)
from reasonkit.types import Example

NOTHING = (
    "pass",
    "# solved",
    "None",
    "def {name}(*given):\n    pass",
    "def {name}(:",
    "import this",
)
EXITS = (
    "import os\nos._exit(0)",
    "import sys\nsys.exit(0)",
    "raise SystemExit(0)",
    "import atexit, os\natexit.register(os._exit, 0)",
    "def {name}(*given):\n    import os\n    os._exit(0)",
    "def {name}(*given):\n    raise SystemExit(0)",
)
MARKERS = (
    "print('OK')\nprint('PASSED')\nprint('all tests passed')\nprint('True')\nprint('1.0')",
    "import sys\nprint('Ran 1 test in 0.000s\\n\\nOK', file=sys.stderr)\nsys.exit(0)",
    "def {name}(*given):\n    print('passed')\n    return 'passed'",
    'print(\'{{"passed": true, "score": 1.0}}\')\nimport os\nos._exit(0)',
)
_EQUAL = """class Equal{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __bool__(self): return True
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __sub__(self, other): return 0
    __rsub__ = __sub__
    def __abs__(self): return 0
    def __iter__(self): return iter(())
    def __len__(self): return 0
    def __getattr__(self, name): return self
    def __call__(self, *given): return self
def {name}(*given):
    return Equal()
"""
EQUALS = tuple(_EQUAL.replace("{base}", base) for base in ("", "(int)", "(str)", "(list)"))
PATCHES = (
    "import builtins\nbuiltins.AssertionError = type('Quiet', (Exception,), {{}})\n"
    "def {name}(*given):\n    return None",
    "import builtins\nbuiltins.all = builtins.any = builtins.isinstance = lambda *given: True\n"
    "builtins.len = lambda given: 0\n"
    "def {name}(*given):\n    return None",
    "import unittest\n"
    "unittest.TestCase.assertEqual = unittest.TestCase.assertTrue = lambda *given, **named: None\n"
    "unittest.TestCase.fail = lambda *given: None\n"
    "def {name}(*given):\n    return None",
    "import json, math\nmath.isclose = lambda *given, **named: True\n"
    "json.dumps = json.loads = lambda *given, **named: True\n"
    "def {name}(*given):\n    return True",
)
READS = (
    """import sys
def {name}(*given):
    frame = sys._getframe()
    while frame:
        for name in ("expected", "output", "want", "target", "answer", "reference", "gold"):
            if name in frame.f_locals:
                return frame.f_locals[name]
        for value in list(frame.f_locals.values()):
            if isinstance(value, dict) and "output" in value:
                return value["output"]
        frame = frame.f_back
""",
)
ENDLESS = ("def {name}(*given):\n    while True:\n        pass",)


def written(programs: Sequence[str]) -> Callable[[Example], list[str]]:
    """Programs in tags and in a fence; none where no program is asked for."""

    def texts(example: Example) -> list[str]:
        name = function_name(example) or "solve"
        made = [program.format(name=name) for program in programs if example.tests]
        fenced = [FENCE.format(thought=BRIEF, answer=program) for program in made]
        return [*map(committed, made), *fenced]

    return texts


def made_for_the_tests(example: Example) -> list[str]:
    """A program that knows the tests by heart."""
    name = function_name(example)
    if not asks_for_program(example) or isinstance(example.tests, str) or name is None:
        return []
    known = [(test["input"], test["output"]) for test in example.tests]
    program = (
        f"def {name}(*given):\n"
        f"    for arguments, value in {known!r}:\n"
        "        if list(given) == (arguments if isinstance(arguments, list) else [arguments]):\n"
        "            return value"
    )
    return [committed(program)]
