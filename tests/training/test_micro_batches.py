"""Completions share micro-batches so that little is computed, and what is computed is counted."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from trl.trainer.utils import add_fused_lm_head

from reasonkit.models.loading import load_model
from reasonkit.models.resolving import resolve
from reasonkit.training.micro_batches import Lengths, arranged, computed
from reasonkit.training.scoring import score, without_padding

ROWS = st.tuples(st.integers(0, 3), st.integers(1, 40))
PROMPT_TOKENS = (5, 9, 2, 30)


def rows(drawn: list[tuple[int, int]]) -> list[Lengths]:
    return [Lengths(prompt, PROMPT_TOKENS[prompt], tokens) for prompt, tokens in drawn]


@given(st.data(), st.integers(1, 20), st.integers(1, 4), st.booleans())
def test_every_row_is_there_once_and_no_more_is_computed_than_as_given_or_sorted(
    data: st.DataObject, size: int, count: int, shared: bool
) -> None:
    drawn = rows(data.draw(st.lists(ROWS, min_size=size * count, max_size=size * count)))
    order = arranged(drawn, size, shared)
    assert sorted(order) == list(range(len(drawn)))
    laid = [drawn[i] for i in order]
    by_length = sorted(drawn, key=lambda r: -(r.tokens if shared else r.prompt_tokens + r.tokens))
    most = min(computed(cut, size, shared) for cut in (drawn, by_length))
    assert computed(laid, size, shared) <= most
    if size % 16 == 0 and not shared:
        assert computed(laid, size, shared) == computed(by_length, size, shared)


def test_no_micro_batch_has_all_the_long_completions() -> None:
    rollout = [Lengths(i % 16, 10, 1 + i) for i in range(128)]
    order = arranged(rollout, 64, shared=True)
    sums = [sum(rollout[i].tokens for i in half) for half in (order[:64], order[64:])]
    assert max(sums) < 1.05 * min(sums)
    assert computed([rollout[i] for i in order], 64, True) == computed(
        sorted(rollout, key=lambda row: -row.tokens), 64, True
    )


def test_groups_stay_together_where_prompts_are_long_and_completions_alike() -> None:
    rollout = [Lengths(prompt, 200, 50 + i) for i in range(4) for prompt in range(3)]
    order = arranged(rollout, 4, shared=True)
    assert [len({rollout[i].prompt for i in order[n : n + 4]}) for n in (0, 4, 8)] == [1, 1, 1]


def test_rows_of_like_length_share_where_prompts_are_short() -> None:
    rollout = [Lengths(prompt, 3, 10 ** (i % 3)) for prompt in range(4) for i in range(3)]
    order = arranged(rollout, 4, shared=True)
    assert [rollout[i].tokens for i in order] == [100] * 4 + [10] * 4 + [1] * 4


def test_what_is_counted_is_what_goes_through_the_model() -> None:
    model = load_model(resolve("abacus-mini"), "cpu", "float32").eval()
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    passed: list[int] = []
    model.register_forward_pre_hook(
        lambda _, args, kwargs: passed.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    rollout = [Lengths(i % 3, PROMPT_TOKENS[i % 3], 1 + 7 * i % 20) for i in range(20)]
    edge, keep = 12, 20
    ids = torch.full((len(rollout), edge + keep), 5)
    column = torch.arange(edge + keep)
    for i, row in enumerate(rollout):
        ids[i, edge - row.prompt_tokens : edge] = 6 + row.prompt
    mask = torch.stack(
        [(column >= edge - r.prompt_tokens) & (column < edge + r.tokens) for r in rollout]
    ).long()

    def apart(ids: Tensor, mask: Tensor, keep: int) -> tuple[Tensor, None]:
        return model(input_ids=ids, attention_mask=mask).logits[:, -keep:, 0], None

    with torch.no_grad():
        score(model, ids * mask, mask, keep, nullcontext())
        assert sum(passed) == computed(rollout, len(rollout), shared=True)
        passed.clear()
        without_padding(apart, ids * mask, mask, keep)
        assert sum(passed) == computed(rollout, len(rollout), shared=False)
