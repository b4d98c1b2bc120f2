"""vLLM's servers, on devices of their own, which are given a policy's weights before it samples.

Weights go through a folder that a server sees too, beside the list of servers where that is a file,
or, where it was started for that, over NCCL by TRL's client. All completions are in flight at once,
dealt to the servers in turn. One that is lost ends the run, which can be gone on with: where it is
started again it has other weights. Leaves out starting servers.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from reasonkit import processes
from reasonkit.errors import RefusedError, RunError
from reasonkit.generation.engine import Floor, Named, Sampling, TokenEngine
from reasonkit.generation.fleet import urls_of
from reasonkit.generation.together import Request
from reasonkit.generation.vllm.flow import asked_of
from reasonkit.generation.vllm.server import LOOK, Server, require_nccl
from reasonkit.models.chat import end_tokens, text_of
from reasonkit.types import Completion

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.config import GrpoConfig

IN_FLIGHT = 128
"""Prompts that one server is asked for at once; it has a queue of its own."""

FILE = 2**30
"""Bytes of weights that are gathered and written together."""

FIRST_PORT = 51216
"""Of the first server's weights over NCCL, as TRL has it."""


class ServedEngine(TokenEngine):
    """Samples by servers of vLLM from a model of transformers, whose weights they are given.

    Raises:
        RefusedError: one can't be reached, wasn't started for this, or reads too few tokens.
        RunError: it doesn't take the weights.
    """

    name = "vllm"
    tells = frozenset({"confidence"})

    def __init__(
        self,
        config: GrpoConfig,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        columns: int,
    ) -> None:
        assert config.vllm_server
        self.tokenizer = tokenizer
        self.ends = sorted(end_tokens(model, tokenizer))
        listed = Path(config.vllm_server)
        # A list that is made on other machines is where they see it.
        self.beside = listed.parent if listed.is_file() else None
        self.servers = [Server(url) for url in urls_of(config.vllm_server)]
        for server in self.servers:
            if server.longest < columns:
                raise RefusedError(
                    f"--vllm-server: {server.url} reads {server.longest} tokens, and prompt and "
                    f"completion may have {columns}: start it with --max-model-len {columns}"
                )
        if self.over_nccl:
            require_nccl(self.servers)
        self._jobs = queue.SimpleQueue[Callable[[], None]]()
        self._threads = 0
        self._clients: list[Any] = []
        # Another run may have left other weights there.
        self.use(model)

    @property
    def origin(self) -> dict[str, str]:
        """As of `TokenEngine`; the format is the servers' own."""
        return {"engine": self.name, "dtype": self.servers[0].dtype}

    @property
    def over_nccl(self) -> bool:
        """Whether any server was started to get its weights so."""
        return any(server.over_nccl for server in self.servers)

    def use(
        self,
        model: PreTrainedModel,
        products: torch.dtype | None = None,
        named: Named | None = None,
    ) -> None:
        """As of `TokenEngine`; the first process alone sends, and the others gather with it."""
        weights = named(model) if named else ((n, p.data) for n, p in model.named_parameters())
        if not processes.is_main():
            for _ in weights if named else ():
                pass
        elif self.over_nccl:
            self._broadcast(weights)
        else:
            self._hand_over(weights)
        for server in self.servers if processes.is_main() else ():
            if not server.post("/reset_prefix_cache")["success"]:
                raise RunError(f"{server.url} is at work for somebody else: it is for one run")
        processes.gathered(None)

    def _hand_over(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Through a folder.

        Raises:
            RunError: it can't be written, or a server doesn't see it.
        """
        dtype = getattr(torch, self.servers[0].dtype)
        try:
            with TemporaryDirectory(prefix="reasonkit-weights-", dir=self.beside) as folder:
                files = _write(weights, Path(folder), dtype)
                body = {"method": "take_weights", "args": [folder, files]}
                with ThreadPoolExecutor(len(self.servers)) as threads:
                    list(threads.map(lambda one: one.post("/collective_rpc", body), self.servers))
        except (OSError, SafetensorError) as error:
            raise RunError(f"weights for servers can't be written: {error}") from error

    def _broadcast(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """To all servers at once, each of which is in a group of its own with this process.

        Raises:
            RunError: whatever TRL fails with.
        """
        try:
            self._send(weights)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise RunError(f"weights don't get to the servers: {reason}") from error

    def _send(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        from trl.generation.vllm_client import VLLMClient

        if not self._clients:
            for number, server in enumerate(self.servers):
                client = VLLMClient(server.url, group_port=FIRST_PORT + number)
                client.init_communicator(torch.cuda.current_device())
                self._clients.append(client)
        with ExitStack() as updates:
            for client in self._clients:
                updates.enter_context(client.weight_update())
            for name, tensor in weights:
                sent = tensor.to("cuda", getattr(torch, self.servers[0].dtype))
                for client in self._clients:
                    client.update_named_param(name, sent)

    def sample_ids(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seeds: Sequence[int],
        floors: Sequence[Floor | None] = (),
    ) -> Iterator[tuple[int, list[Completion]]]:
        """As of `TokenEngine`.

        Raises:
            RunError: a server fails; what was sampled before is kept.
        """
        assert not floors
        flow = self.flow()
        for i, (ids, seed) in enumerate(zip(prompts, seeds, strict=True)):
            flow.add(i, Request(ids, n, sampling, seed))
        while flow.asked:
            yield from flow.step()

    def flow(self, widest: int = 0, longest: int = 0, rows: int = 1) -> ServedFlow:
        """As of `TokenEngine`; how much goes together is the servers' own affair."""
        return ServedFlow(self)

    def have(self, job: Callable[[], None]) -> None:
        """Has a thread do it, which ends with the process, whatever it waits for."""
        self._jobs.put(job)
        if self._threads < IN_FLIGHT * len(self.servers):
            self._threads += 1
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()

    def ask(self, number: int, asked: Request) -> list[Completion]:
        """What the server whose turn it is draws for a prompt.

        Raises:
            RunError: it fails.
        """
        server = self.servers[(processes.rank() + number) % len(self.servers)]
        body = {
            "model": server.model,
            "prompt": list(asked.ids),
            "logprobs": 0,
            "repetition_penalty": 1.0,
            "return_token_ids": True,
            **asked_of(asked.n, asked.sampling, asked.seed, self.ends),
        }
        drawn = [self._completion(one) for one in server.post("/v1/completions", body)["choices"]]
        return drawn * (asked.n // len(drawn))

    def _completion(self, drawn: dict[str, Any]) -> Completion:
        ids, logprobs = tuple(drawn["token_ids"]), tuple(drawn["logprobs"]["token_logprobs"])
        return Completion(
            text_of(self.tokenizer, ids),
            ids,
            "stop" if drawn["finish_reason"] == "stop" else "length",
            fmean(logprobs),
            logprobs=logprobs,
        )

    def close(self) -> None:
        """As of `TokenEngine`."""
        for client in self._clients:
            client.close_communicator()


class ServedFlow:
    """A `reasonkit.generation.together.Flow` of servers, each prompt a request.

    Attributes:
        asked: the prompts that are under way.
    """

    def __init__(self, engine: ServedEngine) -> None:
        self.engine = engine
        self.asked = set[int]()
        self._arrived = queue.SimpleQueue[tuple[int, list[Completion] | Exception]]()

    def add(self, number: int, asked: Request) -> None:
        """As of `Flow`; watches none."""
        assert asked.floor is None
        self.asked.add(number)
        self.engine.have(partial(self._ask, number, asked))

    def _ask(self, number: int, asked: Request) -> None:
        try:
            self._arrived.put((number, self.engine.ask(number, asked)))
        except Exception as error:
            self._arrived.put((number, error))

    def step(self) -> Iterator[tuple[int, list[Completion]]]:
        """As of `Flow`: waits for the next answer.

        Raises:
            RunError: a server fails.
        """
        try:
            number, made = self._arrived.get(timeout=LOOK)
        except queue.Empty:
            for server in self.engine.servers:
                server.require_alive()
            return
        if isinstance(made, Exception):
            raise made
        if number in self.asked:
            self.asked.remove(number)
            yield number, made

    def drawn(self, number: int) -> list[int]:
        """As of `Flow`: nothing is told before it is finished."""
        return []

    def drop(self, number: int) -> None:
        """As of `Flow`; what is under way is finished, for nobody."""
        self.asked.discard(number)


def _write(weights: Iterable[tuple[str, torch.Tensor]], folder: Path, dtype: torch.dtype) -> int:
    """Weights into files, in the servers' format, a part in memory at a time; how many they are."""
    part: dict[str, torch.Tensor] = {}
    count = size = 0

    def save() -> None:
        nonlocal part, count, size
        save_file(part, folder / f"{count:05}.safetensors")
        part, count, size = {}, count + 1, 0

    for name, tensor in weights:
        part[name] = tensor.detach().to("cpu", dtype, copy=True).contiguous()
        size += part[name].nbytes
        if size >= FILE:
            save()
    if part:
        save()
    return count
