"""A run goes on with the data that it has begun with, whatever command it is of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROWS = [
    {"question": f"What is {a}+{b}?", "answer": str(a + b)} for a in range(1, 10) for b in range(9)
]
TRACES = [
    {"prompt": r["question"], "completion": f"<think>{r['question'][8:-1]}={r['answer']}</think>"
     f"<answer>{r['answer']}</answer>", "answer": r["answer"]} for r in ROWS
]  # fmt: skip
CHATS = [
    {"prompt": f"Say hello to {name}.", "completion": f"Hello, {name}!"} for name in ("Ann", "Ben")
]
SAMPLED = [
    {"question": r["question"], "answer": r["answer"], "completions": [f"{r['answer']}", "7"]}
    for r in ROWS
]

TINY = (
    "--task", "q.jsonl", "--max-completion-tokens", 12, "--test-size", 2, "--validation-size", 2,
    "--device", "cpu",
)  # fmt: skip
LEARNED = ("--epochs", 1, "--batch-tokens", 512, "--no-baselines", "--max-completion-tokens", 48)
COMMANDS: dict[str, tuple[object, ...]] = {
    "grpo": ("grpo", *TINY, "--steps", 1, "--group-size", 2, "--prompts-per-step", 2,
             "--micro-batch", 4, "--no-baselines"),
    "distill": ("distill", *TINY, *LEARNED, "--traces", "t.jsonl", "--general", "c.jsonl"),
    "vote": ("vote", *TINY, "--n", 2, "--no-baselines"),
    "recorded": ("vote", "--completions", "s.jsonl"),
    "verifier": ("verifier", *TINY, "--questions", 8, "--samples", 8, "--epochs", 1,
                 "--temperature", 1.2, "--max-completion-tokens", 48),
    "sft-rl": ("sft-rl", *TINY, "--until", "cold-start", "--general-chats", "c.jsonl",
               "--set", "cold-start.questions=8", "--set", "cold-start.epochs=1",
               "--no-baselines", "--max-completion-tokens", 48),
    "compare": ("compare", *TINY, "--only", "base", "--quick"),
}  # fmt: skip
CHANGES: dict[str, tuple[str, str, Callable[[dict[str, str]], dict[str, str]]]] = {
    "grpo: questions": ("grpo", "q.jsonl", lambda r: {**r, "question": r["question"] + " Say."}),
    "grpo: answers": ("grpo", "q.jsonl", lambda r: {**r, "answer": r["answer"] + "0"}),
    "distill: answers": ("distill", "q.jsonl", lambda r: {**r, "answer": r["answer"] + "0"}),
    "distill: traces": ("distill", "t.jsonl", lambda r: {**r, "completion": r["completion"] + "."}),
    "distill: chats": ("distill", "c.jsonl", lambda r: {**r, "completion": r["completion"] + "."}),
    "vote: answers": ("vote", "q.jsonl", lambda r: {**r, "answer": r["answer"] + "0"}),
    "recorded: completions": ("recorded", "s.jsonl", lambda r: {**r, "completions": ["7", "8"]}),
    "recorded: answers": ("recorded", "s.jsonl", lambda r: {**r, "answer": r["answer"] + "0"}),
    "sft-rl: answers": ("sft-rl", "q.jsonl", lambda r: {**r, "answer": r["answer"] + "0"}),
    "sft-rl: chats": ("sft-rl", "c.jsonl", lambda r: {**r, "completion": r["completion"] + "."}),
    "compare: answers": ("compare", "q.jsonl", lambda r: {**r, "answer": r["answer"] + "0"}),
    "verifier: answers": ("verifier", "q.jsonl", lambda r: {**r, "answer": r["answer"] + "0"}),
}  # fmt: skip


def write(path: Path, rows: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_all(folder: Path) -> None:
    for name, rows in (("q", ROWS), ("t", TRACES), ("c", CHATS), ("s", SAMPLED)):
        write(folder / f"{name}.jsonl", rows)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def interrupt(run: Path) -> None:
    """Makes it look like one that was stopped at its end."""
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    (run / "summary.json").unlink()


@pytest.fixture
def stopped(
    launch: Callable, once: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """The run that a command has made, stopped, beside its data as it was."""

    def stopped(name: str) -> Path:
        def fill(folder: Path) -> None:
            write_all(folder)
            ended = launch(*COMMANDS[name], "--run-dir", "run", cwd=folder).ended()
            assert ended.code == 0, ended.err
            interrupt(folder / "run")

        shutil.copytree(once(COMMANDS[name], fill), tmp_path / name)
        monkeypatch.chdir(tmp_path / name)
        return Path("run")

    return stopped


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_is_not_resumed_on_other_data(
    change: str, stopped: Callable[[str], Path], reasonkit: Callable
) -> None:
    name, file, other = CHANGES[change]
    run = stopped(name)
    rows = [json.loads(line) for line in Path(file).read_text().splitlines()]
    write(Path(file), [other(row) for row in rows])
    held = contents(run)
    resumed = reasonkit(COMMANDS[name][0], "--run-dir", run, "--resume")
    assert resumed.code == 2, resumed.err
    assert "error: run has begun with other data" in resumed.err
    assert contents(run) == held


def test_a_run_is_resumed_on_the_same_data_in_another_order_of_columns(
    stopped: Callable[[str], Path], reasonkit: Callable
) -> None:
    run = stopped("recorded")
    write(Path("s.jsonl"), [dict(reversed(list(row.items()))) for row in SAMPLED])
    resumed = reasonkit("vote", "--run-dir", run, "--resume")
    assert resumed.code == 0, resumed.err
