"""What a run survives: kills at any moment, signals, a full disk, damage to its files."""

from __future__ import annotations

import json
import random
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

TRAINING = (
    "grpo", "--steps", 4, "--group-size", 4, "--prompts-per-step", 4, "--max-completion-tokens", 24,
    "--test-size", 8, "--validation-size", 4, "--validate-every", 2, "--save-every", 2,
    "--no-baselines", "--device", "cpu",
)  # fmt: skip
COLLAPSING = (
    "grpo", "--learning-rate", 0.5, "--warmup-steps", 0, "--steps", 6, "--group-size", 4,
    "--prompts-per-step", 4, "--max-completion-tokens", 24, "--test-size", 40,
    "--validation-size", 40, "--validate-every", 1, "--no-baselines",
)  # fmt: skip
DISTILLING = (
    "distill", "--epochs", 2, "--batch-tokens", 1024, "--max-completion-tokens", 48,
    "--test-size", 8, "--validation-size", 4, "--save-every", 2, "--no-baselines",
    "--device", "cpu", "--teacher", "abacus", "--keep", "answer=0", "--questions", 60,
)  # fmt: skip
VOTING = (
    "vote", "--n", 8, "--strategy", "adaptive", "--also", "majority", "--test-size", 16,
    "--device", "cpu",
)  # fmt: skip
IN_STAGES = (
    "sft-rl", "--test-size", 8, "--validation-size", 4, "--no-baselines", "--device", "cpu",
    "--set", "cold-start.questions=200", "--set", "rejection.questions=100",
    "--set", "steps=3", "--set", "epochs=1", "--set", "validate_every=2", "--set", "save_every=1",
    "--set", "prompts_per_step=4",
)  # fmt: skip
IN_TWO_STAGES = (
    *IN_STAGES, "--until", "rl", "--general-task", "", "--set", "cold-start.questions=80",
    "--set", "cold-start.samples=2", "--set", "rl.group_size=4",
)  # fmt: skip
VOLATILE = ("seconds", "memory", "per_second", "pid", "process", "started", "ended", "argv")
"""Times, memory, throughput and process ids; what is left has to be the same."""


def lasting(value: object) -> object:
    """A record without what differs between two runs of the same thing."""
    if isinstance(value, dict):
        return {
            key: lasting(inner)
            for key, inner in value.items()
            if not any(word in key for word in VOLATILE)
        }
    return [lasting(inner) for inner in value] if isinstance(value, list) else value


def text(path: Path, run: Path) -> str:
    """A file of a run, but for the name of the run, which may be where a model is from."""
    return path.read_text().replace(str(run.resolve()), run.name).replace(f"{run.name}/", "RUN/")


def left_by(run: Path) -> dict[str, object]:
    """What a finished run holds, by file name."""
    held: dict[str, object] = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.suffix == ".safetensors" and path.parent.name == "final":
            held[name] = path.read_bytes()
        elif path.suffix == ".jsonl":
            held[name] = [lasting(json.loads(line)) for line in text(path, run).splitlines()]
        elif path.name in ("summary.json", "ballots.json") or path.parent.name == "evaluations":
            held[name] = lasting(json.loads(text(path, run)))
    return held


def there(pattern: str) -> Callable[[Path], bool]:
    return lambda run: any(run.glob(pattern))


def rolled_back(run: Path) -> bool:
    record = run / "run.json"
    return record.exists() and bool(json.loads(record.read_text()).get("rollbacks"))


SAMPLES = "samples.jsonl"
CHECKPOINT = "checkpoints/checkpoint-[1-9]*"
KILLS = {
    "grpo": (TRAINING, [there(CHECKPOINT)]),
    "distill": (DISTILLING, [there(CHECKPOINT)]),
    "sft-rl": (IN_TWO_STAGES, [there(f"stages/rl/{CHECKPOINT}")]),
    "vote": (VOTING, [there(SAMPLES)]),
}
MORE_KILLS = {
    "grpo after a collapse": (COLLAPSING, [rolled_back]),
    "distill while it samples": (DISTILLING, [there("questions.jsonl")]),
    "distill while it measures": (DISTILLING, [there("evaluations/epoch-2.json")]),
    "sft-rl in every stage": (
        IN_STAGES,
        [
            there(f"stages/cold-start/{SAMPLES}"),
            there("stages/rl/metrics.jsonl"),
            there(f"stages/rejection/{SAMPLES}"),
            there(f"stages/final-rl/{CHECKPOINT}"),
        ],
    ),
}


