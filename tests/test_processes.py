"""Training in two processes: one run, the same steps, and nothing said or written twice."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from reasonkit import processes, resuming
from reasonkit.config import (
    Distillation,
    DistillConfig,
    EngineName,
    GrpoConfig,
    Invocation,
    Shard,
    SharedConfig,
    VerifierConfig,
)
from reasonkit.errors import RefusedError
from reasonkit.models.resolving import PACKAGED
from reasonkit.plan import machine, verifier

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

STEPS = 4
SMALL = (
    "--steps", STEPS, "--group-size", 4, "--prompts-per-step", 4, "--max-completion-tokens", 24,
    "--test-size", 4, "--validation-size", 3, "--validate-every", 2, "--save-every", 2,
    "--no-baselines", "--device", "cpu",
)  # fmt: skip
STARTED = ("grpo", "--run-dir", "run", *SMALL)
RESUMED = ("grpo", "--run-dir", "run", "--resume")


@pytest.fixture
def two(launch: Callable, tmp_path: Path) -> Callable[..., list[Any]]:
    """Starts a command twice, with the environment that a launcher gives to its two processes."""

    def start(*argv: object, folder: Path = tmp_path) -> list[Any]:
        return [
            launch(*argv, cwd=folder, RANK=rank, LOCAL_RANK=rank, **environment)
            for environment in [meeting(2)]
            for rank in "01"
        ]

    return start


def meeting(size: int) -> dict[str, str]:
    """What a launcher says to all of so many processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def said(processes: list[Any]) -> tuple[list[int], str]:
    """Exit codes, and all that was said."""
    ended = [process.ended() for process in processes]
    return [e.code for e in ended], "".join(e.out + e.err for e in ended)


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def whole(two: Callable, once: Callable) -> Path:
    """A run of two processes that was left alone."""

    def fill(folder: Path) -> None:
        codes, heard = said(two(*STARTED, folder=folder))
        assert codes == [0, 0], heard
        assert heard.count("run: run") == heard.count("after: ") == 1
        assert [path.name for path in folder.iterdir()] == ["run"]

    return Path(once("two processes", fill)) / "run"


