"""A verifier made of abacus tells right solutions from wrong, and stays what it was saved as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForTokenClassification

from reasonkit import runs
from reasonkit.config import Aggregate, VerifierConfig, to_mapping
from reasonkit.errors import DataError, RefusedError, UnknownNameError
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.plan import Plan, policy
from reasonkit.plan.verifier import settle
from reasonkit.recipes import verifier as recipe
from reasonkit.training.solutions import split_by_question
from reasonkit.types import Example, Group
from reasonkit.verifying import Reading, Verifier, load

SMALL = replace(VerifierConfig(), questions=120, samples=8, validation_size=1, test_size=1)


class Recording:
    """An engine that remembers what it was asked for and gave."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine = engine
        self.groups: list[Group] = []

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        for group in self.engine.sample(examples, n, sampling):
            self.groups.append(group)
            yield group


def make(
    folder: Path, config: VerifierConfig
) -> tuple[Verifier, dict[str, Any], Recording, Plan[VerifierConfig]]:
    plan, tokenizer, generator = policy.load(settle(config))
    run = runs.create("verifier", config.model, config.task, to_mapping(plan.config), folder, [])
    engine = Recording(LocalEngine(generator, tokenizer))
    return *recipe.make(run, plan, tokenizer, generator, engine), engine, plan


def test_a_verifier_tells_right_from_wrong_within_a_question_and_is_saved_as_it_is(
    tmp_path: Path,
) -> None:
    verifier, made, engine, plan = make(tmp_path / "run", replace(SMALL, held_out=0.4))
    chosen = made["quality"][made["aggregate"]]
    assert chosen["questions"] > 20
    assert chosen["auc"] > 0.65
    assert chosen["auc"] == max(quality["auc"] for quality in made["quality"].values())
    learned, held = split_by_question(engine.groups, 0.4)
    assert made["solutions"] == 8 * len(learned)
    assert made["tokens_sampled"] == sum(c.tokens for g in engine.groups for c in g.completions)
    assert {g.example.id for g in engine.groups} <= {e.id for e in plan.splits.train}
    assert made["tokens_trained"] > 0
    final = tmp_path / "run" / "final"
    again = load(str(final), generator=verifier.tokenizer)
    assert again.reading == verifier.reading
    assert again.score(held[0]) == verifier.score(held[0])
    plain = AutoModelForTokenClassification.from_pretrained(final).eval()
    completion = held[0].completions[0]
    prompt = verifier.tokenizer.apply_chat_template(
        list(held[0].example.messages), add_generation_prompt=True, return_dict=False
    )
    with torch.no_grad():
        logits = plain(torch.tensor([[*prompt, *completion.token_ids]])).logits[0]
    expected = logits.softmax(-1)[-completion.tokens :, 1].tolist()
    again.reading = Reading(ends=("",))
    assert again.step_scores(held[0])[0] == pytest.approx(expected, abs=1e-5)
    assert "token-classification" in (final / "README.md").read_text()


def test_steps_are_gone_on_with_from_where_they_end(tmp_path: Path) -> None:
    config = replace(SMALL, questions=12, samples=4, process=True, continuations=2)
    _, made, engine, _ = make(tmp_path / "run", config)
    solved, continued = engine.groups[:12], engine.groups[12:]
    assert made["steps"] == len(continued) > 20
    assert made["tokens_sampled"] == sum(c.tokens for g in engine.groups for c in g.completions)
    written = {(g.example.question, c.text) for g in solved for c in g.completions}
    for group in continued:
        begun = group.example.messages[-1]["content"]
        assert begun.endswith(("=", ";", ",", "\n", "</think>"))
        assert any(q == group.example.question and t.startswith(begun) for q, t in written)
        assert all(c.text.startswith(begun) for c in group.completions)
    assert "2 continuations" in (tmp_path / "run/final/README.md").read_text()


def test_a_run_made_twice_saves_the_same_bytes_and_keeps_a_given_aggregate(tmp_path: Path) -> None:
    config = replace(SMALL, questions=12, samples=4, batch=16, aggregate=Aggregate.product)
    for name in ("one", "two"):
        assert make(tmp_path / name, config)[0].reading.aggregate == Aggregate.product
    one, two = ((tmp_path / n / "final/model.safetensors").read_bytes() for n in ("one", "two"))
    assert one == two


def test_one_question_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few"):
        make(tmp_path / "run", replace(SMALL, questions=1, samples=2))


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(RefusedError, match="try 32"):
        settle(replace(SMALL, batch=64, micro_batch=48))
    with pytest.raises(RefusedError, match="--reward answer=1"):
        settle(replace(SMALL, reward=["format=1"]))
    with pytest.raises(UnknownNameError, match="step-by-step"):
        settle(replace(SMALL, wording="step-by-stp"))


def test_open_settings_are_filled_in_by_the_model() -> None:
    config = settle(replace(SMALL, questions=None)).config
    assert None not in (config.questions, config.learning_rate, config.lm_weight)
    assert "=" in (config.step_ends or [])


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [([0.9], [0.1], 1.0), ([0.1], [0.9, 0.1], 0.25), ([], [0.5], None), ([0.5], [], None)],
)
def test_auc_is_the_share_of_pairs_in_order(
    right: list[float], wrong: list[float], expected: float | None
) -> None:
    assert recipe.auc(right, wrong) == expected
