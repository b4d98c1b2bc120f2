"""A server that samples in place of a model in this process, as the settings describe it."""

from __future__ import annotations

from pathlib import Path

from reasonkit.config import ServerConfig
from reasonkit.generation.endpoint import EndpointEngine
from reasonkit.servers import Limits, read_key


def connect(config: ServerConfig, model: str | None, logprobs: bool = True) -> EndpointEngine:
    """An engine over the settings' endpoint, which has been asked what it takes.

    Args:
        model: as the server calls it; the only one that it serves where None.
        logprobs: whether to ask for log-probabilities.

    Raises:
        RefusedError: the server is down, isn't one, or wants another key or model.
    """
    assert config.endpoint is not None
    key = read_key(Path(config.api_key_file) if config.api_key_file else None)
    limits = Limits(
        config.concurrency,
        config.requests_per_minute,
        config.tokens_per_minute,
        config.request_timeout,
    )
    engine = EndpointEngine(config.endpoint, model, key, limits, logprobs=logprobs)
    engine.connect()
    return engine