def test_two_processes_do_together_what_one_does(
    reasonkit: Callable, whole: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    alone = tmp_path / "alone"
    assert reasonkit("grpo", "--run-dir", alone, *SMALL).code == 0
    both, one = (rows(run / "completions.jsonl") for run in (whole, alone))
    # Those of the first step are drawn from the very same weights.
    assert both[:16] == one[:16]
    assert [row["step"] for row in both] == [row["step"] for row in one]
    both, one = (rows(run / "metrics.jsonl") for run in (whole, alone))
    assert [row["step"] for row in both] == list(range(STEPS + 1))
    for name in ("loss", "grad_norm", "entropy", "reward", "right", "completion_tokens"):
        assert both[1][name] == pytest.approx(one[1][name], rel=1e-4), name
    assert both[1]["grad_norm"] > 0
    assert both[1]["tokens_sampled"] == one[1]["tokens_sampled"]
    assert both[1]["tokens_trained"] == one[1]["tokens_trained"]
    before = [json.loads((run / "evaluations/before.json").read_text()) for run in (whole, alone)]
    assert before[0]["verdicts"] == before[1]["verdicts"]
    assert json.loads((whole / "run.json").read_text())["processes"] == 2
    assert AutoModelForCausalLM.from_pretrained(whole / "final").num_parameters() > 1e6


def signalled(processes: list[Any], number: int, ranks: str) -> str:
    """Signals some of a run's processes after a step, and returns what was said."""
    run = Path("run")
    processes[0].until(lambda: len(rows(run / "metrics.jsonl")) >= 2)
    for rank in ranks:
        os.kill(processes[int(rank)].pid, number)
    _, heard = said(processes)
    assert not (run / "final").exists(), heard
    return heard


def assert_goes_on_to(whole: Path, processes: list[Any]) -> None:
    codes, heard = said(processes)
    assert codes == [0, 0], heard
    assert_same(whole)


def assert_same(whole: Path) -> None:
    for name in ("final/model.safetensors", "completions.jsonl"):
        assert (Path("run") / name).read_bytes() == (whole / name).read_bytes()


def test_killed_and_resumed_they_come_to_the_same_bytes(whole: Path, two: Callable) -> None:
    signalled(two(*STARTED), signal.SIGKILL, "01")
    assert_goes_on_to(whole, two(*RESUMED))


@pytest.mark.slow
def test_all_stop_and_save_when_one_is_asked_to(whole: Path, two: Callable) -> None:
    heard = signalled(two(*STARTED), signal.SIGTERM, "1")
    assert "error:" not in heard
    assert heard.count("stopped; go on with") == 1
    done = rows(Path("run/metrics.jsonl"))[-1]["step"]
    assert Path(f"run/checkpoints/checkpoint-{done:g}").exists()
    assert json.loads(Path("run/run.json").read_text())["status"] == "interrupted"
    assert_goes_on_to(whole, two(*RESUMED))


@pytest.mark.slow
def test_the_death_of_one_is_a_line_of_another(whole: Path, two: Callable) -> None:
    heard = signalled(two(*STARTED), signal.SIGKILL, "1")
    assert heard.count("error: another process was killed") == 1
    assert "RuntimeError" not in heard
    assert_goes_on_to(whole, two(*RESUMED))


QUICK = """
import sys
from reasonkit import cli, hanging
hanging.BEAT = 0.25
sys.argv = ["reasonkit", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.parametrize("hung", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_one_that_hangs_is_named_and_ends_with_the_other(
    whole: Path, two: Callable, hung: int
) -> None:
    both = two("-c", QUICK, *STARTED)
    heard = signalled(both, signal.SIGSTOP, str(hung))
    assert heard.count("error:") == 1
    assert f"error: process {hung} of 2 (pid {both[hung].pid} on " in heard
    assert not any(psutil.pid_exists(process.pid) for process in both)
    assert_goes_on_to(whole, two(*RESUMED))


WAITING = """
import sys, time, torch
from reasonkit import cli, hanging, processes
hanging.BEAT, hanging.STUCK = 0.2, 10
def run(**_):
    if processes.is_main():
        if sys.argv[1] == "busy":
            time.sleep(3.5)
        processes.gathered(1)
    elif sys.argv[1] == "busy":
        processes.gathered(1)
    else:
        processes.handed_out(torch.zeros(1), "cpu")
cli.app = run
cli.main()
"""


@pytest.mark.parametrize("main", ["busy", "elsewhere"])
def test_those_that_wait_for_each_other_end_and_say_where(two: Callable, main: str) -> None:
    codes, heard = said(two("-c", WAITING, main))
    if main == "busy":
        assert (codes, heard) == ([0, 0], "")
    else:
        assert codes == [1, 1]
        assert heard.count("error:") == 1
        assert re.search(r": all 2 .* for 2 s: 0 at reasonkit.processes:\d+; 1 at .*s:\d+;", heard)


def test_a_refusal_is_one_line(two: Callable, tmp_path: Path) -> None:
    codes, heard = said(two(*STARTED, "--prompts-per-step", 3))
    assert codes == [2, 2]
    assert heard.count("error:") == 1
    assert "try 4" in heard
    assert not list(tmp_path.iterdir())


def test_what_fails_in_one_process_ends_all_with_one_line(two: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\n"
        "def broken(group):\n"
        "    assert os.environ['RANK'] == '0', 'no idea'\n"
        "    return [0.0] * len(group.completions)\n"
    )
    argv = ("--reward", "mine.py:broken=1", "--reward", "answer=1")
    _, heard = said(two(*STARTED, *argv, "--steps", 20))
    assert heard.count("error:") == 1
    assert "no idea" in heard
    assert "RuntimeError" not in heard
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "failed"


def test_a_run_goes_on_in_another_number_of_processes(
    reasonkit: Callable, whole: Path, stopped: Callable
) -> None:
    run = stopped(whole, "final", f"checkpoints/checkpoint-{STEPS}", "evaluations/after.json")
    ended = reasonkit("grpo", "--run-dir", run, "--resume")
    assert ended.code == 0, ended.err
    assert "goes on in 1 process(es), not 2" in ended.err
    pairs = zip(rows(run / "metrics.jsonl"), rows(whole / "metrics.jsonl"), strict=True)
    for one, both in list(pairs)[1:]:
        assert one["loss"] == pytest.approx(both["loss"], rel=1e-5)
        assert one["grad_norm"] == pytest.approx(both["grad_norm"], rel=1e-5)


ASKED = ("--test-size", 4, "--validation-size", 3, "--device", "cpu", "--seed", 1)
TRACES = ("--questions", 40, "--samples", 1, "--epochs", 2, "--batch-tokens", 600,
          "--micro-batch-tokens", 300, "--max-completion-tokens", 64)  # fmt: skip
GRADED = ("--objective", "on-policy", "--model", "abacus", "--questions", 20, "--epochs", 2,
          "--batch-tokens", 256, "--micro-batch-tokens", 64,
          "--max-completion-tokens", 32)  # fmt: skip
ROLLOUTS = ("--steps", 10, "--group-size", 4, "--prompts-per-step", 4, "--micro-batch", 4,
            "--max-completion-tokens", 24)  # fmt: skip
SOLUTIONS = ("--questions", 40, "--samples", 2, "--epochs", 1, "--batch", 8, "--micro-batch", 2,
             "--max-completion-tokens", 32)  # fmt: skip
SHARED = {
    "grpo": ("grpo", *ASKED, "--no-baselines", *ROLLOUTS),
    "reference": ("grpo", *ASKED, "--no-baselines", *ROLLOUTS, "--kl-coefficient", 0.1),
    "traces": ("distill", *ASKED, "--no-baselines", *TRACES),
    "on-policy": ("distill", *ASKED, "--no-baselines", *GRADED),
    "verifier": ("verifier", *ASKED, *SOLUTIONS),
}
"""Ten updates or so of each."""

OFTEN = {
    *(("traces", "fsdp", ("--lora",)), ("verifier", "none", ())),
    *(("grpo", "zero2", ("--offload",)), ("traces", "zero3", ("--lora",))),
}
ZEROS = ("zero2", "zero3")


def marks(*case: object) -> list[pytest.MarkDecorator]:
    own = [pytest.mark.deepspeed] if case[1] in ZEROS else []
    return own if case in OFTEN else [*own, pytest.mark.slow]


CASES = [
    pytest.param(name, shard, more, marks=marks(name, shard, more))
    for name in SHARED
    for shard in ("none", "fsdp", *ZEROS)
    for more in ((), ("--lora",), *([("--offload",)] if shard != "none" else []))
    if not (name == "verifier" and "--lora" in more)
    if not (name in ("verifier", "on-policy") and shard == "zero3")
]


@pytest.mark.parametrize(("name", "shard", "more"), CASES)
def test_what_is_shared_out_comes_to_the_same(
    made: Callable, two: Callable, name: str, shard: str, more: tuple[str, ...]
) -> None:
    codes, heard = said(two(*SHARED[name], *more, "--shard", shard, "--run-dir", "run"))
    assert codes == [0, 0], heard
    alone = made(*SHARED[name], *(flag for flag in more if flag != "--offload"))
    pairs = list(zip(rows(Path("run/metrics.jsonl")), rows(alone / "metrics.jsonl"), strict=True))
    for both, one in pairs:
        for number in one.keys() & {"loss", "grad_norm", "verdict_loss", "lm_loss"}:
            # A loss of GRPO is the difference of sums that are as large as their terms.
            assert both[number] == pytest.approx(one[number], rel=2e-5, abs=1e-6), number
        assert both["tokens_trained"] == one["tokens_trained"]
    assert len(pairs) > 4
    parts, whole = (load_file(run / "final/model.safetensors") for run in (Path("run"), alone))
    for weight, expected in whole.items():
        assert (parts[weight] - expected).norm() <= 1e-5 * expected.norm(), weight


# What is named after GPUs starts processes on CPUs too; --cpu would need MPI.
ACCELERATE = ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
              "--main_process_port", "0")  # fmt: skip
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def launched(*argv: object) -> subprocess.CompletedProcess[str]:
    """A command that a launcher of others has started."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, argv)], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [ACCELERATE, TORCHRUN])
def test_a_launcher_starts_them(whole: Path, launcher: tuple[str, ...]) -> None:
    ended = launched(*launcher, "-m", "reasonkit", *STARTED)
    assert ended.returncode == 0, ended.stderr
    assert_same(whole)


def workers(agent: Any) -> list[int]:
    return [child.pid for child in psutil.Process(agent.pid).children()]


def test_one_that_is_killed_ends_all_and_they_go_on_to_the_same_bytes(
    whole: Path, launch: Callable
) -> None:
    agent = launch(*STARTED, "--processes", 2)
    agent.until(lambda: len(rows(Path("run/metrics.jsonl"))) >= 2)
    started = workers(agent)
    os.kill(started[1], signal.SIGKILL)
    ended = agent.ended()
    assert ended.code == 1, ended.err
    assert ended.err.count("error:") == 1
    assert "another process was killed" in ended.err
    assert not any(map(psutil.pid_exists, started))
    ended = launch(*RESUMED, "--processes", 2).ended()
    assert ended.code == 0, ended.err
    assert_same(whole)


@pytest.mark.slow
def test_machines_are_told_of_each_other_and_preempted_together(
    whole: Path, launch: Callable
) -> None:
    def both(*argv: object) -> list[Any]:
        there = meeting(2)
        told = {f"PET_{name}": there[name] for name in ("MASTER_ADDR", "MASTER_PORT")}
        return [launch(*argv, **told, PET_NNODES="2", PET_NODE_RANK=node) for node in "01"]

    heard = signalled(both(*STARTED), signal.SIGUSR1, "1")
    assert heard.count("stopped; go on with") == 1
    assert_goes_on_to(whole, both(*RESUMED))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_all_end_with_what_has_started_them(launch: Callable, number: int, code: int) -> None:
    agent = launch(*STARTED, "--steps", 1000, "--processes", 2)
    agent.until(lambda: len(rows(Path("run/metrics.jsonl"))) >= 2)
    started = workers(agent)
    assert agent.signalled(number).code == code
    for _ in range(600):
        if not any(map(psutil.pid_exists, started)):
            break
        time.sleep(0.1)
    assert not any(map(psutil.pid_exists, started))
    assert json.loads(Path("run/run.json").read_text())["status"] == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shard", "size"),
    [
        ("fsdp", 2),
        ("fsdp", 3),
        *(pytest.param(zero, 2, marks=pytest.mark.deepspeed) for zero in ZEROS),
    ],
)
def test_parts_of_a_model_are_taken_up(
    made: Callable, launch: Callable, shard: str, size: int
) -> None:
    settings = (*STARTED[:1], *SMALL, "--prompts-per-step", 6, "--save-every", 1, "--shard", shard)
    whole = made(*settings, "--processes", 2)
    agent = launch(*settings, "--run-dir", "run", "--processes", 2)
    agent.until(lambda: len(rows(Path("run/metrics.jsonl"))) >= 3)
    for worker in workers(agent):
        os.kill(worker, signal.SIGKILL)
    assert agent.ended().code == 1
    ended = launch(*RESUMED, "--processes", size).ended()
    assert ended.code == 0, ended.err
    if size == 2:
        assert_same(whole)
    pairs = zip(rows(Path("run/metrics.jsonl")), rows(whole / "metrics.jsonl"), strict=True)
    for one, other in list(pairs)[1:]:
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-5)


