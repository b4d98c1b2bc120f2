"""What an error of an OpenAI-compatible server means for a run: one table for all who ask servers.

It passes, is of this request alone, or would be said of every request. Servers agree on little, so
wording, code and status all count. Leaves out connections that fail, which `client` knows of.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Way = TypeVar("Way")


class Scope(enum.Enum):
    """Whom an error concerns."""

    MOMENT = "the same request may be answered in a moment"
    REQUEST = "other requests may be answered"
    RUN = "no request will be answered"


OF_THE_PROMPT = {
    "content filter": re.compile(
        r"content.?filter|content.?(management|policy)|moderation|flagged|safety|data_inspection"
        r"|policy.?violation|invalid_prompt|(prohibited|inappropriate|sensitive).{0,20}content",
        re.IGNORECASE | re.DOTALL,
    ),
    "prompt too long": re.compile(
        r"context.{0,3}(length|window|size)|max_model_len|prompt.{0,20}too (long|large)"
        r"|(prompt|input|messages).{0,60}(longer than|exceeds?)",
        re.IGNORECASE | re.DOTALL,
    ),
}
"""Codes and words for a prompt that is filtered, or too long."""

OF_THE_ACCOUNT = re.compile(
    r"insufficient.?(quota|balance|credit|fund)|billing|current quota|credit balance"
    r"|(invalid|incorrect|missing).{0,5}api.?key|api.?key.{0,20}(invalid|not valid)"
    r"|authentication|model_not_found|deployment.?not.?found",
    re.IGNORECASE,
)
"""Codes and words for what no request gets round: money, the key, the model."""

OF_THE_SETTINGS = re.compile(
    r"unsupported_(parameter|value)|unknown_parameter"
    r"|\b(temperature|top_p|top_k|min_p|max_tokens|max_completion_tokens|logprobs)\b"
)
PROMPTS = ("", "messages", "prompt", "input")
"""What an error's ``param`` says where it isn't about a setting, which all requests share."""

PASSING = (408, 409, 425, 429, 498, 499)
LASTING = (401, 402, 403, 404, 405, 407, 410, 501)
LARGE = (413, 451)


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error as a server told it.

    Attributes:
        status: HTTP's; in an answer of status 200 that of the error inside, where it tells one.
        said: in its words; may be empty.
        kind: what it is, in a word or two, to count by.
        scope: whom it concerns.
    """

    status: int
    said: str
    kind: str
    scope: Scope


class UnansweredError(Exception):
    """A request that came to nothing.

    Attributes:
        line: what happened and what to do.
        scope: whom it concerns; what has passed by no try is of a moment still.
        kind: a word or two for it, to count by.
        status: the server's, where there was an answer.
    """

    def __init__(self, line: str, scope: Scope, kind: str, status: int | None) -> None:
        super().__init__(line)
        self.line, self.scope, self.kind, self.status = line, scope, kind, status

    @property
    def is_refusal(self) -> bool:
        """Whether the server doesn't know something of what the request asks for."""
        return self.status in (400, 422)


async def first_taken(
    ways: Iterable[Way],
    ask: Callable[[Way], Awaitable[T]],
    telling: Callable[[list[UnansweredError]], UnansweredError] = lambda refusals: refusals[-1],
) -> tuple[Way, T]:
    """The first way of asking that a server doesn't refuse, with what it gives.

    Raises:
        UnansweredError: the most telling of the refusals, or what came in between.
    """
    refusals = []
    for way in ways:
        try:
            return way, await ask(way)
        except UnansweredError as error:
            if not error.is_refusal:
                raise
            refusals.append(error)
    raise telling(refusals)


def read_error(status: int, raw: bytes) -> ServerError | None:
    """The error in an answer; None where it is none, whatever else it may be."""
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        answer = raw.decode(errors="replace")
    if status == 200:
        if not isinstance(answer, dict) or not answer.get("error") or answer.get("choices"):
            return None
        inside = answer["error"].get("code") if isinstance(answer["error"], dict) else None
        if re.fullmatch("[45][0-9][0-9]", str(inside)):
            status = int(str(inside))
    error = answer.get("error") or answer if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        error = {"message": error}
    text = next((error[name] for name in ("message", "detail") if error.get(name)), None)
    said = str(error if text is None and error.keys() - {"message"} else text or "")
    names = [str(error[name]) for name in ("code", "type") if error.get(name)]
    named = next((name for name in names if not name.isdecimal()), "")
    param = str(error.get("param") or "").split(".")[0].split("[")[0]
    told = f"{' '.join(names)} {said}"
    of_prompt = next((kind for kind, words in OF_THE_PROMPT.items() if words.search(told)), "")
    scope = _scope(status, told, param, of_prompt)
    kind = of_prompt if scope is Scope.REQUEST and of_prompt else named or str(status)
    return ServerError(status, said, kind, scope)


def _scope(status: int, told: str, param: str, of_prompt: str) -> Scope:
    if status in LARGE:
        return Scope.REQUEST
    if status in LASTING and not (status == 403 and of_prompt):
        return Scope.RUN
    if status in PASSING:
        return Scope.RUN if OF_THE_ACCOUNT.search(told) else Scope.MOMENT
    if status >= 500:
        return Scope.MOMENT
    if of_prompt:
        return Scope.REQUEST
    about_all = 300 <= status < 400 or OF_THE_ACCOUNT.search(told) or OF_THE_SETTINGS.search(told)
    if about_all or param not in PROMPTS:
        return Scope.RUN
    return Scope.MOMENT if status == 200 else Scope.REQUEST
