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

TIMEOUT = 60.0
"""Seconds that a server has for an answer, all tries together."""

TRIES = 3
PAUSE = 0.5
"""Seconds before the second try; twice as many before each further one."""

LARGEST = 1 << 20
"""Bytes of an answer."""

PASSING = (408, 429, 500, 502, 503, 504)
"""Statuses that may be others in a moment."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def post(url: str, payload: Any, key: str | None = None) -> Any:
    """What a server answers to some JSON.

    Args:
        key: sent as a bearer token, but never over plain http to another machine.

    Raises:
        RunError: no answer, an error, or no JSON.
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
        try:
            with opener.open(request, timeout=max(0.01, deadline - time.monotonic())) as reply:
                body = _read(reply, deadline)
            return json.loads(body)
        except urllib.error.HTTPError as error:
            said = " ".join(error.read(300).decode("utf-8", "replace").split())
            failure, passing = f"HTTP {error.code}: {said[:200]}", error.code in PASSING
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            failure, passing = str(reason) or type(reason).__name__, True
        except (ValueError, RecursionError):
            failure, passing = "the answer is no JSON", False
        pause = PAUSE * 2**attempt
        if not passing or attempt + 1 == TRIES or time.monotonic() + pause > deadline:
            break
        time.sleep(pause)
    raise RunError(f"{url}: {failure}")


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
