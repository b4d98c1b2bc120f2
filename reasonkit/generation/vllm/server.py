"""A server of vLLM as the sampler of a run: what it says of itself, and how it is asked.

Leaves out what it is asked: `reasonkit.generation.vllm.served`.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import httpx2
import torch

from reasonkit.errors import RefusedError, RunError

WORKER = "reasonkit.generation.vllm.worker.Worker"
START = (
    "VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --logprobs-mode processed_logprobs "
    f"--generation-config vllm --worker-extension-cls {WORKER}"
)
"""How a server is started whose weights can be replaced, where reasonkit is installed too."""

CONNECTING, LOOK = 10.0, 60.0
"""Seconds that a connection may take to be made, and without an answer before health is asked."""

PROBES = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 6))
"""When the system asks whether a machine is there: after, and every so many seconds, so often."""


class Server:
    """A server that answers, and what it says of itself."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        probes = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        for name, value in PROBES:
            if hasattr(socket, name):
                probes.append((socket.IPPROTO_TCP, getattr(socket, name), value))
        # uvicorn closes a connection that was idle for five seconds.
        limits = httpx2.Limits(max_connections=None, keepalive_expiry=2.0)
        try:
            self.http = httpx2.Client(
                base_url=self.url,
                timeout=httpx2.Timeout(None, connect=CONNECTING),
                transport=httpx2.HTTPTransport(limits=limits, socket_options=probes),
            )
            listed = self.http.get("/v1/models").json()
            told = self.http.get("/server_info", params={"config_format": "json"})
            self.model = str(listed["data"][0]["id"])
            settings = told.json()["vllm_config"]
            self.longest = int(settings["model_config"]["max_model_len"])
            self.dtype = str(settings["model_config"]["dtype"]).removeprefix("torch.")
            self.over_nccl = settings["weight_transfer_config"] is not None
            worker = settings["parallel_config"]["worker_extension_cls"]
            logprobs = settings["model_config"]["logprobs_mode"]
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise RefusedError(f"--vllm-server: {self.url} can't be reached: {error}") from error
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise RefusedError(
                f"--vllm-server: {self.url} takes no weights: start it as: {START}"
            ) from error
        if logprobs != "processed_logprobs" or not (self.over_nccl or worker == WORKER):
            raise RefusedError(f"--vllm-server: {self.url}: start it as: {START}")

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What it answers.

        Raises:
            RunError: it can't be reached, or says no.
        """
        try:
            answer = self.http.post(path, json=body)
        except httpx2.HTTPError as error:
            raise RunError(f"{self.url} has failed: {error!r}") from error
        if answer.status_code != 200:
            said = " ".join(answer.text.split())[:200]
            raise RunError(f"{self.url} has failed: {answer.status_code}: {said}")
        return answer.json() if answer.content else None

    def require_alive(self) -> None:
        """Raises:
        RunError: it isn't.
        """
        try:
            alive = self.http.get("/health", timeout=LOOK).status_code == 200
        except httpx2.HTTPError:
            alive = False
        if not alive:
            raise RunError(f"{self.url} has failed: it isn't there any more")


def require_nccl(servers: Sequence[Server]) -> None:
    """Refuses servers that are not all given weights over NCCL, or a machine that can't do so."""
    lacking = [name for name in ("vllm", "requests") if find_spec(name) is None]
    if not all(server.over_nccl for server in servers):
        raise RefusedError(
            "--vllm-server: some take weights over NCCL, some don't: start all alike"
        )
    if lacking or not torch.cuda.is_available():
        lack = f"{' and '.join(lacking)} here" if lacking else "a GPU here"
        raise RefusedError(f"--vllm-server: weights over NCCL need {lack}; or start it as: {START}")
