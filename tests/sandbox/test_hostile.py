"""What a program may try instead of solving its task, and that nothing comes of it."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from reasonkit.sandbox import Verdict, run_tests

TESTS = [{"input": [6, 7], "output": 42}, {"input": [2, 2], "output": 4}]


def judged(code: str, timeout: float = 5.0, memory: int = 512 << 20) -> Verdict:
    """The verdict on a program that has to define answer(a, b)."""
    return run_tests(code, TESTS, entry_point="answer", timeout=timeout, memory=memory)


def honest(attack: str) -> str:
    """An attack that reports whether it failed: a right answer is given only if it did."""
    return (
        "def attack():\n"
        + "".join(f"    {line}\n" for line in attack.strip().splitlines())
        + "def answer(a, b):\n"
        "    try:\n"
        "        done = attack()\n"
        "    except (OSError, ImportError, RuntimeError, MemoryError):\n"
        "        return a * b\n"
        "    return f'succeeded: {done!r}'\n"
    )


def is_refused(attack: str) -> bool:
    verdict = judged(honest(attack))
    assert verdict.passed, verdict.reason
    return True


@pytest.mark.parametrize(
    "leave", ["import sys; sys.exit(0)", "import os; os._exit(0)", "raise SystemExit(0)"]
)
def test_an_exit_with_code_zero_is_no_pass(leave: str) -> None:
    assert not judged(leave).passed
    assert not judged(f"def answer(a, b):\n    {leave}").passed
    assert not run_tests(leave, "assert answer(6, 7) == 42").passed
    assert not run_tests(f"def answer(a, b):\n    {leave}", "assert answer(6, 7) == 42").passed
    assert not run_tests(leave, [{"input": "", "output": "42"}]).passed


@pytest.mark.parametrize(
    "text",
    [
        "passed\n",
        '{"passed": true}\n',
        '\x00\x00\x00\x0e{"value": true}',
        '\x00\x00\x00\x19{"verdict":null,"calls":9}',
        "\x00\x00\x00\x08" + '"loaded"',
        "\xff" * 64,
    ],
)
def test_markers_written_to_every_descriptor_are_no_pass(text: str) -> None:
    write = (
        "import os\n"
        f"text = {text!r}.encode('latin-1')\n"
        "for fd in range(256):\n"
        "    try:\n"
        "        os.write(fd, text)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    assert not judged(write + "os._exit(0)").passed
    assert not judged(write).passed
    assert not run_tests(write + "os._exit(0)", "assert answer(6, 7) == 42").passed
    assert not run_tests(write, "assert answer(6, 7) == 42").passed
    assert not run_tests(write, [{"input": "", "output": "42"}]).passed


@pytest.mark.parametrize(
    "code",
    [
        "builtins.len = lambda x: 0",
        "builtins.type = lambda x: int",
        "builtins.all = builtins.any = builtins.isinstance = lambda *a: True",
        "builtins.print = builtins.repr = lambda *a: '42'",
        "json.dumps = lambda *a, **k: '{\"passed\": true}'",
        "json.loads = lambda *a, **k: ['answer', [42, 1], {'dict': []}]",
        "builtins.AssertionError = type('Quiet', (Exception,), {})",
        "sys.modules['inside.values'].encode = lambda *a: True",
        "sys.modules['inside.values'].matches = lambda *a: True",
    ],
)
def test_replaced_builtins_are_no_pass(code: str) -> None:
    code = f"import builtins, json, sys\n{code}\ndef answer(a, b):\n    return 43\n"
    assert not judged(code).passed
    assert not run_tests(code, "assert answer(6, 7) == 42\nassert len([1]) == 1").passed


EQUAL = """
class Equal{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 42
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __repr__(self): return "42"
    def __getattr__(self, name): return self
    def __call__(self, *a): return self
    def __index__(self): return 42
def answer(a, b):
    return {value}
"""


@pytest.mark.parametrize("base", ["", "(int)", "(str)", "(float)", "(list)", "(dict)", "(tuple)"])
@pytest.mark.parametrize("value", ["Equal()", "[Equal()]", "{1: Equal()}"])
def test_objects_equal_to_everything_are_no_pass(base: str, value: str) -> None:
    code = EQUAL.format(base=base, value=value)
    assert "type Equal" in run_tests(code, "assert answer(6, 7) == 42").reason
    assert not judged(code).passed


@pytest.mark.parametrize(
    "value",
    [
        "True",
        "42.0",
        "'42'",
        "[42]",
        "float('nan')",
        "10 ** 100_000",
        "1 << 1_000_000",
        "(lambda x: x.append(x) or x)([])",
        "(lambda x: x.update(x=x) or x)({})",
        "__import__('functools').reduce(lambda x, _: [x], range(100_000), 42)",
        "'\\ud800'",
        "iter([42])",
        "type('int', (int,), {'__eq__': lambda *_: True, '__hash__': None})(42)",
        "b'42'",
        "{42}",
    ],
)
def test_strange_values_are_no_pass_and_no_crash(value: str) -> None:
    code = f"def answer(a, b):\n    return {value}\n"
    verdict = judged(code)
    assert not verdict.passed
    verdict.reason.encode()
    if value != "42.0":
        assert not run_tests(code, "assert answer(6, 7) == 42").passed


def test_a_large_number_of_colliding_keys_does_not_stop_the_judge() -> None:
    code = (
        "import os, json, struct\n"
        "def answer(a, b):\n"
        "    body = json.dumps({'value': {'set': [(2**61 - 1) * k for k in range(150_000)]}})\n"
        "    os.write(3, struct.pack('>I', len(body)))\n"
        "    data = body.encode()\n"
        "    while data:\n"
        "        data = data[os.write(3, data):]\n"
    )
    start = time.monotonic()
    assert not judged(code).passed
    assert not run_tests(code, "assert answer(6, 7) == 42", timeout=2).passed
    assert time.monotonic() - start < 8


@pytest.mark.parametrize(
    "body",
    [
        "b'[' * 100_000",
        "b'{\"value\": ' + b'[' * 900 + b']' * 900 + b'}'",
        "b'{\"value\": 1' + b'0' * 5000 + b'}'",
        "b'{\"value\": {\"int\": \"0x' + b'f' * 3_000_000 + b'\"}}'",
        'b\'{"value": {"int": []}}\'',
        'b\'{"value": {"dict": [[[], 1], [1]]}}\'',
        'b\'{"value": {"tuple": 42, "list": 42}}\'',
        'b\'{"value": {"tuple": {}}}\'',
        'b\'{"value": 42, "value": 43}\'',
        'b\'{"value": 42, "error": null}\'',
        "b'{\"error\": 42}'",
        "b'\\xff\\xfe'",
        "b''",
    ],
)
def test_garbage_on_the_private_pipe_is_no_pass_and_no_crash(body: str) -> None:
    code = (
        "import os, struct\n"
        "def answer(a, b):\n"
        f"    data = {body}\n"
        "    data = struct.pack('>I', len(data)) + data\n"
        "    while data:\n"
        "        data = data[os.write(3, data):]\n"
    )
    assert not judged(code).passed
    assert not run_tests(code, "assert answer(6, 7) == 42").passed


def test_an_announced_answer_that_never_comes_ends_at_the_limit() -> None:
    code = "import os, time\ndef answer(a, b):\n    os.write(3, b'\\0\\1\\0\\0x')\n"
    code += "    time.sleep(60)\n"
    assert "longer" in judged(code, timeout=0.5).reason
    code = code.replace("\\0\\1\\0\\0x", "\\xff\\xff\\xff\\xff")
    assert "too large" in judged(code, timeout=2).reason


SECRET = 987_654_321


@pytest.mark.parametrize(
    "search",
    [
        # frames
        "frame = sys._getframe()\nwhile frame:\n    look(frame.f_globals, frame.f_locals)\n"
        "    frame = frame.f_back",
        # every object that the collector knows
        "gc.collect()\nfor found in gc.get_objects():\n    look(found)",
        # the memory, arguments and environment of whatever process is visible
        "for path in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline')"
        " + glob.glob('/proc/*/mem') + ['/proc/self/mem', '/proc/self/environ']:\n"
        "    look(read(path))",
        # files
        "for path in glob.glob('/tmp/**', recursive=True) + glob.glob('/dev/shm/**')"
        " + glob.glob('./**') + glob.glob('/root/*') + glob.glob('/home/*/*'):\n"
        "    look(read(path))",
    ],
)
def test_expected_values_are_not_to_be_found(search: str) -> None:
    code = (
        "import gc, glob, sys\n"
        "seen = []\n"
        "def read(path):\n"
        "    try:\n"
        "        with open(path, 'rb') as file:\n"
        "            return file.read(1 << 20)\n"
        "    except OSError:\n"
        "        return b''\n"
        "def look(*found):\n"
        "    try:\n"
        "        text = repr(found)\n"
        "    except Exception:\n"
        "        return\n"
        f"    if '{SECRET // 3}' + '{SECRET % 3}' in text.replace('_', ''):\n"
        "        seen.append(text)\n"
        "def answer(a):\n"
        + "".join(f"    {line}\n" for line in search.splitlines())
        + "    return len(seen)\n"
    )
    secret = int(f"{SECRET // 3}{SECRET % 3}")
    os.environ["REASONKIT_SECRET"] = str(secret)
    try:
        tests = [{"input": [1], "output": 0}, {"input": [2], "output": 0}]
        hidden = [*tests, {"input": [3], "output": secret}]
        verdict = run_tests(code, hidden, entry_point="answer")
        assert verdict.reason == "test 3: returned 0"
        verdict = run_tests(code, f"assert answer(1) == 0\nassert answer(2) != {secret}")
        assert verdict.passed, verdict.reason
    finally:
        del os.environ["REASONKIT_SECRET"]


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "def answer(a, b):\n    while True: pass",
        "import time\ndef answer(a, b):\n    time.sleep(60)",
        "import threading\nthreading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()\n"
        "import time; time.sleep(60)",
        "def answer(a, b):\n    return 10 ** 10 ** 10",
        "import re\ndef answer(a, b):\n    re.match('(a+)+$', 'a' * 64 + 'b')",
        "import signal\nfor number in range(1, 65):\n    try:\n"
        "        signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError):\n"
        "        pass\nwhile True: pass",
    ],
)
def test_what_never_ends_is_ended(code: str) -> None:
    start = time.monotonic()
    assert "longer" in judged(code, timeout=0.3).reason
    assert "longer" in run_tests(code, "assert answer(6, 7) == 42", timeout=0.3).reason
    assert time.monotonic() - start < 4


def test_a_stdin_program_that_never_ends_is_ended() -> None:
    tests = [{"input": "", "output": "42"}] * 3
    for code in (
        "print(42, flush=True)\nwhile True: pass",
        "import os, time\nprint(42, flush=True)\nos.closerange(0, 3)\ntime.sleep(60)",
        "import threading, time\nprint(42)\nthreading.Thread(target=time.sleep, args=[60]).start()",
    ):
        start = time.monotonic()
        assert "longer" in run_tests(code, tests, timeout=0.3).reason
        assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "grab",
    [
        "x = bytearray(4 << 30)",
        "x = []\nwhile True:\n    x.append(bytearray(1 << 20))",
        "import mmap\nx = [mmap.mmap(-1, 1 << 30) for _ in range(4)]",
        "def f(): f()\nimport sys\nsys.setrecursionlimit(1 << 30)\nf()",
    ],
)
def test_four_gigabytes_of_memory_are_refused(grab: str) -> None:
    assert not judged(f"{grab}\ndef answer(a, b):\n    return a * b", timeout=1).passed
    body = grab.replace("\n", "\n    ")
    code = f"def answer(a, b):\n    {body}\n    return a * b"
    assert not judged(code, timeout=1).passed


def test_a_flood_of_output_is_dropped_or_ends_the_program() -> None:
    flood = "import sys\nfor _ in range(300):\n    sys.stdout.write('x' * (1 << 20))\n"
    flood += "    sys.stderr.write('x' * (1 << 20))\n"
    assert judged(flood + "def answer(a, b):\n    return a * b").passed
    assert "far more" in run_tests(flood, [{"input": "", "output": "x"}]).reason
    endless = "import os\nwhile True: os.write(2, b'x' * (1 << 20))"
    assert "longer" in run_tests(endless, [{"input": "", "output": ""}], timeout=0.3).reason


@pytest.mark.parametrize(
    "fill",
    [
        # one large file, many files, files that are deleted but open
        "with open('x', 'wb') as file:\n    for _ in range(4096):\n"
        "        file.write(bytes(1 << 20))",
        "for i in range(4096):\n    with open(f'x{i}', 'wb') as file:\n"
        "        file.write(bytes(1 << 20))",
        "files = []\nfor i in range(4096):\n    files.append(open(f'x{i}', 'wb', 0))\n"
        "    os.unlink(f'x{i}')\n    files[-1].write(bytes(32 << 20))",
        "for i in range(1_000_000):\n    os.close(os.open(f'x{i}', os.O_CREAT))",
    ],
)
def test_the_disk_can_not_be_filled(fill: str) -> None:
    code = "import os, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + honest(fill)
    before = psutil.disk_usage(tempfile.gettempdir()).used
    lowest = before
    done = threading.Event()

    def watch() -> None:
        nonlocal lowest
        while not done.wait(0.02):
            lowest = max(lowest, psutil.disk_usage(tempfile.gettempdir()).used)

    watcher = threading.Thread(target=watch)
    watcher.start()
    verdict = judged(code)
    done.set()
    watcher.join()
    assert "succeeded" not in verdict.reason
    assert lowest - before < 1.5 * 2**30


def test_forks_are_refused_or_die_with_the_program() -> None:
    assert is_refused("import os\nwhile True:\n    os.fork()")
    assert is_refused("import os\nos.posix_spawn('/bin/true', ['true'], {})")
    assert is_refused("import subprocess, sys\nreturn subprocess.run([sys.executable, '-V'])")
    assert is_refused("import multiprocessing as m\np = m.Process(target=int)\np.start()")
    assert is_refused("import os\nos.execv('/bin/true', ['true'])")


def test_a_daemon_does_not_survive() -> None:
    code = (
        "import os, time\n"
        "try:\n"
        "    os.setsid()\n"
        "except OSError:\n"
        "    pass\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        if os.fork(): os._exit(0)\n"
        "    except OSError:\n"
        "        pass\n"
        "time.sleep(61)\n"
    )
    before = processes()
    assert not judged(code, timeout=0.3).passed
    assert processes() <= before


@pytest.mark.parametrize("kind", ["function", "source", "stdin"])
def test_no_process_and_no_file_remains(kind: str) -> None:
    code = (
        "import os, threading, time\n"
        "for i in range(20):\n    open(f'file{i}', 'w').write('x')\n"
        "path = '.'\n"
        "for i in range(50):\n"
        "    os.mkdir('d')\n    os.chdir('d')\n"
        "    open('f', 'w').close()\n    os.symlink('/', 'l')\n"
        "os.chmod('.', 0)\n"
        "threading.Thread(target=time.sleep, args=[60], daemon=True).start()\n"
        "print(42)\n"
        "def answer(a, b):\n    return a * b\n"
    )
    judged("")
    run_tests("", "assert answer(1)")
    folders, before, descriptors = temporary(), processes(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        if kind == "function":
            verdict = judged(code)
        elif kind == "source":
            verdict = run_tests(code, "assert answer(6, 7) == 42")
        else:
            verdict = run_tests(code, [{"input": "", "output": "42"}] * 2)
        assert verdict.passed, verdict.reason
    assert processes() <= before
    assert temporary() <= folders
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def processes() -> set[int]:
    """All living processes below this one."""
    return {p.pid for p in psutil.Process().children(recursive=True)}


def temporary() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("reasonkit-")}


def test_nothing_is_written_outside_of_the_scratch_folder(tmp_path: Path) -> None:
    home = Path.home() / "reasonkit-was-here"
    for place in (tmp_path / "x", home, Path("/dev/shm/x"), Path("/var/tmp/x"), Path("/etc/x")):
        assert is_refused(f"open({str(place)!r}, 'w').write('x')")
        assert not place.exists()
    assert is_refused("import os\nos.symlink('/', 'root')\nopen('root/etc/x', 'w')")
    assert is_refused("import os\nos.mkdir('/made')")
    assert is_refused("import os\nos.rename(os.__file__, os.__file__ + 'x')")
    assert is_refused("import os\nos.unlink(os.__file__)")
    assert is_refused("import os\nopen(os.__file__, 'a')")


def test_files_of_the_user_can_not_be_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o666)
    assert is_refused(f"return open({str(secret)!r}).read()")
    assert is_refused(f"import os\nreturn os.listdir({str(tmp_path)!r})")
    assert is_refused(f"import os\nreturn os.listdir({str(Path.home())!r}).index('.bashrc')")
    assert is_refused(f"return open({str(Path(__file__))!r}).read()")
    assert is_refused("return open('/etc/passwd').read()")
    assert is_refused("return open('/proc/self/environ').read()")
    assert is_refused("import os\nreturn os.chroot('.')")


def test_the_environment_and_the_home_are_not_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONKIT_TOKEN", "secret")
    code = (
        "import os, pathlib, ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.getenv.restype = ctypes.c_char_p\n"
        "def answer(a):\n"
        "    assert libc.getenv(b'REASONKIT_TOKEN') is None\n"
        "    assert os.path.samefile(pathlib.Path.home(), os.getcwd())\n"
        "    return sorted(os.environ)\n"
    )
    verdict = run_tests(code, [{"input": [0], "output": ["HOME", "TMPDIR"]}], entry_point="answer")
    assert verdict.passed, verdict.reason


def test_sockets_are_refused() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.2)
        address = server.getsockname()
        assert is_refused(f"import socket\nreturn socket.create_connection({address}, 1)")
        with pytest.raises(TimeoutError):
            server.accept()
    for family, kind in (("AF_UNIX", "STREAM"), ("AF_INET", "DGRAM"), ("AF_INET6", "STREAM")):
        assert is_refused(f"import socket as s\nreturn s.socket(s.{family}, s.SOCK_{kind})")
    assert is_refused("import socket as s\nreturn s.socketpair(s.AF_UNIX, s.SOCK_DGRAM)")
    assert is_refused("import urllib.request as u\nreturn u.urlopen('http://127.0.0.1/')")


@pytest.mark.parametrize("call", ["os.kill(os.getppid(), 9)", "os.kill(-1, 9)", "os.killpg(0, 9)"])
def test_other_processes_can_not_be_signalled(call: str) -> None:
    code = f"import os\ntry:\n    {call}\nexcept OSError:\n    pass\n"
    zygotes = processes()
    for _ in range(3):
        # Signalling itself to death is a failure, everything else is refused.
        verdict = judged(f"{code}def answer(a, b):\n    return a * b")
        assert verdict.passed or "signal 9" in verdict.reason
    assert processes() == zygotes
    assert is_refused(f"import os\nos.kill({os.getpid()}, 15)")
    assert is_refused(f"import os, signal\nos.pidfd_open({os.getpid()})")


def call_of(number: int, *arguments: int) -> str:
    listed = "".join(f", {argument}" for argument in arguments)
    return (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"if libc.syscall({number}{listed}) < 0:\n"
        "    raise OSError(ctypes.get_errno(), 'refused')"
    )


@pytest.mark.parametrize("name", ["ptrace", "unshare", "mount", "io_uring_setup", "bpf", "keyctl"])
def test_dangerous_system_calls_are_refused(name: str) -> None:
    import platform

    from reasonkit.sandbox.inside.seccomp import DENIED

    number = DENIED[name][0 if platform.machine() == "x86_64" else 1]
    assert number is not None
    assert is_refused(call_of(number, 0, 0, 0))
    assert is_refused(call_of(number | 0x40000000, 0, 0, 0))
    assert is_refused(call_of(1000))


def test_death_with_the_launcher_can_not_be_called_off() -> None:
    assert is_refused("import ctypes\nif ctypes.CDLL(None).prctl(1, 0): raise OSError")
