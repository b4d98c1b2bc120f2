"""vLLM's own scheduler, for prompts that come one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reasonkit.generation.together import Request
from reasonkit.types import Completion

if TYPE_CHECKING:
    from reasonkit.generation.vllm import VllmEngine


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
