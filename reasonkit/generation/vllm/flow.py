"""vLLM's own scheduler, for prompts that come one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reasonkit.generation.engine import Sampling
from reasonkit.generation.together import Request
from reasonkit.types import Completion

if TYPE_CHECKING:
    from reasonkit.generation.vllm import VllmEngine


def asked_of(n: int, sampling: Sampling, seed: int, ends: Sequence[int]) -> dict[str, Any]:
    """What vLLM calls such a sampling, here and over HTTP."""
    return {
        # All greedy completions of a prompt are the same.
        "n": 1 if sampling.temperature == 0 else n,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "seed": seed % 2**63,
        "max_tokens": sampling.max_tokens,
        "stop": [text for text in sampling.stop if text],
        "include_stop_str_in_output": True,
        "stop_token_ids": ends,
        "ignore_eos": True,
        "skip_special_tokens": False,
    }


class VllmFlow:
    """A `reasonkit.generation.together.Flow` of vLLM's own scheduler.

    Attributes:
        asked: how many completions of each prompt are under way.
    """

    def __init__(self, engine: VllmEngine) -> None:
        self.engine = engine
        self.asked: dict[int, int] = {}
        self._drawn: dict[int, list[int]] = {}

    def add(self, number: int, asked: Request) -> None:
        """As of `Flow`; watches none."""
        assert asked.floor is None
        params = self.engine.params(asked.n, asked.sampling, asked.seed)
        with self.engine.answering():
            self.engine.llm.llm_engine.add_request(
                str(number), {"prompt_token_ids": list(asked.ids)}, params
            )
        self.asked[number] = asked.n

    def step(self) -> Iterator[tuple[int, list[Completion]]]:
        """As of `Flow`."""
        with self.engine.answering():
            outputs = self.engine.llm.llm_engine.step()
        for output in outputs:
            number = int(output.request_id)
            if output.finished:
                drawn = [self.engine.completion(one) for one in output.outputs]
                self._drawn.pop(number, None)
                yield number, drawn * (self.asked.pop(number) // len(drawn))
            else:
                self._drawn[number] = list(output.outputs[0].token_ids)

    def drawn(self, number: int) -> list[int]:
        """As of `Flow`."""
        return self._drawn.get(number, [])

    def drop(self, number: int) -> None:
        """As of `Flow`."""
        if self.asked.pop(number, 0):
            self._drawn.pop(number, None)
            self.engine.llm.llm_engine.abort_request([str(number)])
