"""Batched sampling over a transformers model's own forward.

A prompt is prefilled once for its whole group, rows that have ended are dropped, and prompts of
similar length share a block. Leaves out refilling freed slots, compiled graphs and paged caches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from reasonkit.generation import Sampling
from reasonkit.generation.local.drawing import Drawing, seed_of, uniforms
from reasonkit.generation.local.stopping import Stops, end_tokens
from reasonkit.types import Completion, Example, FinishReason, Group

ROWS = 384
"""Completions a block: enough to keep two cores busy, few enough to fit beside a small model."""

COMPACT_BELOW = 0.8
"""Finished rows are dropped once no more than this share of a batch is still running."""

_OPENED_THOUGHT = re.compile(r"<think>\s*\Z")


def prompt_text(tokenizer: PreTrainedTokenizerBase, example: Example) -> str:
    """The prompt as the model sees it, the assistant's turn opened."""
    rendered = tokenizer.apply_chat_template(
        list(example.messages), tokenize=False, add_generation_prompt=True
    )
    return str(rendered)


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]
) -> tuple[list[list[int]], list[str]]:
    """Token ids of each prompt, and the thinking tag that its template has already opened."""
    texts = [prompt_text(tokenizer, example) for example in examples]
    ids = tokenizer(texts, add_special_tokens=False).input_ids
    opened = [m.group() if (m := _OPENED_THOUGHT.search(text)) else "" for text in texts]
    return ids, opened


class LocalEngine:
    """Samples from a model in this process.

    Args:
        model: any causal language model of transformers, already on its device.
        tokenizer: with a chat template.
        rows: completions sampled at once.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: int = ROWS
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.rows = rows

    def gives_logprobs(self) -> bool:
        """Always."""
        return True

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example as soon as it is finished.

        What is drawn for an example depends on ``sampling``, on its task and id and on the place in
        the group. The examples that it is sampled with change its logits by no more than rounding;
        the same call gives the same bytes.
        """
        prompts, opened = encode_prompts(self.tokenizer, examples)
        seeds = [seed_of(sampling.seed, example.task, example.id) for example in examples]
        for i, completions in self.sample_ids(prompts, n, sampling, seeds):
            if opened[i]:
                completions = [replace(c, text=opened[i] + c.text) for c in completions]
            yield Group(examples[i], completions)

    def sample_ids(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Continues token ids: yields a prompt's number with its ``n`` completions.

        Args:
            prompts: token ids of each, none empty: a chat template's, or also the beginning of an
                answer that is to be gone on with.
            seeds: of each prompt, for which the same completions are drawn wherever it stands and
                of which a smaller ``n`` draws the first; by default from ``sampling.seed`` and
                the prompt's number.

        The completions hold what is new alone, without the prompt.
        """
        if seeds is None:
            seeds = [seed_of(sampling.seed, i) for i in range(len(prompts))]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        size = max(1, self.rows // n)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            sampled = sample_block(
                self.model,
                self.tokenizer,
                [prompts[i] for i in chosen],
                n,
                sampling,
                [seeds[i] for i in chosen],
            )
            for place, i in enumerate(chosen):
                rows = sampled[place * n : (place + 1) * n]
                yield i, [self._completion(*row) for row in rows]

    def _completion(self, ids: list[int], logprob: float, finish: FinishReason) -> Completion:
        text = str(self.tokenizer.decode(ids, skip_special_tokens=True))
        return Completion(text, tuple(ids), finish, logprob / len(ids))


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in eval mode (no dropout) without gradients, put back as it was afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def sample_tokens(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    n: int,
    sampling: Sampling,
    seed: int,
) -> list[tuple[list[int], float]]:
    """Samples ``n`` completions of each prompt .

    Args:
        prompts: token ids.

    Returns:
        For each prompt in turn ``n`` pairs: the token ids, the end-of-sequence token included,
        and the sum of their log-probabilities under the model, before temperature and truncation.
    """
    seeds = [seed_of(seed, i) for i in range(len(prompts))]
    return [row[:2] for row in sample_block(model, tokenizer, prompts, n, sampling, seeds)]


def sample_block(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    n: int,
    sampling: Sampling,
    seeds: Sequence[int],
) -> list[tuple[list[int], float, FinishReason]]:
    """Samples ``n`` completions of each prompt in one batch."""
    device = model.device
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    ends = torch.tensor(sorted(end_tokens(model, tokenizer)), device=device)
    stops = Stops(tokenizer, sampling.stop)
    draw = Drawing(sampling)
    u = torch.cat([uniforms(seed, n, sampling.max_tokens) for seed in seeds]).to(device)
    longest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (longest - len(p)) + [*p] for p in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=device)
    rows = len(prompts) * n
    tokens = torch.full((rows, sampling.max_tokens), pad, device=device)
    logprobs = torch.zeros(rows, device=device)
    lengths = torch.full((rows,), sampling.max_tokens, device=device)
    stopped = torch.zeros(rows, dtype=torch.bool, device=device)
    alive = torch.arange(rows, device=device)
    running = torch.ones(rows, dtype=torch.bool, device=device)
    with evaluating(model):
        cache = DynamicCache(config=model.config)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        if n > 1:
            cache.batch_repeat_interleave(n)
        mask = mask.repeat_interleave(n, 0)
        position = mask.sum(1, keepdim=True)
        mask = torch.cat([mask, mask.new_ones(rows, sampling.max_tokens)], 1)
        logits = output.logits[:, -1].repeat_interleave(n, 0)
        for step in range(sampling.max_tokens):
            drawn, scores = draw(logits, u[alive, step])
            tokens[alive[running], step] = drawn[running]
            logprobs[alive[running]] += scores[running]
            ended = running & torch.isin(drawn, ends)
            if stops:
                for row in (running & ~ended & torch.isin(drawn, stops.closing)).nonzero():
                    ended[row] = stops.ended(tokens[alive[row.item()], : step + 1])
            lengths[alive[ended]] = step + 1
            stopped[alive[ended]] = True
            running = running & ~ended
            left = int(running.sum())
            if left == 0 or step + 1 == sampling.max_tokens:
                break
            if left <= COMPACT_BELOW * len(running):
                keep = running.nonzero()[:, 0]
                cache.batch_select_indices(keep)
                alive, drawn, running = alive[keep], drawn[keep], running[keep]
                mask, position = mask[keep], position[keep]
            output = model(
                input_ids=drawn[:, None],
                attention_mask=mask[:, : longest + step + 1],
                position_ids=position,
                past_key_values=cache,
                use_cache=True,
            )
            position = position + 1
            logits = output.logits[:, -1]
    ended_by: list[FinishReason] = ["stop" if s else "length" for s in stopped.tolist()]
    return [
        (row[:size], total, why)
        for row, size, total, why in zip(
            tokens.tolist(), lengths.tolist(), logprobs.tolist(), ended_by, strict=True
        )
    ]
