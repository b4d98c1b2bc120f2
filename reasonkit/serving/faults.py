"""Errors in the shape that clients of OpenAI's API expect, and which status each has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from reasonkit import console
from reasonkit.errors import ReasonkitError, RefusedError, UnknownNameError
from reasonkit.generation.together import GoneError
from reasonkit.serving.schema import Fault, Faulty

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
"""By status; 500 and above are ``server_error``, others an ``invalid_request_error``."""


class LeftError(GoneError):
    """Nobody will read the answer."""


class BusyError(ReasonkitError):
    """There are as many requests as may wait.

    Args:
        seconds: after which there should be a place.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many requests are waiting: try again in {seconds} s")
        self.seconds = seconds


def fault(error: Exception) -> tuple[int, Fault]:
    """The status of an error, and what is said of it."""
    said = str(error)
    if isinstance(error, UnknownNameError):
        return 404, _fault(404, said, "model", "model_not_found")
    if isinstance(error, RefusedError):
        named, colon, _ = said.partition(": ")
        code = "context_length_exceeded" if "context length" in said else None
        return 400, _fault(400, said, named if colon and named.isidentifier() else None, code)
    if isinstance(error, BusyError):
        return 429, _fault(429, said, code="rate_limit_exceeded")
    if isinstance(error, GoneError):
        # The first, which nobody reads but in the counts, is nginx's.
        return 499 if isinstance(error, LeftError) else 503, _fault(503, said)
    if isinstance(error, ReasonkitError):
        return 502, _fault(502, said)
    console.warn(f"{type(error).__name__}: {' '.join(said.split())[:300]}")
    return 500, _fault(500, "an error of the server's own: its log has more")


def _fault(status: int, said: str, param: str | None = None, code: str | None = None) -> Fault:
    kind = "server_error" if status >= 500 else TYPES.get(status, TYPES[400])
    return Fault(message=said, type=kind, param=param, code=code)


def response(
    status: int, said: Fault | str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error as an answer."""
    told = said if isinstance(said, Fault) else _fault(status, said)
    return JSONResponse(Faulty(error=told).model_dump(), status, dict(headers or {}))


def answer_errors(app: FastAPI) -> None:
    """Has an app answer every error so."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()
        # The innermost place of the first, without the body's own name and those of its types.
        where = ".".join(str(part) for part in found[0]["loc"][1:]) if found else ""
        said = "; ".join(_told(one) for one in found[:3])
        param = where.split(".")[0] or None
        return response(400, _fault(400, said[:1000], param))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return response(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return response(*fault(error))

    @app.exception_handler(ReasonkitError)
    async def known(request: Request, error: ReasonkitError) -> JSONResponse:
        seconds = error.seconds if isinstance(error, BusyError) else None
        return response(*fault(error), {"Retry-After": str(seconds)} if seconds else None)


def _told(one: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in one["loc"][1:])
    said = str(one["msg"]).encode(errors="replace").decode()
    return f"{where.encode(errors='replace').decode()}: {said}" if where else said
