"""`reasonkit distill` from the outside: what is learned, what is refused, what it survives."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import fmean

import pytest

from reasonkit.config import Distillation, DistillConfig
from reasonkit.evaluation import Evaluation, Verdict
from reasonkit.generation.probing import PROBE_TOKENS
from reasonkit.recipes.distill import beside_the_teacher
from reasonkit.tasks import load
from reasonkit.tasks.arithmetic import Expression, render, work_out
from reasonkit.tasks.generated import draw

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

SMALL = (
    "--epochs", 2, "--batch-tokens", 1024, "--max-completion-tokens", 48, "--test-size", 8,
    "--validation-size", 4, "--save-every", 2, "--no-baselines", "--device", "cpu",
)  # fmt: skip
SAMPLED = (*SMALL, "--teacher", "abacus", "--keep", "answer=0", "--questions", 60)


def worked(question: str) -> str:
    tokens = re.findall(r"\d+|[-+*()]", question.removeprefix("What is "))
    expression: Expression = [int(t) if t.isdigit() else t for t in tokens]
    stages = work_out(expression)
    assert stages is not None
    return f"<think>{'='.join(map(render, stages))}</think><answer>{stages[-1][0]}</answer>"


def traces_of(path: Path, questions: list[str], write: Callable[[str], str] = worked) -> Path:
    lines = [json.dumps({"prompt": q, "completion": write(q)}) for q in questions]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def right_traces(tmp_path: Path) -> Path:
    train = load("arithmetic", validation=1, test=1).train
    return traces_of(tmp_path / "traces.jsonl", [example.question for example in train[:60]])


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("traces", "questions", "gain"),
    [(400, 24, None), pytest.param(2000, 200, 0.1, marks=pytest.mark.slow)],
)
def test_a_student_learns_to_think_and_with_more_traces_to_be_right(
    reasonkit: Callable, tmp_path: Path, traces: int, questions: int, gain: float | None
) -> None:
    train = load("arithmetic", validation=1, test=1).train
    traces_of(tmp_path / "traces.jsonl", [example.question for example in train[:traces]])
    ended = reasonkit(
        "distill", "--traces", "traces.jsonl", "--epochs", 3, "--test-size", questions,
        "--no-baselines", "--validation-size", 20, "--save-every", 0, "--run-dir", "run", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert gain is None or summary["paired"]["low"] > gain
    assert summary["after"]["thinks"] > 0.9 > 0.1 > summary["before"]["thinks"]
    assert summary["after"]["format"] > 0.9
    assert summary["after"]["mean_tokens"] > 1.8 * summary["before"]["mean_tokens"]


def test_what_a_teacher_samples_is_filtered_and_learned(made: Callable) -> None:
    run = made("distill", *SAMPLED)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["teacher"].keys() == summary["before"].keys() == summary["after"].keys()
    assert summary["paired_with_teacher"]["n"] == 8
    ids = [
        [v["id"] for v in json.loads((run / f"evaluations/{name}.json").read_text())["verdicts"]]
        for name in ("before", "after", "teacher")
    ]
    assert ids[0] == ids[1] == ids[2]
    assert len(rows(run / "traces.jsonl")) == summary["traces"]
    steps = summary["filters"]
    assert [steps[0]["left"], steps[-1]["left"]] == [120, summary["traces"]]
    assert sum(step["lost"] for step in steps) == 120 - summary["traces"]
    assert "what is learned is green" in (run.parent / "said").read_text()
    page = (run / "report.html").read_text()
    assert "teacher, abacus" in page
    assert "duplicates" in page
    card = (run / "final/README.md").read_text()
    assert "teacher, abacus" in card
    assert "| duplicates |" in card


def test_sampling_and_training_can_be_run_apart(
    reasonkit: Callable, tmp_path: Path, made: Callable
) -> None:
    whole = made("distill", *SAMPLED)
    first = reasonkit("distill", "--only", "traces", "--run-dir", "sampled", *SAMPLED)
    assert first.code == 0, first.err
    assert "duplicates" in first.out
    assert not (tmp_path / "sampled/final").exists()
    argv = ("--traces", "sampled", "--keep", "answer=0", *SMALL)
    second = reasonkit("distill", "--only", "train", "--run-dir", "trained", *argv)
    assert second.code == 0, second.err
    trained = tmp_path / "trained/final/model.safetensors"
    assert trained.read_bytes() == (whole / "final/model.safetensors").read_bytes()
    summary = json.loads((tmp_path / "trained/summary.json").read_text())
    assert summary["tokens_sampled"] == 0
    assert summary["teacher"] is None
    other = reasonkit("distill", "--dry-run", *argv, "--similar", 0)
    (kept,) = re.findall(r"(\d+) of the 120 are kept", other.err)
    assert int(kept) > summary["traces"]


@contextmanager
def teaching(port: int, most: int | None = None) -> Iterator[list[str]]:
    """A chat-completions server of a good teacher, which is gone after so many answers."""
    asked: list[str] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.say({"data": [{"id": "sage"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            question = body["messages"][-1]["content"]
            is_probe = body.get("max_tokens") == PROBE_TOKENS
            with lock:
                if most is not None and len(asked) >= most and not is_probe:
                    self.close_connection = True
                    self.connection.close()
                    return
                if not is_probe:
                    asked.append(question)
            message = {"role": "assistant", "content": worked(question.rstrip("?"))}
            choice = {"message": message, "finish_reason": "stop"}
            self.say(
                {
                    "choices": [{"index": i, **choice} for i in range(body.get("n", 1))],
                    "usage": {"completion_tokens": 20 * body.get("n", 1)},
                }
            )

        def say(self, value: object) -> None:
            content = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_that_goes_away_costs_nothing_that_it_gave(
    reasonkit: Callable, tmp_path: Path, at_once: None
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = (
        *SMALL, "--endpoint", f"http://127.0.0.1:{port}/v1", "--questions", 40, "--concurrency", 2,
        "--run-dir", "run",
    )  # fmt: skip
    with teaching(port, most=45) as first:
        ended = reasonkit("distill", *argv)
    assert ended.code == 1, ended.err
    assert "--resume" in ended.err
    kept = rows(tmp_path / "run/samples.jsonl")[1:]
    with teaching(port) as second:
        resumed = reasonkit("distill", "--run-dir", "run", "--resume", "--json")
    assert resumed.code == 0, resumed.err
    summary = json.loads(resumed.out)
    assert summary["teacher_name"] == "sage"
    assert summary["teacher"]["accuracy"] == 1
    whole = rows(tmp_path / "run/samples.jsonl")[1:]
    assert whole[: len(kept)] == kept
    assert len({(row["key"], row["place"]) for row in whole}) == len(whole) == 8 + 4 + 2 * 40
    ahead = 8
    assert len(first) - ahead + len(second) == 8 + 4 + 40


def test_on_policy_a_teacher_grades_the_students_tokens(
    reasonkit: Callable, tmp_path: Path
) -> None:
    argv = ("--teacher", "abacus", "--objective", "on-policy", "--questions", 112)
    ended = reasonkit("distill", "--run-dir", "run", *SMALL, *argv, "--json")
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert summary["filters"] == []
    metrics = rows(tmp_path / "run/metrics.jsonl")
    losses = [m["loss"] for m in metrics if "loss" in m]
    assert len(losses) == metrics[-1]["step"] >= 8
    assert fmean(losses[-4:]) < fmean(losses[:4])
    assert metrics[-1]["tokens_sampled"] == summary["tokens_sampled"] > 0


def test_on_policy_resumes_to_the_same_weights(
    reasonkit: Callable, made: Callable, stopped: Callable
) -> None:
    argv = ("--teacher", "abacus", "--objective", "on-policy", "--questions", 42, "--save-every", 1)
    whole = made("distill", *SMALL, *argv)
    cut = stopped(whole, "final", "evaluations/after.json", "checkpoints/checkpoint-[!3]*")
    resumed = reasonkit("distill", "--run-dir", cut, "--resume")
    assert resumed.code == 0, resumed.err
    weights = [(run / "final/model.safetensors").read_bytes() for run in (whole, cut)]
    assert weights[0] == weights[1]


def answered(right: int, of: int = 40) -> Evaluation:
    return Evaluation(
        tuple(
            Verdict(str(i), "q", "5", "5", i < right, 9, "stop", True, True, "5") for i in range(of)
        )
    )


@pytest.mark.parametrize("objective", list(Distillation))
def test_a_student_above_its_teacher_is_reported_and_explained(objective: Distillation) -> None:
    config = DistillConfig(keep=["answer=1"], objective=objective)
    (remark,) = beside_the_teacher(config, answered(2), answered(36), answered(20))["remarks"]
    assert "40.0 points" in remark
    assert ("answer=1" in remark) == (objective == Distillation.traces)
    within = beside_the_teacher(config, answered(2), answered(22), answered(20))
    assert within["remarks"] == []
    assert within["gap_closed"]["share"] == pytest.approx(20 / 18)


def test_a_teacher_weaker_than_the_student_is_said_before_training(
    reasonkit: Callable, right_traces: Path
) -> None:
    argv = ("--model", "abacus", "--teacher", "abacus-mini", "--traces", right_traces)
    ended = reasonkit("distill", "--run-dir", "run", *argv, *SMALL, "--validation-size", 60)
    assert ended.code == 0, ended.err
    warned = ended.err.index("the teacher is not the better one")
    assert warned < ended.err.index("epoch 0/2")


@pytest.mark.parametrize("lora", [(), ("--lora", "--lora-rank", 4, "--keep-adapter")])
def test_a_foreign_model_learns_from_a_file(
    reasonkit: Callable, tmp_path: Path, random_qwen3: Path, lora: tuple
) -> None:
    from transformers import AutoModelForCausalLM

    asked = {f"Ann has {i} apples and finds one. How many?": i + 1 for i in range(120)}
    lines = [json.dumps({"question": q, "answer": str(a)}) for q, a in asked.items()]
    (tmp_path / "task.jsonl").write_text("\n".join(lines))

    def write(question: str) -> str:
        apples = asked[question]
        return f"<think>{apples - 1}+1={apples}</think><answer>{apples}</answer>"

    traces_of(tmp_path / "traces.jsonl", list(asked), write)
    argv = ("--model", random_qwen3, "--task", "task.jsonl", "--traces", "traces.jsonl")
    ended = reasonkit("distill", "--run-dir", "run", *argv, *SMALL, *lora)
    assert ended.code == 0, ended.err
    final = tmp_path / "run/final"
    AutoModelForCausalLM.from_pretrained(final)
    assert (final / "adapter").exists() == bool(lora)
    metrics = rows(tmp_path / "run/metrics.jsonl")
    assert metrics[-1]["loss"] < metrics[1]["loss"]


def test_general_chats_are_learned_beside_the_traces(
    reasonkit: Callable, right_traces: Path, tmp_path: Path
) -> None:
    chats = {f"Say hello to {name}.": f"Hello, {name}!" for name in ("Ann", "Ben", "Ida")}
    traces_of(tmp_path / "chats.jsonl", list(chats), chats.__getitem__)
    ended = reasonkit(
        "distill", "--traces", right_traces, "--general", "chats.jsonl", "--run-dir", "run", *SMALL
    )
    assert ended.code == 0, ended.err
    assert "3 general chats are learned beside" in ended.err
    kept = (tmp_path / "run/traces.jsonl").read_text()
    assert "Hello" not in kept
    without = reasonkit("distill", "--traces", right_traces, "--run-dir", "without", *SMALL)
    assert without.code == 0, without.err
    trained = [json.loads((tmp_path / run / "summary.json").read_text())["tokens_trained"]
               for run in ("run", "without")]  # fmt: skip
    assert trained[0] > trained[1]


REFUSED = {
    "unknown student": (("--model", "abacsu"), "abacus"),
    "unknown teacher": (("--teacher", "abacsu"), "abacus"),
    "unknown filter": (("--teacher", "abacus", "--keep", "anwser=1"), "answer"),
    "no number": (("--teacher", "abacus", "--keep", "answer=all"), "expected a number"),
    "missing traces": (("--traces", "none.jsonl"), "none.jsonl"),
    "malformed traces": (("--traces", "broken.jsonl"), "broken.jsonl:2"),
    "traces of no shape": (("--traces", "shapeless.jsonl"), "shapeless.jsonl:1"),
    "no reference": (("--traces", "foreign.jsonl"), "reference answer"),
    "no trace survives": (("--traces", "wrong.jsonl"), "'answer' took 2"),
    "no thought is closed": (("--traces", "endless.jsonl"), "'finished' took 2"),
    "all meet the test split": (("--traces", "tested.jsonl"), "'held out' took 3"),
    "all are overlong": (("--traces", "right.jsonl", "--max-completion-tokens", 5), "'overlong'"),
    "nothing to train on": (("--only", "train"), "--traces"),
    "nothing to sample": (("--only", "traces", "--traces", "right.jsonl"), "leave out --traces"),
    "a server that is down": (("--endpoint", "http://127.0.0.1:9/v1"), "127.0.0.1:9"),
    "on-policy traces": (("--objective", "on-policy", "--traces", "x.jsonl"), "--traces"),
    "cut off": (("--teacher", "abacus", "--max-completion-tokens", 2), "is finished within 2"),
    "missing chats": (("--teacher", "abacus", "--general", "none.jsonl"), "none.jsonl"),
    "unwritable chats": (("--teacher", "abacus", "--general", "odd.jsonl"), "can't write"),
    "on-policy chats": (("--objective", "on-policy", "--general", "x.jsonl"), "--general"),
    "on-policy wording": (
        ("--objective", "on-policy", "--wording", "step-by-step"),
        "--wording",
    ),
    "unknown wording": (("--teacher", "abacus", "--wording", "nicely"), "step-by-step"),
    "existing run": (("--teacher", "abacus", "--run-dir", "taken"), "--resume"),
    "no such run": (("--run-dir", "nowhere", "--resume"), "nowhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_makes_nothing(
    reasonkit: Callable, tmp_path: Path, case: str
) -> None:
    train, test = ([e.question for e in draw("arithmetic", s, 3)] for s in ("train", "test"))
    traces_of(tmp_path / "right.jsonl", train)
    traces_of(tmp_path / "tested.jsonl", test)
    traces_of(tmp_path / "wrong.jsonl", train[:2], lambda q: "<answer>100</answer>")
    traces_of(tmp_path / "endless.jsonl", train[:2], lambda q: "<think>Let me see. And then")
    traces_of(tmp_path / "foreign.jsonl", ["How are you?"], lambda q: "Fine.")
    traces_of(tmp_path / "odd.jsonl", ["How are you?"], lambda q: "Très 好")
    (tmp_path / "broken.jsonl").write_text((tmp_path / "wrong.jsonl").read_text()[:-3])
    (tmp_path / "shapeless.jsonl").write_text('{"text": "hello"}\n')
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    argv, expected = REFUSED[case]
    ended = reasonkit("distill", *argv)
    assert ended.code == 2, ended.err
    last = ended.err.strip().splitlines()[-1]
    assert expected in last
    assert sorted(tmp_path.rglob("*")) == before


def test_a_teacher_with_another_tokenizer_can_not_grade_tokens(
    reasonkit: Callable, random_qwen3: Path
) -> None:
    ended = reasonkit("distill", "--objective", "on-policy", "--teacher", random_qwen3)
    assert ended.code == 2, ended.err
    assert "another tokenizer" in ended.err