BROKEN = """
import sys
from reasonkit import cli
from reasonkit.errors import NotFiniteError
from reasonkit.training.trainer import RunTrainer
kept, told = RunTrainer._get_grad_norm, []
def broken(self, model, grad_norm=None):
    if self.state.global_step == 3 and not told:
        told.append(1)
        raise NotFiniteError("the norm of the gradient is nan")
    return kept(self, model, grad_norm=grad_norm)
RunTrainer._get_grad_norm = broken
sys.argv = ["reasonkit", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "shard", [pytest.param(zero, marks=pytest.mark.deepspeed) for zero in ZEROS]
)
def test_training_goes_back_and_on_under_deepspeed(launch: Callable, shard: str) -> None:
    def weights(shard: str) -> dict[str, torch.Tensor]:
        told = meeting(2)
        argv = ("-c", BROKEN, *STARTED[:1], *SMALL, "--shard", shard, "--run-dir", shard)
        both = [launch(*argv, RANK=rank, LOCAL_RANK=rank, **told) for rank in "01"]
        codes, heard = said(both)
        assert codes == [0, 0] and "back to step" in heard, heard
        return load_file(f"{shard}/final/model.safetensors")

    expected, parts = weights("none"), weights(shard)
    for weight, there in expected.items():
        assert (parts[weight] - there).norm() <= 1e-5 * there.norm(), weight


@pytest.mark.slow
@pytest.mark.deepspeed
def test_the_best_weights_are_taken_though_they_are_cut(
    reasonkit: Callable, launch: Callable
) -> None:
    spoilt = ("--learning-rate", 1, "--max-grad-norm", 1e9, "--shard", "zero3", "--processes", 2)
    ended = launch(*STARTED, *spoilt).ended()
    assert ended.code == 0, ended.err
    ours = load_file("run/final/model.safetensors")
    there = load_file(PACKAGED / "abacus/model.safetensors")
    assert all(torch.equal(ours[name], there[name].float()) for name in ours)


def test_processes_of_srun_meet(launch: Callable) -> None:
    port = meeting(2)["MASTER_PORT"]
    tasks = [
        launch(
            "vote", SLURM_PROCID=rank, SLURM_LOCALID=rank, SLURM_NTASKS="2", SLURM_STEP_ID="0",
            SLURM_STEP_TASKS_PER_NODE="2", SLURM_STEP_NODELIST="127.0.0.1", MASTER_PORT=port,
        )
        for rank in "01"
    ]  # fmt: skip
    codes, heard = said(tasks)
    assert codes == [2, 2]
    assert heard.count("error:") == 1
    assert "vote runs in one process, not 2" in heard


@pytest.mark.parametrize(
    ("differs", "line"),
    [
        (("--seed", "7"), "process 1 has begun with another seed than process 0: 7, not 0"),
        ((), "isn't the same folder for all processes"),
    ],
)
def test_processes_that_differ_are_refused(
    launch: Callable, tmp_path: Path, differs: tuple[str, ...], line: str
) -> None:
    environment = meeting(2)
    folders = [tmp_path / "a", tmp_path / ("a" if differs else "b")]
    for folder in set(folders):
        folder.mkdir()
    both = [
        launch(*STARTED, *more, cwd=folder, RANK=rank, LOCAL_RANK=rank, **environment)
        for rank, folder, more in zip("01", folders, ((), differs), strict=True)
    ]
    codes, heard = said(both)
    assert codes == [2, 2], heard
    assert heard.count("error:") == 1
    assert line in heard
    assert not [path for folder in set(folders) for path in folder.iterdir()]


def test_a_port_that_is_taken_is_a_line(launch: Callable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = launch(
            *STARTED, RANK="0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port
        ).ended()
    assert ended.code == 2
    assert f"error: 127.0.0.1:{port} can't be listened at" in ended.err


@pytest.mark.parametrize("shard", ZEROS)
def test_parts_of_deepspeed_are_read_by_as_many_as_wrote_them(
    whole: Path, stopped: Callable, monkeypatch: pytest.MonkeyPatch, shard: str
) -> None:
    run = stopped(whole, "final")
    settings = (run / "config.yaml").read_text().replace("shard: none", f"shard: {shard}")
    (run / "config.yaml").write_text(settings)
    data = json.loads((run / "run.json").read_text())["data"]
    going_on = Invocation(run_dir=run, resume=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    resuming.require_usable(going_on, data)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(RefusedError, match="go on with 2"):
        resuming.require_usable(going_on, data)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (VerifierConfig(shard=Shard.zero3), "pass zero2 or fsdp"),
        (
            DistillConfig(shard=Shard.zero3, objective=Distillation.on_policy),
            "pass zero2 or fsdp",
        ),
        (GrpoConfig(shard=Shard.zero3, engine=EngineName.vllm), "vLLM takes fsdp's"),
        (GrpoConfig(offload=True), "pass --shard fsdp, zero2 or zero3"),
        (GrpoConfig(tensor_parallel=2), "it is vLLM that samples so"),
        (GrpoConfig(tensor_parallel=3, engine=EngineName.vllm), "the 2 processes of this machine"),
    ],
)
def test_what_several_processes_do_not_do_is_refused(
    monkeypatch: pytest.MonkeyPatch, config: SharedConfig, line: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr("reasonkit.plan.machine.installed", lambda package: True)
    with pytest.raises(RefusedError, match=line):
        machine.require_packages(config)


@pytest.mark.skipif(find_spec("deepspeed") is not None, reason="it is there")
def test_without_deepspeed_its_ways_are_refused(two: Callable, tmp_path: Path) -> None:
    codes, heard = said(two(*STARTED, "--shard", "zero2"))
    assert codes == [2, 2]
    assert heard.count("error:") == 1
    assert "--no-build-isolation deepspeed" in heard
    assert not list(tmp_path.iterdir())


def test_one_process_holds_no_parts(reasonkit: Callable, tmp_path: Path) -> None:
    ended = reasonkit("grpo", "--shard", "fsdp")
    assert ended.code == 2
    assert "pass --processes 2" in ended.err
    assert not list(tmp_path.iterdir())


def test_a_batch_is_shared_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(RefusedError, match=r"--batch 8 can't be shared .* 3 processes: try 9"):
        verifier.settle(VerifierConfig(batch=8))


def test_other_commands_say_that_they_run_alone(two: Callable) -> None:
    codes, heard = said(two("vote"))
    assert codes == [2, 2]
    assert heard.count("error:") == 1
    assert "vote runs in one process" in heard


@given(st.lists(st.integers()), st.integers(1, 9))
def test_shares_are_the_whole_in_its_order(items: list[int], size: int) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WORLD_SIZE", str(size))
        shared = []
        for rank in range(size):
            environment.setenv("RANK", str(rank))
            shared.append(processes.share(items))
    assert [item for part in shared for item in part] == items
    assert max(map(len, shared)) - min(map(len, shared)) <= 1
