"""What a plain ``python main.py`` runs to a right answer is right in the sandbox too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reasonkit.sandbox import run_tests

# ruff: noqa: E501
# fmt: off
# By name: the program, its standard input, what it prints.
PROGRAMS: dict[str, tuple[str, str, str]] = {
    'exit()': ('print(5)\nexit()', '', '5'),
    'quit()': ('print(5)\nquit()', '', '5'),
    'exit(0) in function': ('def main():\n    n = int(input())\n    if n == 1:\n        print(1)\n        exit(0)\n    print(2)\nmain()', '1\n', '1'),
    'exit(None)': ('print(5)\nexit(None)\nprint(6)', '', '5'),
    'quit in try/finally': ('try:\n    print(1)\n    quit()\nfinally:\n    print(2)', '', '1\n2'),
    'exit caught': ('try:\n    exit(3)\nexcept SystemExit as e:\n    print(e.code)', '', '3'),
    'exit in comprehension': ('[print(i) if i < 3 else exit() for i in range(9)]', '', '0\n1\n2'),
    'exit bool False': ('import sys\nprint(5)\nsys.exit(False)', '', '5'),
    'exit 256': ('import sys\nprint(5)\nsys.exit(256)', '', '5'),
    'raise SystemExit': ('print(5)\nraise SystemExit', '', '5'),
    'os._exit flushed': ('import os\nprint(5, flush=True)\nos._exit(0)', '', '5'),
    'sys.exit in thread': ('import sys, threading\nt = threading.Thread(target=sys.exit)\nt.start(); t.join(); print(5)', '', '5'),
    'atexit after exit': ("import atexit\natexit.register(print, 'bye')\nprint('hi')\nexit()", '', 'hi\nbye'),
    'eof caught': ('t = 0\nwhile True:\n    try:\n        t += int(input())\n    except EOFError:\n        break\nprint(t)', '1\n2\n3\n', '6'),
    'iter(input)': ("print(sum(int(x) for x in iter(input, '0')))", '1\n2\n0\n', '3'),
    'main guard': ("def solve():\n    print(sum(map(int, input().split())))\nif __name__ == '__main__':\n    solve()", '1 2 3', '6'),
    'write no newline': ("import sys\nsys.stdout.write('abc')", '', 'abc'),
    'stdout buffer': ("import sys\nsys.stdout.buffer.write(b'abc\\n')", '', 'abc'),
    'stdin.buffer readline': ('import sys\nprint(int(sys.stdin.buffer.readline()) * 2)', '4\n', '8'),
    'open(0)': ('print(sum(map(int, open(0))))', '1\n2\n', '3'),
    'dev stdin': ("print(sum(map(int, open('/dev/stdin'))))", '1\n2\n', '3'),
    'dev stdout': ("f = open('/dev/stdout', 'w')\nf.write('7\\n')\nf.close()", '', '7'),
    'open(1) not closed': ("out = open(1, 'w')\nout.write('7\\n')", '', '7'),
    'fdopen unclosed': ("import os\nw = os.fdopen(1, 'w')\nprint(3, file=w)", '', '3'),
    'stdout replaced': ('import sys, io\nreal = sys.stdout\nsys.stdout = io.StringIO()\nprint(4)\nreal.write(sys.stdout.getvalue())', '', '4'),
    'stdout rewrapped': ("import sys, io\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\nprint('é')", '', 'é'),
    'stdin rewrapped': ('import sys, io\nsys.stdin = io.StringIO(sys.stdin.read())\nprint(input())', 'q\n', 'q'),
    'detach': ("import sys, io\nsys.stdin = io.TextIOWrapper(sys.stdin.detach(), encoding='latin-1')\nprint(input())", 'q\n', 'q'),
    'redirect_stdout': ("import io, contextlib\nb = io.StringIO()\nwith contextlib.redirect_stdout(b):\n    print(1)\nprint(b.getvalue() + '2')", '', '1\n2'),
    'thread stack': ('import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 27)\ndef f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\ndef main():\n    print(f(50000))\nt = threading.Thread(target=main)\nt.start()\nt.join()', '', '50000'),
    'recursion': ('import sys\nsys.setrecursionlimit(300000)\ndef f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\nprint(f(200000))', '', '200000'),
    'recursion error caught': ("def f(n):\n    return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError:\n    print('deep')", '', 'deep'),
    'default limit': ('import sys\nprint(sys.getrecursionlimit())', '', '1000'),
    'argv': ('import sys\nprint(len(sys.argv))', '', '1'),
    'argparse': ("import argparse\np = argparse.ArgumentParser()\np.add_argument('--n', type=int, default=3)\nprint(p.parse_args().n)", '', '3'),
    '__file__': ("import os\nprint(os.path.basename(__file__).endswith('.py'))", '', 'True'),
    'del at end': ("class A:\n    def __del__(self):\n        print('gone')\na = A()\nprint('made')", '', 'made\ngone'),
    'import main': ('import __main__\nx = 3\nprint(__main__.x)', '', '3'),
    'pickle': ('import pickle\nclass A:\n    def __init__(self): self.x = 3\nprint(pickle.loads(pickle.dumps(A())).x)', '', '3'),
    'dataclass main': ('from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nprint(P(1))', '', 'P(x=1)'),
    'help': ('print(callable(help), callable(copyright))', '', 'True True'),
    'asyncio': ('import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    print(1)\nasyncio.run(main())', '', '1'),
    'walrus readline': ('import sys\nn = 0\nwhile line := sys.stdin.readline():\n    n += int(line)\nprint(n)', '1\n2', '3'),
    'fileinput': ('import fileinput\nprint(sum(int(l) for l in fileinput.input()))', '1\n2\n', '3'),
    'select stdin': ('import sys\nprint(sys.stdin.isatty(), sys.stdin.fileno())', '', 'False 0'),
    'locals exec': ("exec('y = 3')\nprint(y, globals()['y'])", '', '3 3'),
    'warnings': ("import warnings\nwarnings.warn('x')\nprint(1)", '', '1'),
    'stderr': ("import sys\nprint('debug', file=sys.stderr)\nprint(1)", '', '1'),
    'signal default': ('import signal\nprint(signal.getsignal(signal.SIGINT) is signal.default_int_handler)', '', 'True'),
    'print to closed': ('import sys\nprint(1)\nsys.stdout.flush()\nsys.stdout.close()', '', '1'),
    'os.write': ("import os\nos.write(1, b'9\\n')", '', '9'),
    'os.read loop': ("import os\ns = b''\nwhile c := os.read(0, 2):\n    s += c\nprint(len(s))", 'abcdef', '6'),
    'seek stdin': ('import sys\nd = sys.stdin.read()\nprint(len(d))', 'ab\ncd\n', '6'),
    'annotations': ("x: int = 3\nprint(__annotations__['x'].__name__)", '', 'int'),
    'daemon': ('import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint(1)', '', '1'),
    'executor': ('from concurrent.futures import ThreadPoolExecutor\ne = ThreadPoolExecutor(2)\nf = e.submit(pow, 2, 5)\nprint(f.result())', '', '32'),
    'exit string caught': ("import sys\ndef f():\n    sys.exit('x')\ntry:\n    f()\nexcept SystemExit as e:\n    print(e)", '', 'x'),
    'name error in atexit': ('import atexit\n@atexit.register\ndef end():\n    print(total)\ntotal = 4', '', '4'),
}

# By name: the program, the tests.
FUNCTIONS: dict[str, tuple[str, str]] = {
    'namedtuple': ("from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)", 'assert f() == (1, 2)'),
    'namedtuple attr': ("from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)", 'assert f().x == 1 and f()[1] == 2\na, b = f()\nassert (a, b) == (1, 2)'),
    'list of namedtuple': ("from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return [P(1, 2)]", 'assert f() == [(1, 2)]'),
    'typing.NamedTuple': ("from typing import NamedTuple\nclass Q(NamedTuple):\n    a: int\n    b: str = 'z'\ndef f(): return {'k': Q(1)}", "assert f() == {'k': (1, 'z')}\nassert f()['k'].b == 'z'"),
    'range': ('def f(): return range(3)', 'assert list(f()) == [0, 1, 2]\nassert f() == range(3)\nassert len(f()) == 3 and 2 in f()'),
    'Fraction': ('from fractions import Fraction\ndef f(): return Fraction(1, 2)', 'assert f() == 0.5\nassert f() + 1 == 1.5\nassert f().numerator == 1'),
    'Decimal': ("from decimal import Decimal\ndef f(): return Decimal('0.50')", "assert f() == 0.5\nassert str(f()) == '0.50'"),
    'deque': ('from collections import deque\ndef f(): return deque([1, 2], maxlen=3)', 'assert list(f()) == [1, 2]\nfrom collections import deque\nassert f() == deque([1, 2])\nassert f().maxlen == 3'),
    'keys': ("def f(): return {'a': 1, 'b': 2}.keys()", "assert sorted(f()) == ['a', 'b']\nassert f() == {'a', 'b'}"),
    'values': ("def f(): return {'a': 1, 'b': 2}.values()", 'assert list(f()) == [1, 2] and sum(f()) == 3 and len(f()) == 2'),
    'items': ("def f(): return {'a': 1}.items()", "assert f() == {('a', 1)}\nassert list(f()) == [('a', 1)]"),
    'generator': ('def f(n):\n    for i in range(n):\n        yield i * i', 'assert list(f(3)) == [0, 1, 4]\nassert sum(f(3)) == 5'),
    'infinite generator': ('def f():\n    a = 0\n    while True:\n        yield a\n        a += 2', 'import itertools\nassert list(itertools.islice(f(), 3)) == [0, 2, 4]\ng = f()\nassert next(g) == 0 and next(g) == 2'),
    'map': ('def f(xs): return map(str, xs)', "assert list(f([1, 2])) == ['1', '2']"),
    'zip': ('def f(xs): return zip(xs, xs)', 'assert list(f([1, 2])) == [(1, 1), (2, 2)]\nassert dict(f([1])) == {1: 1}'),
    'filter': ('def f(xs): return filter(None, xs)', 'assert tuple(f([0, 1, 2])) == (1, 2)'),
    'reversed': ('def f(xs): return reversed(xs)', "assert list(f([1, 2])) == [2, 1]\nassert ''.join(f('ab')) == 'ba'"),
    'enumerate': ('def f(xs): return enumerate(xs, 1)', "assert dict(f('ab')) == {1: 'a', 2: 'b'}"),
    'combinations': ('import itertools\ndef f(xs): return itertools.combinations(xs, 2)', 'assert list(f([1, 2, 3])) == [(1, 2), (1, 3), (2, 3)]'),
    'Counter': ('from collections import Counter\ndef f(s): return Counter(s)', "from collections import Counter\nassert f('aab') == {'a': 2, 'b': 1}\nassert f('aab') == Counter('aab')\nassert f('a')['z'] == 0\nassert f('aab').most_common(1) == [('a', 2)]"),
    'defaultdict': ('from collections import defaultdict\ndef f():\n    d = defaultdict(list)\n    d[1].append(2)\n    return d', 'assert f() == {1: [2]}\nassert f()[9] == []'),
    'OrderedDict': ("from collections import OrderedDict\ndef f(): return OrderedDict([('b', 1), ('a', 2)])", "from collections import OrderedDict\nassert f() == {'a': 2, 'b': 1}\nassert f() != OrderedDict([('a', 2), ('b', 1)])\nassert list(f()) == ['b', 'a']"),
    'str subclass': ("class S(str): pass\ndef f(): return S('ab')", "assert f() == 'ab'\nassert f().upper() == 'AB'"),
    'int subclass': ('class I(int): pass\ndef f(): return I(3)', 'assert f() == 3'),
    'list subclass': ('class L(list): pass\ndef f(): return L([1, L([2])])', 'assert f() == [1, [2]]'),
    'dict subclass': ('class D(dict):\n    def __missing__(self, k): return 0\ndef f(): return D(a=1)', "assert f() == {'a': 1}"),
    'UserList': ('from collections import UserList\ndef f(): return UserList([1, 2])', 'assert f() == [1, 2]\nassert list(f()) == [1, 2]'),
    'UserDict': ('from collections import UserDict\ndef f(): return UserDict(a=1)', "assert f()['a'] == 1\nassert f() == {'a': 1}"),
    'ChainMap': ("from collections import ChainMap\ndef f(): return ChainMap({'a': 1}, {'b': 2})", "assert f() == {'a': 1, 'b': 2}\nassert f()['b'] == 2"),
    'bytes': ("def f(): return b'ab'", "assert f() == b'ab'"),
    'bytearray': ("def f(): return bytearray(b'ab')", "assert f() == b'ab' and f()[0] == 97"),
    'memoryview': ("def f(): return memoryview(b'ab')", "assert f() == b'ab' and bytes(f()) == b'ab'"),
    'array': ("from array import array\ndef f(): return array('i', [1, 2])", 'assert list(f()) == [1, 2]'),
    'complex': ('def f(): return 1 + 2j', 'assert f() == 1 + 2j and abs(f() - 1) == 2'),
    'nan': ("def f(): return float('nan')", 'import math\nassert math.isnan(f())'),
    'inf': ("def f(): return float('-inf')", "assert f() == float('-inf')"),
    'int enum': ('from enum import IntEnum\nclass C(IntEnum):\n    RED = 1\ndef f(): return C.RED', "assert f() == 1\nassert f().name == 'RED'"),
    'str enum': ("from enum import Enum\nclass C(str, Enum):\n    RED = 'red'\ndef f(): return C.RED", "assert f() == 'red'"),
    'enum': ('from enum import Enum\nclass C(Enum):\n    RED = 1\ndef f(): return C.RED', "assert f().value == 1 and f().name == 'RED'\nassert f() is f()"),
    'dataclass attr': ('from dataclasses import dataclass\n@dataclass\nclass D:\n    x: int\n    y: list\ndef f(): return D(1, [2])', "assert f().x == 1 and f().y == [2]\nimport dataclasses\nassert dataclasses.astuple(f()) == (1, [2])\nassert dataclasses.asdict(f()) == {'x': 1, 'y': [2]}"),
    'dataclass eq': ('from dataclasses import dataclass\n@dataclass\nclass D:\n    x: int\ndef f(): return D(1)', "assert f() == D(1)\nassert f() != D(2)\nassert str(f()) == 'D(x=1)'"),
    'date': ('import datetime\ndef f(): return datetime.date(2024, 2, 29)', 'import datetime\nassert f() == datetime.date(2024, 2, 29)\nassert f().year == 2024'),
    'datetime': ('import datetime\ndef f(d): return d + datetime.timedelta(hours=1)', 'import datetime as d\nassert f(d.datetime(2024, 1, 1)) == d.datetime(2024, 1, 1, 1)'),
    'timedelta': ('import datetime\ndef f(): return datetime.timedelta(days=1, seconds=2)', 'assert f().total_seconds() == 86402'),
    'uuid': ('import uuid\ndef f(): return uuid.UUID(int=5)', 'assert f().int == 5'),
    'path': ("import pathlib\ndef f(): return pathlib.Path('a') / 'b'", "assert str(f()) == 'a/b'\nassert f().name == 'b'"),
    'match truth': ("import re\ndef f(s): return re.match('[0-9]+$', s)", "assert f('12')\nassert not f('a')\nassert f('1') is not None\nassert bool(f('12')) is True"),
    'match group': ("import re\ndef f(s): return re.match('([0-9]+)', s)", "assert f('12a').group(1) == '12'"),
    'slice': ('def f(): return slice(1, 3)', 'assert f() == slice(1, 3)\nassert [0, 1, 2, 3][f()] == [1, 2]'),
    'closure': ('def f(n):\n    return lambda x: x + n', 'assert f(3)(4) == 7'),
    'iterable class': ('class R:\n    def __iter__(self): return iter([1, 2])\ndef f(): return R()', 'assert list(f()) == [1, 2]\nr = f()\nassert list(r) == list(r) == [1, 2]'),
    'stack class': ('class Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x)\n    def pop(self): return self.items.pop()', 's = Stack()\ns.push(1)\ns.push(2)\nassert s.pop() == 2\nassert s.items == [1]'),
    'Solution()': ('class Solution:\n    def twice(self, n): return 2 * n', 'assert Solution().twice(4) == 8\ns = Solution()\nassert s.twice(1) == 2'),
    'list node': ('class Node:\n    def __init__(self, v, n=None): self.v, self.next = v, n\ndef f(): return Node(1, Node(2))', 'assert f().v == 1 and f().next.v == 2 and f().next.next is None'),
    'node argument': ('class Node:\n    def __init__(self, v, n=None): self.v, self.next = v, n\ndef total(n):\n    return 0 if n is None else n.v + total(n.next)', 'assert total(Node(1, Node(2))) == 3'),
    'in place': ('def f(xs): xs.sort()', 'a = [3, 1, 2]\nassert f(a) is None\nassert a == [1, 2, 3]'),
    'in place nested': ('def f(m):\n    for r in m: r.reverse()', 'm = [[1, 2], [3, 4]]\nf(m)\nassert m == [[2, 1], [4, 3]]'),
    'in place dict': ("def f(d): d['x'] = 1", "d = {}\nf(d)\nassert d == {'x': 1}"),
    'function argument': ('def f(g, xs): return [g(x) for x in xs]', 'assert f(lambda x: x + 1, [1, 2]) == [2, 3]'),
    'builtin argument': ('def f(g, xs): return list(map(g, xs))', "assert f(str, [1, 2]) == ['1', '2']\nassert f(abs, [-1]) == [1]"),
    'range argument': ('def f(xs): return sum(xs)', 'assert f(range(4)) == 6\nassert f(x for x in (1, 2)) == 3\nassert f(iter([1])) == 1\nassert f({1: 2}.values()) == 2'),
    'set': ('def f(): return {1, 2}', 'assert f() == {2, 1} and f() | {3} == {1, 2, 3}'),
    'frozenset': ('def f(): return frozenset([1])', 'assert f() == {1}'),
    'set of frozenset': ('def f(): return {frozenset([1])}', 'assert f() == {frozenset([1])}'),
    'custom exception': ("class E(Exception): pass\ndef f(): raise E('no')", "try:\n    f()\n    assert False\nexcept Exception as e:\n    assert str(e) == 'no'"),
    'generator raises': ("def f():\n    yield 1\n    raise ValueError('x')", 'g = f()\nassert next(g) == 1\ntry:\n    next(g)\n    assert False\nexcept ValueError:\n    pass'),
    'next default': ('def f(): return iter([])', 'assert next(f(), None) is None\ntry:\n    next(f())\n    assert False\nexcept StopIteration:\n    pass'),
    'main guard in function': ("def f(): return 1\nif __name__ == '__main__':\n    print(f())\n    exit()", 'assert f() == 1'),
    'None': ('def f(): pass', 'assert f() is None'),
    'NotImplemented': ('def f(): return NotImplemented', 'assert f() is NotImplemented'),
    'Ellipsis': ('def f(): return ...', 'assert f() is ...'),
    'type': ('def f(x): return type(x)', "assert f(3) is int\nassert f('a') == str\nassert f([]).__name__ == 'list'"),
    'exception value': ("def f(): return ValueError('x')", "assert isinstance(f(), ValueError)\nassert str(f()) == 'x'"),
    'bool numpy like': ('class B:\n    def __bool__(self): return False\ndef f(): return B()', 'assert not f()'),
    'tolist': ('class A:\n    def __init__(self, xs): self.xs = xs\n    def tolist(self): return self.xs\ndef f(): return A([1])', 'assert f().tolist() == [1]'),
    'nested mix': ('from collections import deque\nfrom fractions import Fraction\ndef f(): return [deque([(Fraction(1, 2), range(2))])]', 'from fractions import Fraction\nassert [list(d) for d in f()] == [[(Fraction(1, 2), range(2))]]'),
    'lru_cache': ('import functools\n@functools.lru_cache(None)\ndef f(n): return n if n < 2 else f(n - 1) + f(n - 2)', 'assert f(50) == 12586269025'),
    'SimpleNamespace': ('from types import SimpleNamespace\ndef f(): return SimpleNamespace(a=1)', 'assert f().a == 1'),
    'struct_time': ('import time\ndef f(): return time.gmtime(0)', 'assert f().tm_year == 1970 and f()[0] == 1970'),
    'accumulate': ('import itertools\ndef f(xs): return itertools.accumulate(xs)', 'assert list(f([1, 2])) == [1, 3]'),
    'groupby': ('import itertools\ndef f(s): return [(k, list(g)) for k, g in itertools.groupby(s)]', "assert f('aab') == [('a', ['a', 'a']), ('b', ['b'])]"),
    'tuple subclass deep': ('class T(tuple): pass\ndef f(): return T([1, T([2])])', 'assert f() == (1, (2,))'),
    'linked list set': ('class Node:\n    def __init__(s, v): s.v, s.next = v, None\ndef total(n):\n    t = 0\n    while n: t += n.v; n = n.next\n    return t', 'a = Node(1)\na.next = Node(2)\nassert total(a) == 3\nassert a.next.v == 2'),
    'queue class': ('class Q:\n    def __init__(s): s.d = []\n    def append(s, x): s.d.append(x)\n    def pop(s): return s.d.pop(0)\n    def __len__(s): return len(s.d)', 'q = Q()\nq.append(3)\nassert len(q) == 1\nassert q.pop() == 3\nassert not q'),
    'compose': ('def compose(f, g): return lambda x: f(g(x))', 'assert compose(lambda x: x + 1, lambda x: x * 2)(5) == 11'),
    'key functions': ('def f(xs, key): return sorted(xs, key=key)', "assert f(['bb', 'a'], key=len) == ['a', 'bb']\nassert f([3, -4], key=abs) == [3, -4]"),
    'closure without arguments': ('def outer(n):\n    def inner(): return n\n    return inner', 'assert outer(3)() == 3'),
    'all kinds of arguments': ('def f(a, b=2, *c, d=4, **e): return (a, b, c, d, e)', "assert f(1, d=5, z=6) == (1, 2, (), 5, {'z': 6})"),
    'unittest in tests': ("def f(n):\n    if n < 0: raise ValueError('negative')\n    return n", 'import unittest\nclass T(unittest.TestCase):\n    pass\nt = T()\nwith t.assertRaises(ValueError): f(-1)\nt.assertEqual(f(2), 2)\nassert f(3) == 3'),
    'sorted items': ('def f(d): return sorted(d.items(), key=lambda kv: -kv[1])', "assert f({'a': 1, 'b': 2}) == [('b', 2), ('a', 1)]"),
    'callback': ('def apply(f, n):\n    for _ in range(n): f()', 'hits = []\napply(lambda: hits.append(1), 3)\nassert len(hits) == 3'),
    'append in place': ('def f(xs):\n    xs.append(4)', 'a = [1]\nb = a\nf(a)\nassert b == [1, 4]'),
    'add in place': ('def f(s):\n    s.add(1)', 'a = set()\nf(a)\nassert a == {1}'),
    'rotate in place': ('def rot(m):\n    m[:] = [list(r) for r in zip(*m[::-1])]', 'm = [[1, 2], [3, 4]]\nrot(m)\nassert m == [[3, 1], [4, 2]]'),
    'key error': ('def f(x):\n    try:\n        g(x)\n    except KeyError as e:\n        return str(e)\ndef g(x): raise KeyError(x)', 'assert f(\'a\') == "\'a\'"'),
    'class methods': ('class A:\n    count = 0\n    @classmethod\n    def make(cls): cls.count += 1; return cls()\n    @staticmethod\n    def two(): return 2\n    @property\n    def p(self): return 9', 'assert A.two() == 2\nassert A.make().p == 9\nassert A.count == 1'),
    'deck': ("import collections\nCard = collections.namedtuple('Card', 'rank suit')\nclass Deck:\n    def __init__(s): s._c = [Card(r, 'x') for r in range(3)]\n    def __len__(s): return len(s._c)\n    def __getitem__(s, i): return s._c[i]", "d = Deck()\nassert len(d) == 3 and d[0].rank == 0 and d[-1] == (2, 'x')\nassert [c.rank for c in d] == [0, 1, 2]\nassert Card(2, 'x') in d"),
    'fibonacci': ('def fib():\n    a, b = 0, 1\n    while True:\n        yield a\n        a, b = b, a + b', 'from itertools import islice, takewhile\nassert list(takewhile(lambda x: x < 10, fib())) == [0, 1, 1, 2, 3, 5, 8]\nfor i, x in zip(range(3), fib()): pass\nassert x == 1'),
    'frozen dataclass': ('from dataclasses import dataclass, field\n@dataclass(frozen=True)\nclass P:\n    x: int = 0\n    tags: tuple = ()\n    def move(self, d): return P(self.x + d, self.tags)', 'p = P(1)\nassert p.move(2) == P(3)\nassert P() == P(0, ())\nassert p.move(2).x == 3'),
    'decimal argument': ('import decimal\ndef f(a): return decimal.Decimal(a) * 2', "from decimal import Decimal\nassert f(Decimal('1.5')) == Decimal('3.0')\nassert f('0.1') == Decimal('0.2')"),
    'future annotations': ('from __future__ import annotations\ndef f(a: int) -> int: return a', 'assert f(1) == 1'),
    'annotations are values': ("def f(x: int) -> str: return str(x)\nassert f.__annotations__['x'] is int", "assert f(2) == '2'"),
    'unpacked': ('def f(): return ({1: [2, (3,)]}, None, 1.5)', 'a, b, c = f()\nassert a[1][1] == (3,) and b is None and c == 1.5'),
    'max by key': ('def f(xs): return max(xs, key=lambda x: x[1])', 'assert f([(1, 2), (2, 1)]) == (1, 2)'),
    'large int': ('import sys\ndef f(): return sys.maxsize + 1', 'import sys\nassert f() == sys.maxsize + 1'),
    'generator expression': ('def f(xs): return (x for x in xs if x)', 'assert list(f([0, 1])) == [1]\nassert any(f([0, 2]))\nassert sorted(f([2, 1])) == [1, 2]'),
    'exception argument': ('def f(e): return [type(e).__name__, str(e)]', "assert f(ValueError('x')) == ['ValueError', 'x']"),
    'a local of the name': ('def x(n): return n', 'def g():\n    x = 1\n    return x\nassert x(2) == 2 and g() == 1'),
    'pattern': ('import re\ndef f(s): return re.compile(s)', "assert f('a+').match('aa')\nassert f('a').pattern == 'a'"),
}

# By name: a program that defines f(), and the JSON value that it returns.
VALUES: dict[str, tuple[str, Any]] = {
    'namedtuple': ("from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)", [1, 2]),
    'Fraction': ('from fractions import Fraction\ndef f(): return Fraction(1, 2)', 0.5),
    'Decimal': ("from decimal import Decimal\ndef f(): return Decimal('0.5')", 0.5),
    'Decimal int': ('from decimal import Decimal\ndef f(): return Decimal(3)', 3),
    'str enum': ("from enum import Enum\nclass C(str, Enum):\n    RED = 'red'\ndef f(): return C.RED", 'red'),
    'int enum': ('from enum import IntEnum\nclass C(IntEnum):\n    RED = 1\ndef f(): return [C.RED]', [1]),
    'defaultdict': ("from collections import defaultdict\ndef f():\n    d = defaultdict(list)\n    d['a'].append((1, 2))\n    return d", {'a': [[1, 2]]}),
    'list subclass': ('class L(list): pass\ndef f(): return L([1, L([2])])', [1, [2]]),
    'OrderedDict': ('from collections import OrderedDict\ndef f(): return OrderedDict(b=1, a=2)', {'a': 2, 'b': 1}),
}
# fmt: on

LIAR = """
class Liar{base}:
    def yes(self, *arguments): return True
    def zero(self, *arguments): return 0
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = yes
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __abs__ = __round__ = zero
    startswith = endswith = isdigit = isupper = issubset = issuperset = isdisjoint = yes
    count = index = find = get = zero
    def __len__(self): return 3
