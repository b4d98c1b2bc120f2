"""`reasonkit grpo` from the outside: what it leaves, what it refuses, what it survives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reasonkit.sandbox import isolation

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

SMALL = (
    "--steps", 4, "--group-size", 4, "--prompts-per-step", 4, "--max-completion-tokens", 24,
    "--test-size", 8, "--validation-size", 4, "--validate-every", 2, "--save-every", 2,
    "--no-baselines", "--device", "cpu",
)  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "rate", "questions", "gain", "thinking"),
    [(5, 1e-3, 40, 0.3, 0.6), pytest.param(20, 4e-4, 200, 0.5, 0.9, marks=pytest.mark.slow)],
)
def test_the_base_model_learns_to_think_and_to_be_right(
    reasonkit: Callable,
    tmp_path: Path,
    steps: int,
    rate: float,
    questions: int,
    gain: float,
    thinking: float,
) -> None:
    ended = reasonkit(
        "grpo", "--steps", steps, "--learning-rate", rate, "--test-size", questions,
        "--run-dir", "run", "--no-baselines", "--validate-every", 0, "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["paired"]["low"] > gain
    assert summary["after"]["mean_tokens"] > 1.8 * summary["before"]["mean_tokens"]
    assert summary["after"]["thinks"] > thinking > 0.1 > summary["before"]["thinks"]
    assert summary["after"]["format"] > summary["before"]["format"] + 0.3
    before = json.loads((tmp_path / "run/evaluations/before.json").read_text())
    after = json.loads((tmp_path / "run/evaluations/after.json").read_text())
    assert [v["id"] for v in before["verdicts"]] == [v["id"] for v in after["verdicts"]]


@pytest.mark.parametrize("lora", [(), ("--lora", "--lora-rank", 4, "--keep-adapter")])
def test_a_foreign_model_and_a_file_go_through_every_stage(
    reasonkit: Callable, tmp_path: Path, random_qwen3: Path, gsm8k_like: Path, lora: tuple
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ended = reasonkit(
        "grpo", "--model", random_qwen3, "--task", gsm8k_like, "--run-dir", "run", *SMALL, *lora
    )
    assert ended.code == 0, ended.err
    assert "chat template" in ended.err
    final = tmp_path / "run" / "final"
    AutoModelForCausalLM.from_pretrained(final)
    assert AutoTokenizer.from_pretrained(final).chat_template
    assert "reasonkit grpo" in (final / "README.md").read_text()
    assert (final / "adapter").exists() == bool(lora)
    metrics = [json.loads(x) for x in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [m["step"] for m in metrics] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("lora", "dtype"),
    [
        ((), "float32"),
        (("--lora",), "bfloat16"),
        pytest.param((), "bfloat16", marks=pytest.mark.slow),
        pytest.param(("--lora",), "float32", marks=pytest.mark.slow),
    ],
)
def test_the_model_that_is_saved_is_the_one_that_was_measured(
    reasonkit: Callable, tmp_path: Path, lora: tuple, dtype: str
) -> None:
    from transformers import AutoModelForCausalLM

    from reasonkit.generation.engine import Sampling
    from reasonkit.generation.local import LocalEngine
    from reasonkit.models import precision
    from reasonkit.models.loading import load_tokenizer
    from reasonkit.models.resolving import resolve
    from reasonkit.tasks import load

    if not lora and not precision.multiplies(dtype, "cpu"):
        pytest.skip("refused on such a processor")
    ended = reasonkit(
        "grpo", "--model", "abacus-mini", "--run-dir", "run", *SMALL, "--dtype", dtype, *lora,
        "--learning-rate", 3e-3, "--warmup-steps", 0, "--steps", 2,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    after = json.loads((tmp_path / "run/evaluations/after.json").read_text())["verdicts"]
    wanted = {v["id"]: v["text"] for v in after}
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "run/final").eval()
    engine = LocalEngine(model, load_tokenizer(resolve("run"))[0])
    asked = [e for e in load("arithmetic", validation=4, test=8).test if e.id in wanted]
    groups = engine.sample(asked, 1, Sampling(24, temperature=0))
    assert {g.example.id: g.completions[0].text for g in groups} == wanted


def test_general_prompts_are_mixed_in_and_judged_by_preference(
    reasonkit: Callable, tmp_path: Path
) -> None:
    argv = ("--general-task", "general", *SMALL, "--steps", 2)
    ended = reasonkit("grpo", "--run-dir", "run", *argv)
    assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in (tmp_path / "run/completions.jsonl").open()]
    for step in (1, 2):
        drawn = [row for row in rows if row["step"] == step]
        general = [row for row in drawn if row["id"].startswith("general/")]
        assert (len(general), len(drawn)) == (4, 16)
        for row in drawn:
            scored = {name for name, value in row["rewards"].items() if value is not None}
            ours = {"helpful", "harmless"} if row in general else {"answer", "format"}
            assert scored == ours
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
    validated = [record for record in records if "validation" in record]
    assert [record["step"] for record in validated] == [0, 2]
    for record in validated:
        shares = [record[f"validation{name}"] for name in ("", "/helpful", "/harmless")]
        assert record["validation_score"] == pytest.approx(sum(shares) / 3)
        assert record["validation_score_low"] < record["validation_score"]


REFUSED = {
    "unknown model": (("--model", "abacsu"), "abacus"),
    "unknown task": (("--task", "arithmetics"), "arithmetic"),
    "unknown reward": (("--reward", "anwser=1"), "answer"),
    "missing file": (("--task", "missing.jsonl"), "missing.jsonl"),
    "malformed line": (("--task", "broken.jsonl"), "broken.jsonl:2"),
    "no reference": (("--task", "bare.jsonl"), "bare.jsonl:1"),
    "group of one": (("--group-size", "1"), "group-size"),
    "unknown setting": (("--config", "odd.yaml"), "group_size"),
    "missing config": (("--config", "none.yaml"), "none.yaml"),
    "existing run": (("--run-dir", "taken"), "--resume"),
    "unwritable run": (("--run-dir", "/proc/run"), "/proc"),
    "no such run": (("--run-dir", "nowhere", "--resume"), "nowhere"),
    "unknown preset": (("--preset", "dpao"), "dapo"),
    "unknown tracker": (("--report-to", "tensorbord"), "tensorboard"),
    "absent tracker": (("--report-to", "wandb"), "pip install"),
    "odd micro-batch": (("--micro-batch", "7"), "--micro-batch"),
    "test split only": (("--task", "math500-like"), "test"),
    "answers of programs": (("--task", "tiny-code", "--reward", "answer=1"), "code=1"),
    "programs of answers": (("--reward", "code=1"), "no tests"),
    "malformed tests": (("--task", "untested.jsonl"), "untested.jsonl:1"),
    "unknown role": (("--columns", "prompt=q"), "tests="),
    "hub without network": (("--model", "nobody/nothing-at-all"), "nobody/nothing-at-all"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_makes_nothing(
    reasonkit: Callable, tmp_path: Path, case: str
) -> None:
    row = '{"question": "q", "answer": "1"}\n'
    (tmp_path / "broken.jsonl").write_text(row + "{nope\n")
    (tmp_path / "bare.jsonl").write_text('{"question": "q", "answer": ""}\n')
    untested = '{"text": "q", "code": "x", "test_list": ["f(1)"]}'
    (tmp_path / "untested.jsonl").write_text(untested)
    (tmp_path / "odd.yaml").write_text("group_sise: 4\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    (tmp_path / "math500-like").mkdir()
    (tmp_path / "math500-like" / "test.jsonl").write_text(row)
    before = sorted(tmp_path.rglob("*"))
    argv, expected = REFUSED[case]
    ended = reasonkit("grpo", *argv)
    assert ended.code == 2, ended.err
    assert expected in ended.err
    said = [x for x in ended.err.strip().splitlines() if not x.startswith(("grpo: ", "… "))]
    if said[0].startswith("error:"):
        assert len(said) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_programs_are_rewarded_and_judged_by_running_them(
    reasonkit: Callable, tmp_path: Path
) -> None:
    argv = ("--task", "tiny-code", "--json", *SMALL, "--max-completion-tokens", 64)
    ended = reasonkit("grpo", "--run-dir", "run", *argv)
    assert ended.code == 0, ended.err
    level = isolation()
    assert f"sandbox: {level}" in ended.err
    assert json.loads((tmp_path / "run/run.json").read_text())["sandbox"] == level
    metrics = rows(tmp_path / "run/metrics.jsonl")[1:]
    assert all({"reward_seconds/code", "reward_seconds/format"} <= m.keys() for m in metrics)
    for seen in rows(tmp_path / "run/completions.jsonl"):
        assert seen["reward"] == pytest.approx(
            seen["rewards"]["code"] + 0.2 * seen["rewards"]["format"]
        )
    paid = {seen["rewards"]["code"] for seen in rows(tmp_path / "run/completions.jsonl")}
    assert paid == {0.0, 1.0}
    spent = json.loads(ended.out)["spent_on_rewards"]
    assert spent["reward_seconds/code"] == pytest.approx(
        sum(m["reward_seconds/code"] for m in metrics)
    )
    after = json.loads((tmp_path / "run/evaluations/after.json").read_text())
    assert all(v["correct"] for v in after["verdicts"] if v["extracted"] == v["answer"])


def test_a_reward_that_always_fails_is_named_and_stops_training(
    reasonkit: Callable, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("def broken(group):\n    raise ValueError('no idea')\n")
    ended = reasonkit("grpo", "--run-dir", "run", "--reward", "mine.py:broken=1", *SMALL)
    assert ended.code == 1
    assert "broken" in ended.err
    assert "no idea" in ended.err


def test_a_users_reward_with_trl_signature_trains(reasonkit: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def short(completions, **kwargs):\n"
        "    return [-len(c[0]['content']) / 100 for c in completions]\n"
    )
    reward = ("--reward", "mine.py:short=1", "--reward", "answer=0.5")
    ended = reasonkit("grpo", "--run-dir", "run", *reward, *SMALL, "--steps", 1)
    assert ended.code == 0, ended.err
    first = json.loads((tmp_path / "run/completions.jsonl").read_text().splitlines()[0])
    assert first["rewards"]["short"] == pytest.approx(-len(first["completion"]) / 100)


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


COLLAPSING = (
    "--learning-rate", 0.5, "--warmup-steps", 0, "--steps", 6, "--group-size", 4,
    "--prompts-per-step", 4, "--max-completion-tokens", 24, "--test-size", 40,
    "--validation-size", 40, "--validate-every", 1, "--no-baselines",
)  # fmt: skip


def test_a_collapse_is_rolled_back_and_the_best_checkpoint_is_kept(made: Callable) -> None:
    run = made("grpo", *COLLAPSING)
    assert "half the learning rate" in (run.parent / "said").read_text()
    summary = json.loads((run / "summary.json").read_text())
    kept = summary["step_kept"]
    assert [r["to"] for r in summary["rollbacks"]] == [kept] * len(summary["rollbacks"])
    assert summary["after"]["accuracy"] == summary["before"]["accuracy"] > 0
    metrics = rows(run / "metrics.jsonl")
    assert metrics[-1]["step"] == summary["stopped_at"] > kept
    rate = 0.5 / 2 ** len(summary["rollbacks"]) * (1 - kept / 6)
    assert metrics[kept + 1]["learning_rate"] == pytest.approx(rate)
    assert metrics[-1]["tokens_sampled"] == summary["tokens_sampled"]
    abandoned = summary["rollbacks"][0]
    assert abandoned["spent"]["tokens_sampled"] < summary["tokens_sampled"]
    assert len(abandoned["validations"]) >= 2
    assert "Collapse" in (run / "report.html").read_text()


def test_a_collapse_can_stop_training(reasonkit: Callable, tmp_path: Path) -> None:
    ended = reasonkit("grpo", "--run-dir", "run", *COLLAPSING, "--on-collapse", "stop", "--json")
    assert ended.code == 0, ended.err
    assert "training stops" in ended.err
    summary = json.loads(ended.out)
    assert summary["stopped_at"] > summary["step_kept"]
    assert summary["rollbacks"] == []


def test_several_updates_a_rollout_are_logged_apart(reasonkit: Callable, tmp_path: Path) -> None:
    argv = (*SMALL, "--steps", 2, "--updates-per-rollout", 2, "--report-to", "tensorboard")
    ended = reasonkit("grpo", "--run-dir", "run", *argv)
    assert ended.code == 0, ended.err
    metrics = rows(tmp_path / "run/metrics.jsonl")
    assert [m["step"] for m in metrics] == [0, 0.5, 1, 1.5, 2]
    assert [m["step"] for m in metrics if "validation" in m] == [0, 2]
    assert [p.name for p in sorted((tmp_path / "run/checkpoints").glob("c*"))][-1] == "checkpoint-4"
    assert list((tmp_path / "run/tensorboard").glob("events.*"))


def test_groups_without_spread_are_replaced_within_bounds(
    reasonkit: Callable, tmp_path: Path
) -> None:
    for name, rounds, steps in (("plain", 0, 1), ("dynamic", 2, 4)):
        argv = ("--reward", "answer=1", *SMALL, "--resample", rounds, "--steps", steps)
        ended = reasonkit("grpo", "--run-dir", name, *argv)
        assert ended.code == 0, ended.err
    plain, dynamic = (rows(tmp_path / n / "metrics.jsonl")[1:] for n in ("plain", "dynamic"))
    assert all(m["zero_spread_trained"] == m["zero_spread"] for m in plain)
    assert all(m["zero_spread_trained"] <= m["zero_spread"] for m in dynamic)
    assert any(m["zero_spread_trained"] < m["zero_spread"] for m in dynamic)
    assert plain[0]["zero_spread"] == dynamic[0]["zero_spread"]
    lacking = plain[0]["zero_spread"] * 4
    assert dynamic[0]["tokens_sampled"] <= plain[0]["tokens_sampled"] + 2 * lacking * 4 * 24


def test_a_curriculum_resumes_to_the_same_prompts(
    reasonkit: Callable, made: Callable, stopped: Callable
) -> None:
    argv = (*SMALL, "--steps", 2, "--save-every", 1)
    whole = made("grpo", *argv, "--curriculum", "--preset", "dapo")
    cut = stopped(whole, "final", "checkpoints/checkpoint-2")
    resumed = reasonkit("grpo", "--run-dir", cut, "--resume")
    assert resumed.code == 0, resumed.err
    for name in ("completions.jsonl", "final/model.safetensors"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_a_page_and_a_list_show_what_was_done(
    reasonkit: Callable, made: Callable, tmp_path: Path
) -> None:
    shutil.copytree(made("grpo", *SMALL), tmp_path / "runs/one")
    assert "→" in reasonkit("runs").out
    page = tmp_path / "runs/one/report.html"
    drawn = page.read_text()
    page.unlink()
    assert reasonkit("report", "runs/one").out.strip() == "runs/one/report.html"
    assert page.read_text() == drawn
    assert reasonkit("report", "nowhere").code == 2


def test_without_a_reward_that_tells_nobody_says_what_is_right(
    reasonkit: Callable, tmp_path: Path
) -> None:
    argv = ("grpo", *SMALL, "--steps", 1, "--reward", "format=1")
    told = reasonkit(*argv, "--run-dir", tmp_path / "run")
    assert told.code == 0
    assert "no reward tells what is right" in told.err
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["right"] for record in records if "right" in record} == {None}
    refused = reasonkit(*argv, "--curriculum", "--run-dir", tmp_path / "x")
    assert refused.code == 2
    assert "--curriculum" in refused.err
    assert not (tmp_path / "x").exists()
