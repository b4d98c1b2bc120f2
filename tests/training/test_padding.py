"""What is scored is the same with the padding and without."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reasonkit.models.loading import load_model, resolve
from reasonkit.training.scoring import without_padding


def rollout(lengths: list[tuple[int, int]]) -> tuple[Tensor, Tensor, int]:
    """Random ids of the given (prompt, completion) lengths, laid out as TRL does."""
    edge, keep = max(p for p, _ in lengths), max(c for _, c in lengths)
    ids = torch.randint(5, 100, (len(lengths), edge + keep), generator=torch.Generator())
    column = torch.arange(edge + keep)
    mask = torch.stack([(column >= edge - p) & (column < edge + c) for p, c in lengths]).long()
    return ids * mask, mask, keep


@pytest.mark.parametrize(
    "lengths",
    [
        [(3, 9), (7, 1), (5, 30), (5, 2), (9, 4)],
        [(4, 4), (4, 4), (4, 4)],
        [(6, 0), (6, 3), (6, 0), (2, 0)],
        [(1, 50)],
    ],
    ids=["mixed", "equal", "masked", "one"],
)
def test_scores_are_those_of_the_padded_pass(lengths: list[tuple[int, int]]) -> None:
    model = load_model(resolve("abacus-mini"), "cpu", "float32").eval()

    def score(ids: Tensor, mask: Tensor, keep: int) -> tuple[Tensor, Tensor]:
        logps = model(ids, attention_mask=mask).logits.log_softmax(-1)
        entropies = -(logps.exp() * logps).sum(-1)
        # Column c is predicted by column c - 1.
        taken = logps[:, :-1].gather(2, ids[:, 1:, None])[:, :, 0]
        return taken[:, -keep:], entropies[:, :-1][:, -keep:]

    ids, mask, keep = rollout(lengths)
    with torch.no_grad():
        whole, entropies = score(ids, mask, keep)
        logps, narrow = without_padding(score, ids, mask, keep, rows=2)
    within = mask[:, -keep:]
    assert narrow is not None and logps.shape == narrow.shape == (len(lengths), keep)
    torch.testing.assert_close(logps, whole * within, atol=1e-5, rtol=0)
    torch.testing.assert_close(narrow, entropies * within, atol=1e-5, rtol=0)


def test_a_pass_is_no_wider_than_its_longest_row() -> None:
    seen: list[tuple[int, ...]] = []

    def score(ids: Tensor, mask: Tensor, keep: int) -> tuple[Tensor, None]:
        seen.append(tuple(ids.shape))
        return torch.zeros(len(ids), keep), None

    ids, mask, keep = rollout([(3, 9), (7, 1), (5, 30), (9, 4)])
    assert without_padding(score, ids, mask, keep, rows=1)[1] is None
    assert seen == [(1, 35), (1, 13), (1, 12), (1, 8)]
