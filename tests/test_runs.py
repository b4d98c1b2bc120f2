"""Run directories: made whole or not at all, locked, and readable after a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reasonkit import runs
from reasonkit.errors import RefusedError
from reasonkit.listing import list_runs
from reasonkit.runs import Run

CONFIG = {"model": "abacus", "seed": 7, "rewards": ["answer=1.0"], "learning_rate": 1e-4}


def make(path: Path | None, model: str = "abacus") -> Run:
    return runs.create("grpo", model, "arithmetic", CONFIG, path, ["reasonkit", "grpo"])


def test_a_new_run_records_where_it_came_from(tmp_path: Path) -> None:
    run = make(tmp_path / "deep" / "run")
    record = run.record
    assert run.config == CONFIG
    assert list(run.config) == list(CONFIG)
    assert record["argv"] == ["reasonkit", "grpo"]
    assert record["seeds"] == {"seed": 7}
    assert record["versions"]["python"] == sys.version.split()[0]
    assert record["versions"]["transformers"]
    assert record["hardware"]["memory_bytes"] > 2**20
    assert record["status"] == run.status == "running"


def test_the_default_name_has_time_command_model_and_task_as_slugs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make(None, "Qwen/Qwen2.5 0.5B")
    assert re.fullmatch(r"\d{8}-\d{6}-grpo-qwen2.5-0.5b-arithmetic", run.path.name)
    assert run.path.parent == Path("runs")


def test_two_runs_of_the_same_second_get_two_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len({make(None).path for _ in range(3)}) == 3


def test_a_directory_that_is_not_empty_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RefusedError, match=r"isn't empty: pass --resume .* or another --run-dir"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    assert make(tmp_path).status == "running"


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for call in (make, runs.require_free):
        with pytest.raises(RefusedError, match="--run-dir"):
            call(tmp_path / "file" / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failure_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "write_json", full)
    with pytest.raises(RefusedError, match="No space left"):
        make(tmp_path / "deep" / "run")
    assert not list(tmp_path.iterdir())
    with pytest.raises(RefusedError, match="No space left"):
        make(tmp_path)
    assert not list(tmp_path.iterdir())


def test_require_free_makes_nothing(tmp_path: Path) -> None:
    runs.require_free(tmp_path / "deep" / "run")
    assert not list(tmp_path.iterdir())
    make(tmp_path / "run")
    with pytest.raises(RefusedError, match="--resume"):
        runs.require_free(tmp_path / "run")


def test_what_is_not_a_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="isn't a run directory"):
        runs.open_run(tmp_path)
    run = make(tmp_path / "run")
    for broken in ("{", "[]", "{}"):
        (run.path / "run.json").write_text(broken)
        with pytest.raises(RefusedError, match="is broken"):
            runs.open_run(run.path)


def test_a_run_cannot_be_resumed_while_another_process_works_on_it(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    with pytest.raises(RefusedError, match="another process"):
        runs.resume(run.path)
    run.mark("interrupted")
    assert runs.resume(run.path).status == "running"


def test_a_signal_does_not_keep_an_end_from_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signalled() -> dict[str, str]:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        return {}

    run = make(tmp_path / "run")
    monkeypatch.setattr(runs, "hardware", signalled)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run.mark("failed")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert json.loads((run.path / "run.json").read_text())["status"] == "failed"


WORKER = """
import sys, time
from pathlib import Path
from reasonkit import runs
run = runs.create("grpo", "abacus", "arithmetic", {"seed": 1}, Path(sys.argv[1]), [])
print("made", flush=True)
time.sleep(60)
"""


def test_a_killed_run_is_shown_as_interrupted_and_can_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-c", WORKER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        assert runs.open_run(path).status == "running"
        with pytest.raises(RefusedError, match="another process"):
            runs.resume(path)
        os.kill(process.pid, signal.SIGKILL)
    assert runs.open_run(path).status == "interrupted"
    assert list_runs(tmp_path)[0]["status"] == "interrupted"
    assert runs.resume(path).record["pid"] == os.getpid()


def test_a_process_id_that_was_given_to_another_process_is_not_the_run(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    run.update(process_started=run.record["process_started"] - 1000)
    assert run.status == "interrupted"


def test_the_status_of_another_machine_is_believed(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    run.update(host="elsewhere", pid=2**30)
    assert run.status == "running"


def log(run: Run, steps: int) -> None:
    for step in range(1, steps + 1):
        run.append_metrics({"step": step, "reward": step / 10})
        run.append_completions([{"step": step, "text": "né"}] * 2)


def test_truncating_drops_later_steps_and_a_torn_line(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    log(run, 5)
    with (run.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 1, "rew')
    run.truncate_after(3)
    assert [record["step"] for record in run.metrics()] == [1, 2, 3]
    assert [record["step"] for record in run.completions()] == [1, 1, 2, 2, 3, 3]
    run.append_metrics({"step": 4})
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]


def test_a_resumed_log_is_the_same_as_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, resumed = make(tmp_path / "a"), make(tmp_path / "b")
    log(whole, 4)
    log(resumed, 3)
    resumed.truncate_after(0)
    log(resumed, 4)
    for name in ("metrics.jsonl", "completions.jsonl"):
        assert (whole.path / name).read_bytes() == (resumed.path / name).read_bytes()


def test_every_cut_of_a_log_is_read_without_its_torn_line(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    log(run, 2)
    content = (run.path / "completions.jsonl").read_bytes()
    line = len(content) // 4
    for cut in range(len(content) + 1):
        (run.path / "completions.jsonl").write_bytes(content[:cut])
        # A line that lacks nothing but its line feed is whole.
        assert len(list(run.completions())) == (cut + 1) // line


def test_completions_are_bounded_by_the_stated_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "KEEP_ALL_BYTES", 500)
    monkeypatch.setattr(runs, "KEEP_SOME_BYTES", 1000)
    run = make(tmp_path / "run")
    for step in range(1, 500):
        run.append_completions([{"step": step, "text": "x" * 50}])
    steps = [record["step"] for record in run.completions()]
    dense = [step for step in steps if step % runs.EVERY]
    assert dense == [step for step in range(1, dense[-1] + 1) if step % runs.EVERY]
    assert all(step % runs.EVERY == 0 for step in steps if step > dense[-1])
    assert max(steps) > dense[-1] + runs.EVERY
    assert (run.path / "completions.jsonl").stat().st_size <= 1000


def test_numbers_that_are_not_finite_are_null_in_the_files(tmp_path: Path) -> None:
    def strict(name: str) -> Any:
        raise AssertionError(name)

    run = make(tmp_path / "run")
    run.append_metrics({"step": 1, "loss": float("nan"), "by": [float("inf")]})
    run.write_json("evaluations/x.json", {"a": (float("-inf"), 1.5)})
    line = (run.path / "metrics.jsonl").read_text()
    assert json.loads(line, parse_constant=strict) == {"step": 1, "loss": None, "by": [None]}
    assert json.loads((run.evaluations / "x.json").read_text()) == {"a": [None, 1.5]}


def test_runs_are_listed_newest_first_and_broken_ones_last(tmp_path: Path) -> None:
    for name, started in (("old", "2026-01-01"), ("new", "2026-02-01"), ("broken", "")):
        run = make(tmp_path / name)
        run.update(started=started)
        run.mark("finished")
    runs.write_json(
        tmp_path / "new" / "summary.json",
        {"before": {"accuracy": 0.4}, "after": {"accuracy": 0.95}},
    )
    (tmp_path / "broken" / "run.json").write_text("{")
    (tmp_path / "not-a-run").mkdir()
    listed = list_runs(tmp_path)
    assert [(run["run"], run["status"]) for run in listed] == [
        ("new", "finished"),
        ("old", "finished"),
        ("broken", "unreadable"),
    ]
    assert [run["accuracy"] for run in listed] == ["40.0% → 95.0%", "", ""]
    with pytest.raises(RefusedError, match="no such folder"):
        list_runs(tmp_path / "missing")


def test_run_directories_need_no_torch() -> None:
    code = (
        "import sys; from reasonkit import provenance, runs; provenance.hardware(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
