"""Batched sampling over a transformers model's own forward.

A prompt is prefilled once for its whole group, rows that have ended are dropped, and prompts of
similar length share a block. Leaves out refilling freed slots, compiled graphs and paged caches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import (
    DynamicCache,
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from reasonkit.generation import Sampling
from reasonkit.types import Completion, Example, Group

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
        """Yields one group of ``n`` completions an example, shortest prompts first."""
        prompts, opened = encode_prompts(self.tokenizer, examples)
        order = sorted(range(len(examples)), key=lambda i: len(prompts[i]))
        size = max(1, self.rows // n)
        for block, start in enumerate(range(0, len(order), size)):
            chosen = order[start : start + size]
            seed = (sampling.seed << 20) + block
            sampled = sample_tokens(
                self.model, self.tokenizer, [prompts[i] for i in chosen], n, sampling, seed
            )
            for place, i in enumerate(chosen):
                rows = sampled[place * n : (place + 1) * n]
                yield Group(examples[i], [self._completion(row, opened[i]) for row in rows])

    def _completion(self, row: tuple[list[int], float], opened: str) -> Completion:
        ids, logprob = row
        text = opened + str(self.tokenizer.decode(ids, skip_special_tokens=True))
        ended = ids[-1] in end_tokens(self.model, self.tokenizer)
        return Completion(text, tuple(ids), "stop" if ended else "length", logprob / len(ids))


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The ids of the tokens that end a completion."""
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ids = configured if isinstance(configured, list) else [configured]
    return {int(i) for i in (*ids, tokenizer.eos_token_id) if i is not None}


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


def warpers(sampling: Sampling) -> LogitsProcessorList:
    """transformers' own processors, in the order in which ``generate`` applies them."""
    chain = LogitsProcessorList()
    if sampling.temperature not in (0.0, 1.0):
        chain.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        chain.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        chain.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p > 0:
        chain.append(MinPLogitsWarper(sampling.min_p))
    return chain


def sample_tokens(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    n: int,
    sampling: Sampling,
    seed: int,
) -> list[tuple[list[int], float]]:
    """Samples ``n`` completions of each prompt in one batch.

    Args:
        prompts: token ids.

    Returns:
        For each prompt in turn ``n`` pairs: the token ids, the end-of-sequence token included,
        and the sum of their log-probabilities under the model, before temperature and truncation.
    """
    device = model.device
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    generator = torch.Generator(device).manual_seed(seed)
    ends = torch.tensor(sorted(end_tokens(model, tokenizer)), device=device)
    chain = warpers(sampling)
    longest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (longest - len(p)) + p for p in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=device)
    rows = len(prompts) * n
    tokens = torch.full((rows, sampling.max_tokens), pad, device=device)
    logprobs = torch.zeros(rows, device=device)
    lengths = torch.full((rows,), sampling.max_tokens, device=device)
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
        logits = output.logits[:, -1].float().repeat_interleave(n, 0)
        for step in range(sampling.max_tokens):
            drawn = _draw(logits, chain, sampling.temperature, generator)
            scores = logits.log_softmax(-1).gather(1, drawn[:, None])[:, 0]
            tokens[alive[running], step] = drawn[running]
            logprobs[alive[running]] += scores[running]
            ended = running & torch.isin(drawn, ends)
            lengths[alive[ended]] = step + 1
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
            logits = output.logits[:, -1].float()
    sizes, sums = lengths.tolist(), logprobs.tolist()
    return [
        (row[:size], sums[i])
        for i, (row, size) in enumerate(zip(tokens.tolist(), sizes, strict=True))
    ]


def _draw(
    logits: torch.Tensor, chain: LogitsProcessorList, temperature: float, generator: torch.Generator
) -> torch.Tensor:
    """One token a row, from logits of shape (rows, vocabulary)."""
    if temperature == 0:
        return logits.argmax(-1)
    kept = chain(None, logits) if chain else logits
    return torch.multinomial(kept.softmax(-1), 1, generator=generator)[:, 0]