@pytest.mark.parametrize(
    ("argv", "moments"),
    [
        *(pytest.param(*kills, id=name) for name, kills in KILLS.items()),
        *(pytest.param(*k, id=name, marks=pytest.mark.slow) for name, k in MORE_KILLS.items()),
    ],
)
def test_a_killed_run_resumes_to_the_same_files(
    launch: Callable,
    made: Callable,
    argv: tuple[object, ...],
    moments: list[Callable[[Path], bool]],
) -> None:
    whole = left_by(made(*argv))
    killed, resume = Path("killed"), (argv[0], "--run-dir", "killed", "--resume")
    running = launch(*argv, "--run-dir", killed)
    for moment in moments:
        ended = running.until(lambda now=moment: now(killed)).signalled(signal.SIGKILL)
        assert ended.code == -signal.SIGKILL, ended.err
        assert not (killed / "summary.json").exists()
        running = launch(*resume)
    ended = running.ended()
    assert ended.code == 0, ended.err
    assert left_by(killed) == whole
    assert "finished" in launch(*resume).ended().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "trials"), [(TRAINING, 20), (DISTILLING, 20), (VOTING, 20), (IN_STAGES, 10)]
)
def test_a_run_killed_at_any_moment_resumes_to_the_same_files(
    launch: Callable, argv: tuple[object, ...], trials: int
) -> None:
    began = time.monotonic()
    assert launch(*argv, "--run-dir", "whole").ended().code == 0
    took = time.monotonic() - began
    rng = random.Random(0)
    for trial in range(trials):
        run = Path(f"killed-{trial}")
        running = launch(*argv, "--run-dir", run)
        time.sleep(rng.uniform(0, 1) * took)
        running.signalled(signal.SIGKILL)
        if not (run / "run.json").exists():
            assert not run.exists() or not (run / "config.yaml").exists()
            continue
        assert launch(argv[0], "--run-dir", run, "--resume").ended().code == 0, trial
        assert left_by(run) == left_by(Path("whole")), f"trial {trial}"


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(
    ("argv", "number"),
    [
        ((*TRAINING, "--steps", 200), signal.SIGINT),
        ((*TRAINING, "--steps", 200), signal.SIGTERM),
        ((*DISTILLING, "--epochs", 500), signal.SIGINT),
    ],
    ids=["grpo-ctrl-c", "grpo-a-cluster", "distill-ctrl-c"],
)
def test_a_run_that_is_asked_to_stop_saves_and_says_how_to_go_on(
    launch: Callable, argv: tuple[object, ...], number: int
) -> None:
    metrics = Path("run/metrics.jsonl")
    running = launch(*argv, "--save-every", 0, "--run-dir", "run")
    ended = running.until(lambda: len(lines(metrics)) > 2).signalled(number)
    assert ended.code == 130, ended.err
    assert f"reasonkit {argv[0]} --run-dir run --resume" in ended.err
    assert "Traceback" not in ended.err
    done = json.loads(lines(metrics)[-1])["step"]
    assert Path(f"run/checkpoints/checkpoint-{done:g}").exists()
    assert json.loads(Path("run/run.json").read_text())["status"] == "interrupted"


def test_a_run_that_is_preempted_wants_to_be_started_again_and_comes_to_the_same_files(
    launch: Callable, made: Callable
) -> None:
    running = launch(*TRAINING, "--run-dir", "run")
    ended = running.until(lambda: lines(Path("run/metrics.jsonl"))).signalled(signal.SIGUSR1)
    assert ended.code == 75, ended.err
    assert "reasonkit grpo --run-dir run --resume" in ended.err
    assert launch("grpo", "--run-dir", "run", "--resume").ended().code == 0
    assert left_by(Path("run")) == left_by(made(*TRAINING))


def test_a_full_disk_is_one_line_and_what_was_written_stays(launch: Callable) -> None:
    running = launch(*TRAINING, "--run-dir", "run")
    # No file may exceed a size between that of the logs and that of the weights.
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (300_000, 300_000))
    ended = running.ended()
    last = ended.err.strip().splitlines()[-1]
    assert ended.code == 1, ended.err
    assert last.startswith("error:")
    assert "--resume" in last
    assert "Traceback" not in ended.err
    assert json.loads(Path("run/run.json").read_text())["status"] == "failed"
    assert Path("run/evaluations/before.json").exists()
    assert launch("grpo", "--run-dir", "run", "--resume").ended().code == 0


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(
    reasonkit: Callable, made: Callable, stopped: Callable
) -> None:
    whole = made(*TRAINING)
    cut = stopped(whole, "final", "evaluations/after.json")
    weights = next((cut / "checkpoints/checkpoint-4").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    resumed = reasonkit("grpo", "--run-dir", cut, "--resume")
    assert resumed.code == 0, resumed.err
    assert "checkpoint-4 is damaged" in resumed.err
    assert "checkpoint-2" in resumed.err
    assert left_by(cut) == left_by(whole)
