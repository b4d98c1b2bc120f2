"""Makes a thought as long as it may be: budget forcing (s1, arXiv:2501.19393, section 3).

A thought that would end too early goes on with a word such as "Wait"; one that is too long is
closed; then the answer is sampled. Every completion thinks: where neither the chat template nor
the model opens a thought, it is opened for it. Leaves out models that don't think in tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reasonkit.answers.reading import THINK
from reasonkit.generation.drafts import Draft, continued
from reasonkit.generation.engine import Sampling, TokenSampler, seed_of
from reasonkit.models.chat import encode_prompts, text_of
from reasonkit.types import Completion, Example, Group

OPEN, CLOSE = THINK


@dataclass(slots=True)
class _Thought:
    """A draft with its thought's length in tokens; ``ended`` where the model closed it itself."""

    draft: Draft
    length: int = 0

    def write(self, text: str) -> None:
        self.draft = replace(self.draft, text=self.draft.text + text)


class BudgetEngine:
    """Samples completions whose thoughts keep to a budget.

    Args:
        most: tokens of a thought, at most.
        waits: how often a thought that the model would end goes on instead.
        wait_text: what it goes on with.
    """

    def __init__(self, engine: TokenSampler, most: int, waits: int, wait_text: str) -> None:
        self.engine = engine
        self.most = most
        self.waits = waits
        self.wait_text = wait_text

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example.

        A completion's tokens are all that were sampled for it; what is put in its mouth is free.
        """
        prompts, opened = encode_prompts(self.engine.tokenizer, examples)
        thoughts = [
            _Thought(Draft(prompt, "" if open else OPEN))
            for prompt, open in zip(prompts, opened, strict=True)
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
        for i, example in enumerate(examples):
            drafts = [thought.draft for thought in thoughts[i * n : (i + 1) * n]]
            yield Group(example, [draft.completion(opened[i], draft.tokens) for draft in drafts])

    def _continued(
        self, thoughts: Sequence[_Thought], left: Sequence[int], sampling: Sampling, turn: int
    ) -> Iterator[tuple[_Thought, int, Completion]]:
        """Each thought with its room and what the model goes on with, cut off at the room."""
        drafts = [thought.draft for thought in thoughts]
        seeds = [seed_of(sampling.seed, turn, i) for i in range(len(thoughts))]
        longest = replace(sampling, max_tokens=max(left, default=0))
        for i, (made,) in continued(self.engine, drafts, 1, longest, seeds) if drafts else ():
            if made.tokens > left[i]:
                kept = made.token_ids[: left[i]]
                text = text_of(self.engine.tokenizer, kept)
                made = replace(made, text=text, token_ids=kept, finish_reason="length")
            yield thoughts[i], left[i], made
