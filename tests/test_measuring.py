"""What is measured of a model: each process answers its share, and there has to be something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from reasonkit import measuring, processes
from reasonkit.errors import DataError
from reasonkit.generation.engine import Sampling
from reasonkit.runs import Run
from reasonkit.types import Completion, Example, Group

ASKED = [Example(str(i), "t", ({"role": "user", "content": str(i)},), "") for i in range(3)]


class Echo:
    """Says a question's id, and remembers what it was asked."""

    asked: list[str]

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        self.asked = [example.id for example in examples]
        for example in reversed(examples):
            yield Group(example, [Completion(example.id, (1,), "stop", 0.0)])


def test_there_have_to_be_questions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no examples to evaluate on"):
        measuring.measure(Run(tmp_path), "after", Echo(), None, [])  # type: ignore[arg-type]


def test_prompts_are_answered_in_their_order_and_by_each_process_for_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Echo()
    groups = measuring.answered(engine, ASKED, 8)
    assert [group.completions[0].text for group in groups] == engine.asked == ["0", "1", "2"]
    others = [Group(ASKED[0], [Completion("of the other", (1,), "stop", 0.0)])]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(processes, "gathered", lambda own: [others, own])
    groups = measuring.answered(engine, ASKED, 8)
    assert engine.asked == ["1", "2"]
    assert [group.completions[0].text for group in groups] == ["of the other", "1", "2"]
