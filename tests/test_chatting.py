"""`reasonkit chat`: what is said is what is sampled, as it comes, with its thoughts apart."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from reasonkit import chatting
from reasonkit.answering import parted
from reasonkit.chatting import Chat
from reasonkit.config import VoteConfig
from reasonkit.generation.engine import Sampling


@pytest.fixture(scope="module")
def chat() -> Chat:
    return chatting.open_chat(VoteConfig(model="abacus-reasoner", device="cpu"), None, 0.0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_is_streamed_is_what_is_sampled(chat: Chat, temperature: float) -> None:
    asked, sampling = chat.prompt("What is (1+5)*3+6?"), Sampling(60, temperature, seed=3)
    pieces = list(chat.engine.stream(asked, sampling))
    (group,) = chat.engine.sample([asked], 1, sampling)
    assert "".join(pieces) == group.completions[0].text
    assert len(pieces) > 5


@pytest.mark.parametrize("size", [1, 3, 100])
def test_thoughts_are_told_apart_wherever_the_pieces_are_cut(size: int) -> None:
    text = "<think>2<3, so a</think>It is <b>4</b>.<answer>4</answer>"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    told = {True: "", False: ""}
    for thinking, piece in parted(pieces):
        told[thinking] += piece
    assert told == {True: "2<3, so a", False: "It is <b>4</b>.4"}


def test_piped_questions_get_an_answer_each(
    chat: Chat, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "thoughts", False)
    lines = ["What is 2+3*4?\n", "\n", "/vote 4", "What is (1+5)*3+6?", "/quit", "What is 1+1?"]
    chatting.answer_lines(chat, io.StringIO("\n".join(lines)))
    assert capsys.readouterr().out == "14\n24\n"
    assert chat.obey("/vote 1") and chat.votes == 1


def test_a_conversation_remembers_and_forgets(chat: Chat) -> None:
    kept = Chat(chat.respondent, Sampling(8, 0.0), "Be brief.", True)
    "".join(kept.answer("What is 1+1?"))
    roles = [message["role"] for message in kept.prompt("And 2+2?").messages]
    assert roles == ["system", "user", "assistant", "user"]
    kept.obey("/system")
    assert [message["role"] for message in kept.prompt("And 2+2?").messages] == ["user"]
    assert "/vote N" in kept.obey("/vote many")
    with pytest.raises(EOFError):
        kept.obey("/quit")


def test_chat_refuses_what_is_no_model(reasonkit: Callable, tmp_path: Path) -> None:
    refused = reasonkit("chat", tmp_path)
    assert refused.code == 2
    assert "holds no model" in refused.err
