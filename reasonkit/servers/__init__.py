"""Servers that speak OpenAI's chat completions, for all who ask one.

`client` asks, `errors` knows what an error means for a run, `chat` reads answers. What is here is
there without any of that. Leaves out streamed answers, tool calls, and what is asked.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reasonkit.errors import RefusedError

KEY_VARIABLE = "OPENAI_API_KEY"
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Limits:
    """How a server is treated.

    Attributes:
        concurrency: requests under way at once.
        requests_per_minute: at most, evenly spaced; None for no limit.
        tokens_per_minute: at most, counted as what a request may use; None for no limit.
        timeout: seconds that one answer may take.
    """

    concurrency: int = 16
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 600.0


def read_key(path: Path | None) -> str | None:
    """The API key: a file's content, else the environment's ``OPENAI_API_KEY``, else none.

    A secret has no place on a command line or among the settings of a run, and every client of
    such servers reads this variable: it is the only one that reasonkit reads.

    Raises:
        RefusedError: the file can't be read, or there is something else than a key.
    """
    if path is None:
        where, key = KEY_VARIABLE, os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            return None
    else:
        try:
            where, key = str(path), path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RefusedError(f"{path}: can't be read as an API key: {error}") from error
    if not key.isascii() or not key.isprintable() or len(key.split()) != 1:
        raise RefusedError(f"{where}: expected one line with an API key")
    return key
