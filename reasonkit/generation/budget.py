"""Makes a thought as long as it may be: budget forcing (s1, arXiv:2501.19393, section 3).

A thought that would end too early goes on with a word such as "Wait"; one that is too long is
closed; then the answer is sampled. Every completion thinks: where neither the chat template nor
the model opens a thought, it is opened for it. Leaves out models that don't think in tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reasonkit.answers.reading import THINK
from reasonkit.generation import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.generation.local.drawing import seed_of
from reasonkit.models.chat import encode_prompts, text_of
from reasonkit.types import Completion, Example, Group

OPEN, CLOSE = THINK


@dataclass(slots=True)
class _Thought:
    """A completion in the making.

    Attributes:
        prompt: token ids, a thought that the template opened included.
        text: what follows it.
        length: of the thought, in tokens.
        sampled: tokens sampled in all, those that were taken back included.
        logprob: of these, in sum.
        closed: whether the model closed the thought itself, last time it could.
    """

    prompt: list[int]
    text: str
    length: int = 0
    sampled: int = 0
    logprob: float = 0.0
    closed: bool = False

    def add(self, completion: Completion) -> None:
        self.text += completion.text
        self.sampled += completion.tokens
        self.logprob += (completion.mean_logprob or 0.0) * completion.tokens


class BudgetEngine:
    """Samples completions whose thoughts keep to a budget.

    Args:
        engine: samples.
        most: tokens of a thought, at most.
        waits: how often a thought that the model would end goes on instead.
        wait_text: what it goes on with.
    """

    def __init__(self, engine: LocalEngine, most: int, waits: int, wait_text: str) -> None:
        self.engine = engine
        self.most = most
        self.waits = waits
        self.wait_text = wait_text

    def gives_logprobs(self) -> bool:
        """Always."""
        return True

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example.

        A completion's tokens are all that were sampled for it; what is put in its mouth is free.
        """
        prompts, opened = encode_prompts(self.engine.tokenizer, examples)
        thoughts = [
            _Thought(prompt, "" if open else OPEN)
            for prompt, open in zip(prompts, opened, strict=True)
            for _ in range(n)
        ]
        for turn in range(self.waits + 1):
            going = [t for t in thoughts if t.length < self.most and (turn == 0 or t.closed)]
            if turn:
                for thought in going:
                    thought.text += self.wait_text
            self._think(going, sampling, turn)
        for thought in thoughts:
            thought.text += CLOSE
        self._answer(thoughts, sampling)
        for i, example in enumerate(examples):
            mine = thoughts[i * n : (i + 1) * n]
            yield Group(example, [self._completion(t, opened[i]) for t in mine])

    def _think(self, thoughts: Sequence[_Thought], sampling: Sampling, turn: int) -> None:
        """Goes on with thoughts until they close or the budget is used up."""
        left = [self.most - thought.length for thought in thoughts]
        for thought, room, made in self._continued(
            thoughts, left, replace(sampling, stop=(CLOSE,)), turn
        ):
            before, closed, _ = made.text.partition(CLOSE)
            thought.add(replace(made, text=before))
            thought.length += min(room, made.tokens)
            thought.closed = bool(closed) or made.finish_reason == "stop"

    def _answer(self, thoughts: Sequence[_Thought], sampling: Sampling) -> None:
        left = [max(1, sampling.max_tokens - thought.length) for thought in thoughts]
        for thought, _, made in self._continued(thoughts, left, sampling, self.waits + 1):
            thought.add(made)
            thought.closed = made.finish_reason == "stop"

    def _continued(
        self, thoughts: Sequence[_Thought], left: Sequence[int], sampling: Sampling, turn: int
    ) -> Iterator[tuple[_Thought, int, Completion]]:
        """Each thought with its room and what the model goes on with, cut off at the room."""
        if not thoughts:
            return
        tokenizer = self.engine.tokenizer
        ids = [t.prompt + tokenizer(t.text, add_special_tokens=False).input_ids for t in thoughts]
        seeds = [seed_of(sampling.seed, turn, i) for i in range(len(thoughts))]
        longest = replace(sampling, max_tokens=max(left))
        for i, (made,) in self.engine.sample_ids(ids, 1, longest, seeds):
            if made.tokens > left[i]:
                kept = made.token_ids[: left[i]]
                made = replace(
                    made, text=text_of(tokenizer, kept), token_ids=kept, finish_reason="length"
                )
            yield thoughts[i], left[i], made

    def _completion(self, thought: _Thought, opened: str) -> Completion:
        return Completion(
            text=opened + thought.text,
            token_ids=(),
            finish_reason="stop" if thought.closed else "length",
            mean_logprob=thought.logprob / max(1, thought.sampled),
            count=thought.sampled,
        )
