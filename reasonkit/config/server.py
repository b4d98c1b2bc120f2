"""The settings of a server that samples in place of a model in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from reasonkit.config.base import CommonConfig, flag

SERVER = "A server in place of a model here"


@dataclass(frozen=True)
class ServerConfig(CommonConfig):
    """Settings of every command that can sample from a server."""

    endpoint: Annotated[
        str | None,
        flag(SERVER, "URL of an OpenAI-compatible API, which ends in /v1; serves the model."),
    ] = None
    api_key_file: Annotated[
        str | None, flag(SERVER, "File with its API key. (default: OPENAI_API_KEY)")
    ] = None
    concurrency: Annotated[int, flag(SERVER, "Requests under way at once.", min=1)] = 16
    requests_per_minute: Annotated[
        float | None, flag(SERVER, "At most. (default: no limit)", min=0.001)
    ] = None
    tokens_per_minute: Annotated[
        float | None, flag(SERVER, "At most, as asked for. (default: no limit)", min=1)
    ] = None
    request_timeout: Annotated[
        float, flag(SERVER, "Seconds that one answer may take.", min=0.1)
    ] = 600.0
