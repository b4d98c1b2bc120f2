"""vLLM in this process: the same files as the model's, its weights replaced in place by others.

A prompt is read once for its group, and all requests are in flight together; vLLM decides which
share a batch, so that the same call gives the same completions but for rounding. On a GPU it lends
its memory back between rollouts (sleep mode).

Processes of a machine may hold the model together, each a part of every layer (tensor parallelism,
Shoeybi et al., arXiv:1909.08053): all have the same requests in flight, and draw the same tokens.
Leaves out models that vLLM has no code of its own for.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from reasonkit import processes
from reasonkit.config import CommonConfig
from reasonkit.errors import RefusedError, RunError
from reasonkit.generation.engine import Floor, Named, Sampling, TokenEngine
from reasonkit.generation.together import Request
from reasonkit.generation.vllm.flow import VllmFlow, asked_of
from reasonkit.generation.vllm.presence import QUIET, lack, quiet, require
from reasonkit.generation.vllm.worker import pack_again
from reasonkit.models import precision
from reasonkit.models.chat import end_tokens, positions, text_of
from reasonkit.models.loading import NOWHERE
from reasonkit.types import LIKELIEST, Completion, token_confidence

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from vllm import LLM

__all__ = ["VllmEngine", "lack", "require", "share"]

USUAL = 8192
"""Tokens that a sequence may have, where the settings don't ask for more."""

LENT, OWN = 0.35, 0.85
"""Shares of a GPU's memory, beside a policy in training and alone."""

LIBRARIES = 350_000_000
"""Bytes of what it imports and sets up."""

CACHE = 2**30
"""Bytes of a CPU's memory for keys and values, at least; vLLM counts in these."""


def share(weights: int, config: CommonConfig, trains: bool, gpu: int = 0) -> int:
    """Bytes that vLLM takes for itself.

    Args:
        weights: bytes of those that it has a copy of.
        gpu: bytes of a GPU that isn't this one; 0 where it is.
    """
    if getattr(config, "vllm_server", None):
        return 0
    if precision.device(config.device) == "cuda":
        whole = gpu or torch.cuda.mem_get_info()[1]
        return int(whole * (LENT if trains else OWN))
    return weights // getattr(config, "tensor_parallel", 1) + CACHE + LIBRARIES


