"""A teacher is found and checked by the rules that every model is loaded by."""

from __future__ import annotations

import shutil
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

from reasonkit.config import DistillConfig
from reasonkit.errors import RefusedError
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.traces.teacher import Teacher, find, look_ahead, require_same_tokens
from reasonkit.types import Example

ASKED = [Example(f"e{i}", "t", ({"role": "user", "content": f"{i}?"},), "0") for i in range(4)]


def test_a_teacher_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    student = resolve("abacus-mini")
    folder = tmp_path / "teacher"
    shutil.copytree(student.source, folder)
    taught = Teacher("teacher", student.entry, model=resolve(str(folder)))
    tokenizer, model = load_tokenizer(student)[0], load_model(student, "cpu", "float32")
    require_same_tokens(taught, tokenizer, model)
    (folder / "config.json").write_text("{")
    with pytest.raises(RefusedError, match=r"teacher: can't be loaded from .*/teacher"):
        require_same_tokens(taught, tokenizer, model)


@pytest.mark.parametrize("takes_0", [True, False])
def test_a_teacher_is_measured_greedily_unless_its_server_takes_no_temperature_0(
    chat: SimpleNamespace, takes_0: bool
) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if body.get("temperature", 1) == 0 and not takes_0:
            chat.send(to, {"error": {"message": "1 only"}}, 400)
        else:
            chat.send(to, chat.answer(chat.choice("14")))

    with chat.serving(reply, probe=reply) as server:
        taught = find(DistillConfig(endpoint=server.url))
        assert taught is not None
        assert taught.temperature(50) == (0 if takes_0 else 1)


def test_a_teacher_may_refuse_some_of_the_first_questions_but_not_all(
    chat: SimpleNamespace,
) -> None:
    refused = {"0?"}

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if body["messages"][-1]["content"] in refused:
            chat.send(to, {"error": {"message": "no", "code": "content_filter"}}, 400)
        else:
            chat.send(to, chat.answer(chat.choice("14")))

    with chat.serving(reply) as server:
        config = DistillConfig(endpoint=server.url, max_completion_tokens=50, samples=2)
        taught = find(config)
        assert taught is not None
        groups = look_ahead(taught, ASKED, config)
        assert {group.example.id for group in groups} == {"e1", "e2", "e3"}
        refused |= {"1?", "2?", "3?"}
        with pytest.raises(RefusedError, match="no sample could be had: content filter"):
            look_ahead(taught, ASKED, config)
