"""Makes a thought as long as it may be: budget forcing (s1, arXiv:2501.19393, section 3).

A thought that would end too early goes on with a word such as "Wait"; one that is too long is
closed; then the answer is sampled. Every completion thinks: where neither the chat template nor
the model opens a thought, it is opened for it. A server goes on with what its assistant is said to
have begun. Leaves out models that don't think in tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reasonkit.answers.reading import THINK
from reasonkit.errors import RunError
from reasonkit.generation.drafts import Draft, continued
from reasonkit.generation.engine import Sampling, TokenSampler, seed_of
from reasonkit.generation.paid import PaidEngine, Wish
from reasonkit.models.chat import encode_prompts, text_of
from reasonkit.types import Completion, Example, Group, Message

OPEN, CLOSE = THINK


@dataclass(slots=True)
class _Thought:
    """A draft with its thought's length in tokens; ``ended`` where the model closed it itself.

    ``failed`` is what a server gave in place of a continuation.
    """

    example: Example
    draft: Draft
    length: int = 0
    failed: Completion | None = None

    def write(self, text: str) -> None:
        self.draft = replace(self.draft, text=self.draft.text + text)


class BudgetEngine:
    """Samples completions whose thoughts keep to a budget.

    Args:
        engine: one behind a server goes on with what is begun
            (`reasonkit.generation.paid.ServerEngine.require_continuing`).
        most: tokens of a thought, at most.
        waits: how often a thought that the model would end goes on instead.
        wait_text: what it goes on with.
    """

    def __init__(
        self, engine: TokenSampler | PaidEngine, most: int, waits: int, wait_text: str
    ) -> None:
        self.engine = engine
        self.most = most
        self.waits = waits
        self.wait_text = wait_text

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example.

        A completion's tokens are all that were sampled for it; what is put in its mouth is free.

        Raises:
            RunError: a server gave nothing at all, or see `ServerEngine.draw`.
        """
        prompts: list[list[int]] = [[] for _ in examples]
        opened = [""] * len(examples)
        if isinstance(self.engine, TokenSampler):
            prompts, opened = encode_prompts(self.engine.tokenizer, examples)
        thoughts = [
            _Thought(example, Draft(prompt, "" if open else OPEN))
            for example, prompt, open in zip(examples, prompts, opened, strict=True)
            for _ in range(n)
        ]
        closing = replace(sampling, stop=(CLOSE,))
        for turn in range(self.waits + 1):
            going = [t for t in thoughts if t.length < self.most and (turn == 0 or t.draft.ended)]
            for thought in going if turn else ():
                thought.write(self.wait_text)
            left = [self.most - thought.length for thought in going]
            for thought, room, made in self._continued(going, left, closing, turn):
                before, closed, _ = made.text.partition(CLOSE)
                ended = bool(closed) or made.finish_reason == "stop"
                thought.draft = thought.draft.grown(replace(made, text=before), ended)
                thought.length += min(room, made.tokens)
        for thought in thoughts:
            thought.write(CLOSE)
        left = [max(1, sampling.max_tokens - thought.length) for thought in thoughts]
        for thought, _, made in self._continued(thoughts, left, sampling, self.waits + 1):
            thought.draft = thought.draft.grown(made, made.finish_reason == "stop")
        failures = [t.failed.failure for t in thoughts if t.failed]
        if thoughts and len(failures) == len(thoughts):
            raise RunError(f"no sample could be had: {failures[-1]}")
        for i, example in enumerate(examples):
            mine = thoughts[i * n : (i + 1) * n]
            told = [t.failed or t.draft.completion(opened[i], t.draft.tokens) for t in mine]
            yield Group(example, told)

    def _continued(
        self, thoughts: Sequence[_Thought], left: Sequence[int], sampling: Sampling, turn: int
    ) -> Iterator[tuple[_Thought, int, Completion]]:
        """Each thought with its room and what the model goes on with, cut off at the room."""
        if not isinstance(self.engine, TokenSampler):
            yield from self._asked(self.engine, thoughts, left, sampling)
            return
        drafts = [thought.draft for thought in thoughts]
        seeds = [seed_of(sampling.seed, turn, i) for i in range(len(thoughts))]
        longest = replace(sampling, max_tokens=max(left, default=0))
        for i, (made,) in continued(self.engine, drafts, 1, longest, seeds) if drafts else ():
            if made.tokens > left[i]:
                kept = made.token_ids[: left[i]]
                text = text_of(self.engine.tokenizer, kept)
                made = replace(made, text=text, token_ids=kept, finish_reason="length")
            yield thoughts[i], left[i], made

    def _asked(
        self,
        engine: PaidEngine,
        thoughts: Sequence[_Thought],
        left: Sequence[int],
        sampling: Sampling,
    ) -> Iterator[tuple[_Thought, int, Completion]]:
        """The same of a server, as it answers; what has failed is asked no more."""
        wishes = []
        for i, (thought, room) in enumerate(zip(thoughts, left, strict=True)):
            begun: Message = {"role": "assistant", "content": thought.draft.text}
            asked = replace(thought.example, messages=(*thought.example.messages, begun))
            if not thought.failed:
                wishes.append(Wish(asked, (i,), room))
        for drawn in engine.draw(wishes, sampling, lambda drawn: None) if wishes else ():
            thought, made = thoughts[drawn.place], drawn.completion
            if made.failure:
                thought.failed = made
            else:
                yield thought, left[drawn.place], made
