"""`reasonkit vote` from the outside: what it measures, what it refuses, what it survives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

RECORDED = "shared/data/gsm8k/example_model_solutions.jsonl"
GSM8K = next((p / RECORDED for p in Path(__file__).parents if (p / RECORDED).exists()), None)

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

SMALL = ("--test-size", 12, "--n", 4, "--max-completion-tokens", 60, "--device", "cpu")


def summary_of(path: Path) -> dict[str, Any]:
    return dict(json.loads((path / "summary.json").read_text()))


def recorded(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    path = tmp_path / "recorded.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(question: str, *texts: str, gt: str = "4", scores: Any = None) -> dict[str, Any]:
    made = {"question": question, "gt": gt, "out": {"response": list(texts)}}
    return made if scores is None else {**made, "pred_score": scores}


FIELDS = ("--fields", "question=question,reference=gt,completions=out.response")


def test_a_majority_of_16_gains_at_least_20_points_over_one_sample(
    reasonkit: Callable, tmp_path: Path
) -> None:
    ended = reasonkit(
        "vote", "--test-size", 80, "--no-longer", "--device", "cpu", "--run-dir", "run", "--json"
    )
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert summary == summary_of(tmp_path / "run")
    assert summary["paired"]["difference"] > 0.2
    assert summary["paired"]["low"] > 0.1
    rows = {(r["name"], r["n"]): r for r in summary["strategies"]}
    majority = [rows["majority", n]["accuracy"] for n in (1, 2, 4, 8, 16)]
    assert majority == sorted(majority)
    assert rows["majority", 16]["accuracy"] == summary["after"]["accuracy"]
    assert rows["majority", 16]["tokens"] == pytest.approx(summary["after"]["mean_tokens"])
    assert rows["pass@n", 16]["accuracy"] > summary["after"]["accuracy"]
    assert rows["greedy", 1]["accuracy"] < rows["step-by-step", 1]["accuracy"]
    assert rows["adaptive", 16]["tokens"] < rows["majority", 16]["tokens"]
    assert sum(r["questions"] for r in summary["difficulty"]) == 80
    page = (tmp_path / "run/report.html").read_text()
    for part in ("over tokens", "By difficulty", "Confident and wrong", "their ballots"):
        assert part in page


def test_longer_thoughts_are_set_against_more_of_them(reasonkit: Callable, tmp_path: Path) -> None:
    ended = reasonkit("vote", *SMALL, "--run-dir", "run")
    assert ended.code == 0, ended.err
    assert "accuracy (%) over tokens" in ended.out
    summary = summary_of(tmp_path / "run")
    assert {r["prompt"] for r in summary["strategies"]} == {"as asked", "step by step"}
    assert summary["longer_against_wider"]
    assert "Longer against wider" in (tmp_path / "run/report.html").read_text()


def test_one_question_is_answered_with_its_ballots(reasonkit: Callable, tmp_path: Path) -> None:
    ended = reasonkit("vote", "What is (3 + 4) * 6 - 5?", "--run-dir", "run", "--device", "cpu")
    assert ended.code == 0, ended.err
    assert "█" in ended.out and "votes" in ended.out
    summary = summary_of(tmp_path / "run")
    assert f"answer: {summary['elected']}" in ended.out
    assert sum(a["votes"] for a in summary["answers"]) + summary["others"] + summary["blank"] == 16
    assert summary["elected"] in (tmp_path / "run/report.html").read_text()


def test_adaptive_spends_less_and_says_how_it_compares(reasonkit: Callable, tmp_path: Path) -> None:
    ended = reasonkit(
        "vote", "--strategy", "adaptive", "--also", "majority", "--step-by-step", "--test-size", 16,
        "--n", 16, "--no-baselines", "--device", "cpu", "--run-dir", "run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    summary = summary_of(tmp_path / "run")
    whole = json.loads((tmp_path / "run/evaluations/majority.json").read_text())["summary"]
    assert summary["after"]["mean_tokens"] < 0.9 * whole["mean_tokens"]
    gap = summary["paired_with"]["majority"]["difference"]
    assert gap == pytest.approx(summary["after"]["accuracy"] - whole["accuracy"])


def test_adaptive_alone_never_draws_what_it_does_not_need(
    reasonkit: Callable, tmp_path: Path
) -> None:
    ended = reasonkit(
        "vote", "--strategy", "adaptive", "--step-by-step", "--test-size", 12, "--no-baselines",
        "--device", "cpu", "--run-dir", "run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    summary = summary_of(tmp_path / "run")
    lines = (tmp_path / "run/samples.jsonl").read_text().splitlines()[1:]
    assert len(lines) < 12 * 16
    assert sum(json.loads(line)["tokens"] for line in lines) == summary["tokens_sampled"]
    assert summary["tokens_sampled"] == pytest.approx(12 * summary["after"]["mean_tokens"])


def test_thresholds_are_chosen_on_validation(reasonkit: Callable, tmp_path: Path) -> None:
    ended = reasonkit(
        "vote", "--strategy", "cascade", "--tune", "--validation-size", 12, *SMALL,
        "--no-baselines", "--run-dir", "run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "chosen on 12 validation questions" in ended.err
    summary = summary_of(tmp_path / "run")
    assert summary["tuned"]["questions"] == 12
    ids = {
        v["id"]
        for v in json.loads((tmp_path / "run/evaluations/after.json").read_text())["verdicts"]
    }
    assert len(ids) == 12


def test_recorded_completions_are_voted_on_with_their_scores(
    reasonkit: Callable, tmp_path: Path
) -> None:
    rows = [
        row("2+2?", "5", "is 4", "5", "4.0", "5", scores=[[0.1], [0.9], [0.1], [0.8], [0.1]]),
        row("1+3?", "4", "4", "3", "3", "4", scores=[0.2, 0.3, 0.9, 0.1, 0.1]),
    ]
    path = recorded(tmp_path, *rows)
    fields = (FIELDS[0], FIELDS[1] + ",scores=pred_score")
    ended = reasonkit(
        "vote", "--completions", path, *fields, "--strategy", "weighted", "--run-dir", "run"
    )
    assert ended.code == 0, ended.err
    summary = summary_of(tmp_path / "run")
    largest = {r["name"]: r["accuracy"] for r in summary["strategies"] if r["n"] == 5}
    assert largest["majority"] == 0.5
    assert largest["weighted"] == 0.5
    assert largest["best-of-n"] == 0.5
    assert largest["pass@n"] == 1
    after = json.loads((tmp_path / "run/evaluations/after.json").read_text())
    assert [v["extracted"] for v in after["verdicts"]] == ["4", "3"]


@pytest.mark.skipif(GSM8K is None, reason="the recorded GSM8K solutions aren't here")
@pytest.mark.parametrize(
    ("model", "accuracy"),
    [
        ("6b_finetuning", 0.217),
        pytest.param("6b_verification", 0.390, marks=pytest.mark.slow),
        pytest.param("175b_finetuning", 0.347, marks=pytest.mark.slow),
        ("175b_verification", 0.563),
    ],
)
def test_recorded_gsm8k_solutions_reproduce_their_own_verdicts(
    reasonkit: Callable, tmp_path: Path, model: str, accuracy: float
) -> None:
    assert GSM8K is not None
    fields = f"question=question,reference=ground_truth,completions={model}.solution"
    ended = reasonkit("vote", "--completions", GSM8K, "--fields", fields, "--run-dir", "run")
    assert ended.code == 0, ended.err
    assert summary_of(tmp_path / "run")["before"]["accuracy"] == pytest.approx(accuracy, abs=5e-4)
    verdicts = json.loads((tmp_path / "run/evaluations/before.json").read_text())["verdicts"]
    theirs = [json.loads(line)[model]["is_correct"] for line in GSM8K.open()]
    assert [v["correct"] for v in verdicts] == theirs


def test_a_run_cut_off_anywhere_resumes_to_the_same_files(
    reasonkit: Callable, made: Callable, stopped: Callable
) -> None:
    flags = ("--strategy", "adaptive", "--also", "majority", "--round-size", 2)
    whole = made("vote", *flags, *SMALL)
    cut = stopped(whole, "ballots.json", "evaluations/*")
    samples = (whole / "samples.jsonl").read_bytes()
    (cut / "samples.jsonl").write_bytes(samples[: len(samples) // 2])
    resumed = reasonkit("vote", "--run-dir", cut, "--resume")
    assert resumed.code == 0, resumed.err
    assert {**summary_of(whole), "seconds": 0} == {**summary_of(cut), "seconds": 0}
    names = ("samples.jsonl", "ballots.json", "evaluations/after.json", "evaluations/majority.json")
    for name in names:
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


REFUSED = {
    "no samples": (("--n", 0), "--n"),
    "equal samples": (("--temperature", 0), "--n 1"),
    "unknown strategy": (("--strategy", "majorty"), "majority"),
    "unknown companion": (("--also", "adaptiv"), "adaptive"),
    "unknown wording": (("--wording", "step"), "step-by-step"),
    "unknown model": (("--model", "abacsu"), "abacus"),
    "unknown task": (("--task", "arithmetics"), "arithmetic"),
    "programs without calls": (("--task", "./programs"), "standard input"),
    "an oracle": (("--strategy", "best-of-n", "--reward", "answer"), "oracle"),
    "two rankings": (("--reward", "format", "--verifier", "v"), "leave one out"),
    "no such verifier": (("--verifier", "nowhere"), "nowhere"),
    "no verifier": (("--verifier", "abacus"), "no verifier"),
    "a beam without a verifier": (("--strategy", "beam"), "needs a --verifier"),
    "a policy for nothing": (("--policy", "p"), "--strategy auto"),
    "no policy": (("--strategy", "auto", "--policy", "p.json"), "p.json: no such file"),
    "a budget for a policy": (
        ("--strategy", "auto", "--policy", "p", "--budget", 9),
        "leave out --budget",
    ),
    "a question without a policy": (("1+1?", "--strategy", "auto"), "--policy RUN"),
    "nothing to tune": (("--tune",), "no threshold"),
    "an empty question": ((" ",), "empty"),
    "a question and a file": (("1+1?", "--completions", "some.jsonl"), "exclude"),
    "greedy step by step": (("--strategy", "greedy", "--step-by-step"), "step-by-step"),
    "a missing file": (("--completions", "missing.jsonl"), "no such file"),
    "no answer in any": (("--completions", "mute.jsonl", *FIELDS), "no completion holds"),
    "no such field": (("--completions", "some.jsonl", *FIELDS[:1], "completions=out"), "out"),
    "more than recorded": (("--completions", "some.jsonl", *FIELDS, "--n", 3), "--n 3"),
    "a model for a file": (
        ("--completions", "some.jsonl", *FIELDS, "--strategy", "cascade"),
        "asks a model",
    ),
    "nothing to rank by": (
        ("--completions", "some.jsonl", *FIELDS, "--strategy", "best-of-n"),
        "--fields scores",
    ),
    "a server that is down": (("--endpoint", "http://127.0.0.1:9/v1"), "127.0.0.1:9"),
    "no URL": (("--endpoint", "localhost"), "URL"),
    "existing run": (("--run-dir", "taken"), "--resume"),
    "no such run": (("--run-dir", "nowhere", "--resume"), "nowhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_gets_one_line_and_leaves_nothing(
    reasonkit: Callable, tmp_path: Path, case: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    recorded(tmp_path, row("2+2?", "4", "5")).rename(tmp_path / "some.jsonl")
    recorded(tmp_path, row("2+2?", "<think>four", "<think>five")).rename(tmp_path / "mute.jsonl")
    stdin = {"question": "Double it.", "input_output": {"inputs": ["1"], "outputs": ["2"]}}
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs/test.jsonl").write_text(json.dumps(stdin))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    argv, expected = REFUSED[case]
    ended = reasonkit("vote", *argv)
    assert ended.code == 2, ended.err
    assert expected in " ".join(ended.err.split())
    assert "Traceback" not in ended.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def numbers(path: Path, count: int) -> Path:
    rows = [{"question": f"What is {i}+3?", "answer": i + 3} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def added(body: dict[str, Any]) -> int:
    question = body["messages"][-1]["content"]
    return sum(int(n) for n in re.findall(r"\d+", question.partition("?")[0]))


def sampled(server: Any) -> int:
    """How often it was asked to complete, and not to count tokens."""
    return sum("max_tokens" in body for body in server.bodies)


def test_prompts_that_a_server_refuses_count_as_without_an_answer(
    reasonkit: Callable, tmp_path: Path, chat: SimpleNamespace, stopped: Callable
) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if added(body) % 5 == 0:
            chat.send(to, {"error": {"message": "no", "code": "content_filter"}}, 400)
        else:
            chat.send(to, chat.answer(chat.choice(f"The answer is {added(body)}.")))

    with chat.serving(reply) as server:
        ended = reasonkit(
            "vote", "--endpoint", server.url, "--task", numbers(tmp_path / "q.jsonl", 100),
            "--n", 3, "--also", "adaptive", "--run-dir", "run",
        )  # fmt: skip
    assert ended.code == 0, ended.err
    summary = summary_of(tmp_path / "run")
    verdicts = json.loads((tmp_path / "run/evaluations/after.json").read_text())["verdicts"]
    refused = [v for v in verdicts if int(v["answer"]) % 5 == 0]
    assert 0 < len(refused) < len(verdicts)
    assert all((v["extracted"], v["finish"]) == (None, "failed") for v in refused)
    assert summary["after"]["n"] == len(verdicts)
    assert summary["after"]["accuracy"] == (len(verdicts) - len(refused)) / len(verdicts)
    # Three samples, and the two greedy ones that a vote is measured beside.
    assert summary["failed_samples"] == {"content filter": 5 * len(refused)}
    told = f"{5 * len(refused)} samples could not be had"
    assert told in ended.out
    assert told in (tmp_path / "run/report.html").read_text()
    run = stopped(tmp_path / "run")
    with chat.serving(lambda b, n, to: chat.send(to, chat.answer(chat.choice("8")))) as server:
        for name in ("config.yaml", "samples.jsonl"):
            told = (run / name).read_text()
            (run / name).write_text(re.sub(r"http://[^\s\"]+/v1", server.url, told))
        again = reasonkit("vote", "--run-dir", run, "--resume")
        assert again.code == 0, again.err
        assert sampled(server) == 5 * len(refused)
    assert summary_of(run)["failed_samples"] == {}
    assert "could not be had" not in again.out


def test_a_server_without_temperature_0_is_measured_without_greedy_baselines(
    reasonkit: Callable, tmp_path: Path, chat: SimpleNamespace
) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if body.get("temperature", 1) != 1:
            chat.send(to, {"error": {"message": "1 only", "param": "temperature"}}, 400)
        else:
            chat.send(to, chat.answer(chat.choice(f"The answer is {added(body)}.")))

    task = numbers(tmp_path / "q.jsonl", 20)
    with chat.serving(reply, probe=reply) as server:
        flags = ("--endpoint", server.url, "--task", task, "--n", 2)
        ended = reasonkit("vote", *flags, "--run-dir", "run")
        assert ended.code == 0, ended.err
        assert "takes no temperature 0" in " ".join(ended.err.split())
        asked = sampled(server)
        for more, named in ((("--temperature", 0.7), "0.7"), (("--also", "greedy"), "greedy")):
            refused = reasonkit("vote", *flags, *more, "--run-dir", "no")
            assert refused.code == 2
            assert named in refused.err
        assert sampled(server) == asked
    assert not (tmp_path / "no").exists()
    assert {r["name"] for r in summary_of(tmp_path / "run")["strategies"]}.isdisjoint(
        {"greedy", "step-by-step"}
    )


def test_a_question_is_answered_by_a_server_that_gives_no_log_probabilities(
    reasonkit: Callable, chat: SimpleNamespace
) -> None:
    with chat.serving(lambda b, n, to: chat.send(to, chat.answer(chat.choice("8")))) as server:
        ended = reasonkit("vote", "5 + 3?", "--endpoint", server.url, "--n", 3)
    assert ended.code == 0, ended.err
    assert "answer: 8 (by majority, 3 of 3 votes" in " ".join(ended.out.split())


def test_overlong_prompts_are_dropped_where_the_server_counts_tokens(
    reasonkit: Callable, tmp_path: Path, chat: SimpleNamespace
) -> None:
    def reply(counts: bool) -> Callable[[dict, int, BaseHTTPRequestHandler], None]:
        def answer(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
            if to.path != "/tokenize":
                chat.send(to, chat.answer(chat.choice(f"The answer is {added(body)}.")))
            elif counts:
                chat.send(to, {"count": added(body)})
            else:
                chat.send(to, {"detail": "Not Found"}, 404)

        return answer

    flags = ("--task", numbers(tmp_path / "q.jsonl", 100), "--n", 1, "--max-prompt-tokens", 50)
    with chat.serving(reply(True)) as server:
        ended = reasonkit("vote", *flags, "--endpoint", server.url, "--run-dir", "run")
        assert ended.code == 0, ended.err
        assert "prompts exceed 50 tokens" in ended.err
        assert max(added(b) for b in server.bodies if "max_tokens" in b) <= 50
    verdicts = json.loads((tmp_path / "run/evaluations/after.json").read_text())["verdicts"]
    assert 0 < max(int(v["answer"]) for v in verdicts) <= 50
    with chat.serving(reply(False)) as server:
        refused = reasonkit("vote", *flags, "--endpoint", server.url, "--run-dir", "no")
    assert refused.code == 2
    assert "--max-prompt-tokens 50" in refused.err and "leave it out" in " ".join(
        refused.err.split()
    )


def test_a_reward_that_does_not_read_the_answer_ranks(reasonkit: Callable, tmp_path: Path) -> None:
    ended = reasonkit(
        "vote", "--strategy", "best-of-n", "--reward", "format", *SMALL, "--no-longer",
        "--no-baselines", "--run-dir", "run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    verdicts = json.loads((tmp_path / "run/evaluations/after.json").read_text())["verdicts"]
    ballots = json.loads((tmp_path / "run/ballots.json").read_text())
    for verdict, ballot in zip(verdicts, ballots, strict=True):
        assert verdict["format"] or not any(a["score"] for a in ballot["answers"])


def test_a_budget_is_measured_beside_the_baselines(reasonkit: Callable, tmp_path: Path) -> None:
    ended = reasonkit(
        "vote", "--strategy", "budget", "--waits", 2, *SMALL, "--no-longer", "--run-dir", "run"
    )
    assert ended.code == 0, ended.err
    summary = summary_of(tmp_path / "run")
    names = {r["name"]: r for r in summary["strategies"]}
    assert set(names) == {"budget", "greedy", "step-by-step"}
    assert names["budget"]["tokens"] > names["greedy"]["tokens"]
    after = json.loads((tmp_path / "run/evaluations/after.json").read_text())["verdicts"]
    assert sum(v["text"].count(" wait, ") for v in after) > len(after)


def test_what_to_spend_is_learned_apart_from_the_test_and_used_for_a_question(
    made: Callable, reasonkit: Callable
) -> None:
    learned = made("vote", "--strategy", "auto", "--validation-size", 30, *SMALL)
    summary = summary_of(learned)
    routed = summary["routed"]
    assert routed["questions"] == 30 and summary["after"]["n"] == 12
    assert summary["after"]["accuracy"] >= summary["before"]["accuracy"]
    assert len(routed["rivals"]) in (1, 2)
    assert {r["name"] for r in routed["rows"]} == {"auto"}
    by_fixed = max(row["tokens"] for row in summary["strategies"])
    assert all(row["tokens"] < 2 * by_fixed for row in routed["rows"])
    assert "learned on 30 validation questions" in (learned / "report.html").read_text()
    asked = reasonkit(
        "vote", "2+3*4?", "--strategy", "auto", "--policy", learned, "--device", "cpu"
    )
    assert asked.code == 0, asked.err
    assert "answer:" in asked.out
    otherwise = ("--strategy", "auto", "--policy", learned, "--at-once", "Quickly.")
    refused = reasonkit("vote", "2+3*4?", *otherwise)
    assert (refused.code, "was learned with" in refused.err) == (2, True), refused.err
