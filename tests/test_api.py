"""The recipes from Python: the same runs, functions in place of names, errors as exceptions."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import stub
import yaml

import reasonkit
from reasonkit import chatting, functions, tasks
from reasonkit.config import GrpoConfig, VoteConfig
from reasonkit.rewards import parse

EXAMPLES = Path(reasonkit.__file__).parent / "docs/examples"
SMALL = (
    "--steps", 4, "--group-size", 4, "--prompts-per-step", 4, "--max-completion-tokens", 24,
    "--test-size", 8, "--validation-size", 4, "--validate-every", 2, "--save-every", 2,
    "--no-baselines", "--device", "cpu",
)  # fmt: skip
"""As in `tests/recipes/test_grpo.py`, so that the run is made once."""
KEYWORDS = {
    "steps": 4, "group_size": 4, "prompts_per_step": 4, "max_completion_tokens": 24,
    "test_size": 8, "validation_size": 4, "validate_every": 2, "save_every": 2,
    "baselines": False, "device": "cpu",
}  # fmt: skip


@pytest.fixture
def by_command(made: Callable) -> Path:
    """The run that the command line leaves."""
    return Path(made("grpo", *SMALL))


def test_the_stub_is_made_of_the_settings() -> None:
    assert stub.STUB.read_text() == stub.written(), "run tests/plugins/stub.py"


def test_the_keywords_are_the_settings_with_their_defaults_and_words() -> None:
    keywords = inspect.signature(reasonkit.grpo).parameters
    settings = {field.name for field in dataclasses.fields(GrpoConfig)}
    assert {*keywords} == settings | {"config", "run_dir", "resume", "on_step"}
    assert keywords["general_share"].default == 0.25
    assert "group_size: G: completions a prompt." in str(reasonkit.grpo.__doc__)


def test_a_run_from_python_is_that_of_the_command_line(
    by_command: Path, in_an_empty_folder: None, capsys: pytest.CaptureFixture
) -> None:
    seen: list[dict] = []
    result = reasonkit.grpo(**KEYWORDS, on_step=seen.append)
    weights = "final/model.safetensors"
    assert (result.path / weights).read_bytes() == (by_command / weights).read_bytes()
    assert [record["step"] for record in seen] == [0, 1, 2, 3, 4]
    written = capsys.readouterr()
    assert not written.out and "step 0/4" in written.err


def test_a_result_tells_what_the_run_holds(by_command: Path) -> None:
    result = reasonkit.open_run(by_command)
    answers = result.evaluations()
    for name in ("before", "after"):
        accuracy = answers[answers["evaluation"] == name]["correct"].mean()
        assert accuracy == result.summary[name]["accuracy"]
    assert list(result.metrics()["step"]) == [0, 1, 2, 3, 4]
    assert re.fullmatch(r"<grpo of abacus on arithmetic: \d.* → \d.*%, in .*>", repr(result))
    first, again = result.chat("What is 2 + 3?"), result.chat("What is 2 + 3?")
    assert first and first == again


def test_a_run_is_talked_with_as_it_was_asked(by_command: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(by_command, run)
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings |= {"system_prompt": "Be brief.", "max_completion_tokens": 7}
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    config = VoteConfig(model=str(run), device="cpu")
    chat = chatting.open_chat(config, None, 0.0)
    assert (chat.system, chat.sampling.max_tokens) == ("Be brief.", 7)
    assert chatting.open_chat(config, "", 0.0).system == ""


def test_a_result_stands_for_its_model(by_command: Path, in_an_empty_folder: None) -> None:
    asked = reasonkit.vote(
        model=reasonkit.open_run(by_command), question="What is 2 + 3?", n=2, device="cpu"
    )
    assert asked.config["model"] == str(by_command)
    assert asked.summary["samples"] == 2


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"num_generations": 8}, "reasonkit calls it group_size"),
        ({"stepz": 8}, "did you mean steps"),
        ({"steps": "many"}, "expected int"),
        ({"model": "abacuss"}, "did you mean abacus"),
        ({"resume": True}, "--run-dir"),
    ],
)
def test_what_is_refused_is_an_exception(
    keywords: dict, said: str, in_an_empty_folder: None
) -> None:
    with pytest.raises(reasonkit.RefusedError, match=said):
        reasonkit.grpo(**keywords)
    assert not list(Path().iterdir())


def top(group: object) -> list[float]:
    return [0.0]


def test_a_function_of_a_file_is_named_by_it_and_another_by_the_session() -> None:
    def inner(group: object) -> list[float]:
        return [0.0]

    assert functions.hold(top) == f"{Path(__file__).resolve()}:top"
    assert functions.hold(inner) == "python:inner"
    assert parse(["python:inner=2"])[0].weight == 2
    assert parse([functions.hold(lambda group: [0.0])])[0].reward.name == "lambda"


def test_what_another_session_handed_over_is_refused_with_what_to_do() -> None:
    with pytest.raises(reasonkit.RefusedError, match=r"hand it over again .* put it into a file"):
        parse(["python:gone"])


def test_a_task_is_a_function_or_rows() -> None:
    rows = [{"question": f"What is {i} + 1?", "answer": i + 1} for i in range(60)]
    for task in (lambda: iter(rows), lambda: {"train": rows[:50], "test": rows[50:]}):
        made = tasks.load(functions.hold(task))
        assert sum(map(len, (made.train, made.validation, made.test))) == 60
    assert len(tasks.load(functions.hold_data(rows)).test) == len(
        tasks.load(functions.hold(lambda: rows)).test
    )
    for task, said in ((lambda: [1, 2], "row 1: expected a mapping"), (lambda: 1 / 0, "ZeroDiv")):
        with pytest.raises(reasonkit.RefusedError, match=said):
            tasks.load(functions.hold(task))


def test_a_script_that_starts_a_run_when_imported_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import reasonkit\ndef r(group): return [0]\nreasonkit.grpo(steps=1)\n")
    with pytest.raises(reasonkit.RefusedError, match="__main__"):
        parse([f"{script}:r"])


def test_the_examples_run_and_what_they_leave_goes_on(
    launch: Callable, reasonkit: Callable, tmp_path: Path
) -> None:
    script = EXAMPLES / "own_reward_and_task.py"
    code = "import runpy, sys; sys.argv[:1] = []; runpy.run_path(sys.argv[0], run_name='__main__')"
    ended = launch("-c", code, script, 2, cwd=tmp_path).ended()
    assert ended.code == 0, ended.err
    assert "The answer is" in ended.out or "<think>" in ended.out
    (run,) = (tmp_path / "runs").iterdir()
    resumed = reasonkit("grpo", "--run-dir", run, "--resume")
    assert resumed.code == 0 and "is finished" in resumed.err
    read = launch("-c", code, EXAMPLES / "read_a_run.py", run, cwd=tmp_path).ended()
    assert read.code == 0, read.err
    assert "answers have become right" in read.out


@pytest.mark.slow
def test_a_notebook_shows_one_table_that_is_drawn_anew(tmp_path: Path) -> None:
    nbformat, nbclient = map(pytest.importorskip, ("nbformat", "nbclient"))
    pytest.importorskip("ipykernel")
    asked = ", ".join(f"{name}={value!r}" for name, value in KEYWORDS.items())
    cell = nbformat.v4.new_code_cell(f"import reasonkit\nreasonkit.grpo({asked})")
    book = nbformat.v4.new_notebook(cells=[cell])
    at = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3", resources=at).execute()
    drawn = [output for output in book.cells[0].outputs if output.output_type == "display_data"]
    assert len(drawn) == 1
    assert "step 4/4" in re.sub("<[^>]+>", "", drawn[0]["data"]["text/html"])
    said = "".join(out["text"] for out in book.cells[0].outputs if out.output_type == "stream")
    assert "step 4/4" not in said
