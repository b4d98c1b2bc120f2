"""The process of a server: what it listens on, who may ask it, and how it ends."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from reasonkit.answering import Respondent
from reasonkit.errors import RefusedError
from reasonkit.servers import LOCAL
from reasonkit.serving import ServingLimits
from reasonkit.serving.app import make
from reasonkit.serving.backend import Backend
from reasonkit.serving.offers import Menu


def require_guarded(host: str, key: str | None) -> None:
    """Refuses to listen to other machines without a key.

    Raises:
        RefusedError: there is none.
    """
    if key is None and host not in LOCAL:
        raise RefusedError(
            f"--host {host} lets other machines ask: pass --require-key FILE, a file with the key "
            "that they bring"
        )


def listen(host: str, port: int) -> socket.socket:
    """What the server listens on.

    Args:
        port: 0 takes any that is free.

    Raises:
        RefusedError: it can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise RefusedError(f"--host {host} --port {port}: {error}: choose another") from error


def run(
    respondent: Respondent,
    name: str,
    route: bool,
    listening: socket.socket,
    limits: ServingLimits,
    key: str | None,
    ready: Callable[[Menu], object],
) -> None:
    """Serves until SIGTERM or Ctrl-C; what is under way then has the grace time to end.

    Args:
        name: of the plain model.
        route: as of `reasonkit.serving.offers.Menu`.
        key: as of `reasonkit.serving.desk.Gate`.
        ready: called before the first request is answered.
    """
    backend = Backend(respondent, limits.samples)
    menu = Menu(respondent, name, limits.samples, route)
    app = make(backend, menu, limits, key)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=limits.grace,
    )
    ready(menu)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        # The signal that ended it, which uvicorn hands on once it is done.
        pass
    finally:
        app.state.desk.close()
        backend.close()
        listening.close()
