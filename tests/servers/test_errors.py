"""What servers are known to answer, and what it means for a run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.servers.errors import Scope, read_error

FILTERED = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management "
    "policy. Please modify your prompt and retry."
)
ERRORS: list[tuple[int, Any, Scope, str]] = [
    (400, {"message": FILTERED, "code": "content_filter"}, Scope.REQUEST, "content filter"),
    (400, {"message": "Invalid prompt: flagged", "code": "invalid_prompt"}, Scope.REQUEST, ""),
    (403, {"message": "your input was flagged", "code": 403}, Scope.REQUEST, "content filter"),
    (200, {"message": "prompt flagged by moderation"}, Scope.REQUEST, "content filter"),
    (
        400,
        {"message": "8k at most", "code": "context_length_exceeded", "param": "messages"},
        Scope.REQUEST,
        "prompt too long",
    ),
    (400, {"message": "prompt is too long: 9 > 8"}, Scope.REQUEST, "prompt too long"),
    (400, {"message": "maximum context length is 8 tokens", "code": 400}, Scope.REQUEST, ""),
    (413, "Payload Too Large", Scope.REQUEST, "413"),
    (400, {"message": "roles must alternate"}, Scope.REQUEST, "400"),
    (422, [{"loc": ["body", "messages", 0], "msg": "no string"}], Scope.REQUEST, "422"),
    (200, {"message": "bad input", "code": 400}, Scope.REQUEST, "400"),
    (401, {"message": "no", "code": "invalid_api_key"}, Scope.RUN, "invalid_api_key"),
    (401, {"message": "content filter service: who are you?"}, Scope.RUN, ""),
    (400, {"message": "API key not valid. Please pass a valid API key."}, Scope.RUN, ""),
    (402, {"message": "Insufficient credits", "code": 402}, Scope.RUN, "402"),
    (403, {"message": "no access"}, Scope.RUN, ""),
    (404, {"message": "no model m", "code": "model_not_found"}, Scope.RUN, "model_not_found"),
    (400, {"message": "no model m", "code": "model_not_found"}, Scope.RUN, "model_not_found"),
    (429, {"message": "pay", "code": "insufficient_quota"}, Scope.RUN, "insufficient_quota"),
    (400, {"message": "Your credit balance is too low"}, Scope.RUN, ""),
    (400, {"message": "only 1", "code": "unsupported_value", "param": "x"}, Scope.RUN, ""),
    (400, {"message": "0 to 1 only", "param": "temperature"}, Scope.RUN, ""),
    (200, {"message": "who?", "type": "authentication_error"}, Scope.RUN, ""),
    (307, "", Scope.RUN, "307"),
    (429, {"message": "Rate limit reached: 30000 tokens per min"}, Scope.MOMENT, "429"),
    (429, {"message": "Quota exceeded for requests per minute"}, Scope.MOMENT, ""),
    (408, "", Scope.MOMENT, "408"),
    (500, {"message": "Internal Server Error"}, Scope.MOMENT, "500"),
    (503, "<h1>moderation service is down</h1>", Scope.MOMENT, "503"),
    (529, {"message": "busy", "type": "overloaded_error"}, Scope.MOMENT, "overloaded_error"),
    (200, {"message": "upstream failed", "code": 502}, Scope.MOMENT, "502"),
    (200, "something", Scope.MOMENT, "200"),
]


@pytest.mark.parametrize(("status", "error", "scope", "kind"), ERRORS)
def test_an_error_concerns_a_moment_a_request_or_the_run(
    status: int, error: Any, scope: Scope, kind: str
) -> None:
    told = read_error(status, json.dumps({"error": error}).encode())
    assert told is not None
    assert told.scope is scope
    assert told.kind == kind or not kind
    bare = None if status == 200 else read_error(status, json.dumps(error).encode())
    assert bare is None or bare.scope is scope


def test_an_answer_without_an_error_is_none() -> None:
    answers = [{"choices": []}, {"choices": [{}], "error": {"code": 1}}, {"error": None}, [], "", 1]
    assert [read_error(200, json.dumps(answer).encode()) for answer in answers] == [None] * 6
    assert read_error(200, b"<html>") is None


@given(st.integers(201, 599), st.binary(max_size=40) | st.text(max_size=40).map(json.dumps))
def test_whatever_else_is_said_is_an_error_in_words(status: int, said: bytes | str) -> None:
    told = read_error(status, said if isinstance(said, bytes) else said.encode())
    assert told is not None
    assert told.kind
