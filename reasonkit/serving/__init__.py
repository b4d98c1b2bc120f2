"""An OpenAI-compatible HTTP server that puts a strategy before an engine.

`offers` says which models there are by name, `backend` answers, `desk` lets requests in, `app` has
the routes, `streaming` what is sent piece by piece, `schema` the bodies, `metrics` the counts, and
`running` the process. Leaves out tools, images, log-probabilities, and TLS, which a proxy adds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServingLimits:
    """What a server takes.

    Attributes:
        concurrency: requests that are answered at once.
        queue: requests that wait beside them; any more are told to come again.
        samples: of a request, at most.
        body: bytes of a request, at most.
        patience: seconds that a request may take to arrive.
        grace: seconds that requests under way have when the server is stopped.
    """

    concurrency: int = 64
    queue: int = 128
    samples: int = 64
    body: int = 1 << 20
    patience: float = 30.0
    grace: int = 20