class VllmEngine(TokenEngine):
    """Samples by vLLM from a model of transformers; arguments are those of `open_engine`.

    A process has one vLLM at a time: several of these take turns.

    Raises:
        RefusedError: vLLM can't load it.
    """

    name = "vllm"
    tells = frozenset({"confidence", "steady"})

    _here: ClassVar[VllmEngine | None] = None
    llm: LLM

    def __init__(
        self,
        config: CommonConfig,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        trains: bool,
        sure: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.likeliest = LIKELIEST if sure else 0
        self.ends = sorted(end_tokens(model, tokenizer))
        self.dtype = str(precision.products(config) or model.dtype).removeprefix("torch.")
        self.on_gpu = precision.device(config.device) == "cuda"
        self.trains, self.seed, self.source = trains, config.seed, model.name_or_path
        self.tensor_parallel = getattr(config, "tensor_parallel", 1)
        assert config.max_completion_tokens
        longest = max(USUAL, config.max_prompt_tokens + 4 * config.max_completion_tokens)
        self.longest = min(longest, positions(model.config) or longest)
        self._used: tuple[PreTrainedModel, Named | None] | None = None
        try:
            # What it has no kernel for it finds out only as it samples.
            list(self.sample_ids([[self.ends[0]]], 1, Sampling(1), [0]))
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise RefusedError(
                f"--engine vllm can't open {self.source}: {reason}; pass --engine local"
            ) from error

    @property
    def origin(self) -> dict[str, str]:
        """As of `TokenEngine`; the format is vLLM's own."""
        return {"engine": self.name, "dtype": self.dtype}

    @property
    def sleeps(self) -> bool:
        """Whether memory is lent back between rollouts."""
        return self.on_gpu and self.trains

    def _open(self) -> LLM:
        """The one of this process: another's, of a teacher, is closed first, and opened again."""
        if VllmEngine._here is self:
            return self.llm
        if VllmEngine._here is not None:
            VllmEngine._here.close()
        os.environ.update(QUIET)
        options: dict[str, Any] = {"gpu_memory_utilization": LENT if self.trains else OWN}
        if not self.on_gpu:
            # A process has one such setting, and vLLM reads it as it is opened.
            os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(CACHE // 2**30)
            options = {
                "enforce_eager": True,
                # A prompt that is read in parts has its seed turned back, which a CPU's can't be.
                "enable_chunked_prefill": False,
                "max_num_batched_tokens": self.longest,
            }
        if processes.size() > 1:
            from reasonkit.generation.vllm.executor import keep_group

            keep_group()
            # Each process is one of vLLM's workers, on the device that is its own.
            executor = "external_launcher" if self.on_gpu else f"{__name__}.executor.Executor"
            options["distributed_executor_backend"] = executor
            options["tensor_parallel_size"] = self.tensor_parallel
        device = "cuda" if self.on_gpu else "cpu"
        before = processes.held(device)
        from vllm import LLM

        with quiet():
            self.llm = LLM(
                model=self.source,
                tokenizer=self.tokenizer.name_or_path,
                dtype=self.dtype,
                max_model_len=self.longest,
                seed=self.seed,
                generation_config="vllm",
                logprobs_mode="processed_logprobs" if self.trains else "raw_logprobs",
                enable_sleep_mode=self.sleeps,
                disable_log_stats=True,
                **options,
            )
        VllmEngine._here = self
        self.own_bytes = max(0, processes.held(device) - before)
        if self._used is not None:
            self._load(*self._used)
        return self.llm

    def use(
        self,
        model: PreTrainedModel,
        products: torch.dtype | None = None,
        named: Named | None = None,
    ) -> None:
        """As of `TokenEngine`; numbers are rounded to vLLM's own format, whatever ``products``."""
        self._used = None
        with self.answering():
            self._open()
            self._load(model, named)
        self._used = (model, named)

    def _load(self, model: PreTrainedModel, named: Named | None) -> None:
        if named:
            weights = named(model)
        elif any(processes.gathered(model.device.type == NOWHERE)):
            device = "cuda" if self.on_gpu else "cpu"
            weights = ((n, processes.handed_out(p, device)) for n, p in model.named_parameters())
        else:
            weights = ((n, p.data) for n, p in model.named_parameters())
        if self.sleeps:
            self.llm.wake_up(tags=["weights"])
        self.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights)})
        self.llm.apply_model(pack_again)
        self.llm.reset_prefix_cache()

    def sample_ids(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seeds: Sequence[int],
        floors: Sequence[Floor | None] = (),
    ) -> Iterator[tuple[int, list[Completion]]]:
        """As of `TokenEngine`; all processes that sample together have to ask, be it for nothing.

        Raises:
            RunError: vLLM fails; what was sampled before is kept.
        """
        assert not floors
        flow = self.flow()
        asked = [Request(ids, n, sampling, s) for ids, s in zip(prompts, seeds, strict=True)]
        every, first = self._of_peers(asked)
        try:
            for i, request in enumerate(every):
                flow.add(i, request)
            while flow.asked:
                for i, completions in flow.step():
                    if 0 <= i - first < len(asked):
                        yield i - first, completions
        finally:
            for i in [*flow.asked]:
                flow.drop(i)
            if self.sleeps:
                self.llm.sleep(level=1)

    def _of_peers(self, asked: list[Request]) -> tuple[list[Request], int]:
        """What all that sample together ask for, and where of it this process's begins."""
        if self.tensor_parallel == 1:
            return asked, 0
        from torch import distributed
        from vllm.distributed import get_tp_group

        group, every = get_tp_group(), [asked] * self.tensor_parallel
        distributed.all_gather_object(every, asked, group=group.cpu_group)
        return [*chain(*every)], sum(map(len, every[: group.rank_in_group]))

    def flow(self, widest: int = 0, longest: int = 0, rows: int = 1) -> VllmFlow:
        """As of `TokenEngine`; how much goes together is vLLM's own affair.

        Raises:
            RunError: vLLM fails.
        """
        with self.answering():
            self._open()
            if self.sleeps:
                self.llm.wake_up()
        return VllmFlow(self)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Whatever vLLM fails with ends the run, which can be gone on with."""
        from torch.compiler import set_stance

        try:
            # What it compiles of its own on a CPU takes half a minute and saves nothing.
            with set_stance("default" if self.on_gpu else "force_eager"):
                yield
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise RunError(f"vllm has failed: {reason}") from error

    def close(self) -> None:
        """As of `TokenEngine`."""
        if VllmEngine._here is self:
            VllmEngine._here = None
            del self.llm
            gc.collect()

    def params(self, n: int, sampling: Sampling, seed: int) -> Any:
        """What vLLM calls such a sampling."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            **asked_of(n, sampling, seed, self.ends),
            logprobs=self.likeliest,
            detokenize=bool(sampling.stop),
            output_kind=RequestOutputKind.CUMULATIVE if n == 1 else RequestOutputKind.FINAL_ONLY,
        )

    def completion(self, drawn: Any) -> Completion:
        """What was drawn, as ours."""
        ids = tuple(drawn.token_ids)
        logprobs = tuple(
            place[token].logprob for token, place in zip(ids, drawn.logprobs, strict=True)
        )
        sure: tuple[float, ...] = ()
        if self.likeliest:
            told = ([one.logprob for one in place.values()] for place in drawn.logprobs)
            sure = tuple(token_confidence(logprobs) for logprobs in told)
        finish = "stop" if drawn.finish_reason == "stop" else "length"
        text = text_of(self.tokenizer, ids)
        return Completion(
            text,
            ids,
            finish,  # type: ignore[arg-type]
            fmean(logprobs),
            logprobs=logprobs,
            confidences=sure,
        )