def f():
    return Liar()
"""


def plain(code: str, given: str, folder: Path) -> tuple[int, str]:
    """Exit status and output of ``python main.py``."""
    (folder / "main.py").write_text(code)
    run = subprocess.run(
        [sys.executable, "-X", "utf8", "main.py"],
        cwd=folder, input=given.encode(), capture_output=True,
    )  # fmt: skip
    return run.returncode, run.stdout.decode()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_prints_what_is_right_is_right(name: str) -> None:
    code, given, printed = PROGRAMS[name]
    verdict = run_tests(code, [{"input": given, "output": printed}])
    assert verdict.passed, verdict.reason
    assert not run_tests(code, [{"input": given, "output": f"{printed}!"}]).passed


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_passes_its_tests_is_right(name: str) -> None:
    code, tests = FUNCTIONS[name]
    verdict = run_tests(code, tests)
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize("name", VALUES)
def test_a_function_that_returns_the_value_is_right(name: str) -> None:
    code, value = VALUES[name]
    verdict = run_tests(code, [{"input": [], "output": value}], entry_point="f")
    assert verdict.passed, verdict.reason
    assert not run_tests(code, [{"input": [], "output": [value]}], entry_point="f").passed


def test_the_cases_are_right_in_plain_python(tmp_path: Path) -> None:
    for code, given, printed in list(PROGRAMS.values())[::4]:
        status, output = plain(code, given, tmp_path)
        assert (status, output.rstrip()) == (0, printed)
    for code, tests in FUNCTIONS.values():
        source = compile(f"{code}\n{tests}", "main.py", "exec", dont_inherit=True)
        exec(source, {"__name__": "builtins"})


@pytest.mark.parametrize("leave", ["exit(1)", "quit('no')", "import sys\nsys.exit(2)"])
def test_a_program_that_ends_as_failed_is_wrong(leave: str) -> None:
    assert not run_tests(f"print(5)\n{leave}", [{"input": "", "output": "5"}]).passed


@pytest.mark.parametrize("base", ["", "(str)", "(list)", "(tuple)", "(set)"])
@pytest.mark.parametrize(
    "claim",
    [
        "abs(f() - 0.5) < 1e-6",
        "f() - 5 == 0",
        "f() < 5",
        "5 <= f()",
        "5 in f()",
        "f() == 42",
        "f() in (42,)",
        "f().startswith('a')",
        "f().isdigit()",
        "f().isupper() == True",
        "f().issuperset({1})",
        "f().count(1) == len([1])",
        "not f() != 42",
        "set(f()) == {1}",
        "isinstance(f(), int)",
        "__import__('math').isclose(f(), 0.5)",
    ],
)
def test_an_object_that_agrees_with_everything_wins_nothing(base: str, claim: str) -> None:
    assert not run_tests(LIAR.format(base=base), f"assert {claim}").passed


def test_a_dataclass_is_compared_by_its_fields_whatever_it_says() -> None:
    code = "from dataclasses import dataclass\n@dataclass\nclass D:\n    x: int\n{}def f(): return D(1)"
    lie = "    def __eq__(self, other): return True\n    __hash__ = None\n"
    for text in (code.format(""), code.format(lie)):
        assert run_tests(text, "assert f() == D(1)").passed
        assert not run_tests(text, "assert f() == D(2)").passed
        assert not run_tests(text, "assert f() == 42").passed


def test_a_result_can_not_be_had_by_emptying_what_it_is_compared_with() -> None:
    code = "def f(xs):\n    xs.clear()\n    return []"
    assert not run_tests(code, "xs = [3, 1]\nassert f(xs) == sorted(xs)").passed


def test_no_expected_value_is_told_to_the_program() -> None:
    told = (
        "seen = []\n"
        "class T:\n"
        "    def __getattribute__(self, name): seen.append(name); return object.__getattribute__(self, name)\n"
        "    def __getitem__(self, key): seen.append(key); raise IndexError\n"
        "    def __contains__(self, item): seen.append(item); return False\n"
        "def f(): return T()\n"
        "def told(): return [x for x in seen if x == 42]\n"
    )  # fmt: skip
    tests = (
        "for claim in (lambda x: x == 42, lambda x: 42 == x, lambda x: 42 in x, lambda x: x in [42],\n"
        "              lambda x: x - 42, lambda x: x < 42, lambda x: 42 - x):\n"
        "    try:\n        claim(f())\n    except TypeError:\n        pass\n"
        "assert told() == []"
    )
    verdict = run_tests(told, tests)
    assert verdict.passed, verdict.reason
