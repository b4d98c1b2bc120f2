"""Asks a server for JSON: bounded in time and size, asked again where that may help.

Left out: rate limits, streamed answers, and following redirects, which could carry a key elsewhere.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import IO, Any
from urllib.parse import urlsplit

from reasonkit.errors import RunError
from reasonkit.server_errors import Scope, is_of_settings, read_error

TIMEOUT = 60.0
"""Seconds that a server has for an answer, all tries together."""

TRIES = 3
PAUSE = 0.5
"""Seconds before the second try; twice as many before each further one."""

LARGEST = 1 << 20
"""Bytes of an answer."""

MOST_SAID = 1 << 14
"""Bytes of an error."""


class DeclinedError(RunError):
    """The server doesn't take this request; it may take others."""


class SettingsError(RunError):
    """The server doesn't take the settings of this request, nor of others."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def post(url: str, payload: Any, key: str | None = None) -> Any:
    """What a server answers to some JSON.

    Args:
        key: sent as a bearer token, but never over plain http to another machine.

    Raises:
        DeclinedError: an error that is of this request alone.
        SettingsError: one that fewer settings may mend.
        RunError: no answer, another error, or no JSON.
    """
    parts = urlsplit(url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    headers = {"Content-Type": "application/json"}
    if key and (parts.scheme == "https" or local):
        headers["Authorization"] = f"Bearer {key}"
    proxies = urllib.request.ProxyHandler({} if local else None)
    opener = urllib.request.build_opener(proxies, _NoRedirects)
    request = urllib.request.Request(url, json.dumps(payload).encode(), headers)
    deadline = time.monotonic() + TIMEOUT
    for attempt in range(TRIES):
        kind, passes = RunError, True
        try:
            with opener.open(request, timeout=max(0.01, deadline - time.monotonic())) as reply:
                status, body = reply.status, _read(reply, deadline)
            told = read_error(status, body)
            if told is None:
                return json.loads(body)
        except urllib.error.HTTPError as error:
            told = read_error(error.code, error.read(MOST_SAID))
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            told, failure = None, str(reason) or type(reason).__name__
        except (ValueError, RecursionError):
            raise RunError(f"{url}: the answer is no JSON") from None
        if told is not None:
            failure = f"HTTP {told.status}: {' '.join(told.said.split())[:200]}"
            passes = told.scope is Scope.MOMENT
            if told.scope is Scope.REQUEST:
                kind = DeclinedError
            elif is_of_settings(told):
                kind = SettingsError
        pause = PAUSE * 2**attempt
        if not passes or attempt + 1 == TRIES or time.monotonic() + pause > deadline:
            break
        time.sleep(pause)
    raise kind(f"{url}: {failure}")


def _read(reply: IO[bytes], deadline: float) -> bytes:
    """All of an answer.

    Raises:
        TimeoutError: it isn't there in time.
        ValueError: it is too large.
    """
    body = b""
    while piece := reply.read(1 << 16):
        body += piece
        if len(body) > LARGEST:
            raise ValueError("too large")
        if time.monotonic() > deadline:
            raise TimeoutError("the answer takes too long")
    return body
