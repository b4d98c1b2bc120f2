"""The stages of the full recipe as settings of distill and grpo."""

from __future__ import annotations

import pytest

from reasonkit.config import DistillConfig, GrpoConfig, SftRlConfig, StageName, Start
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.models import MODELS
from reasonkit.plan.sft_rl import LANGUAGE, STAGES, chosen, stage_settings
from reasonkit.types import Part


def config(**changes: object) -> SftRlConfig:
    reward = ["answer=1", "format=0.2", LANGUAGE]
    usual = {"reward": reward, "general_task": "general", "general_reward": ["helpful:x=1"]}
    return SftRlConfig(**{**usual, **changes})


def made(stage: StageName, **changes: object) -> DistillConfig | GrpoConfig:
    given = config(**changes)
    return stage_settings(given, STAGES[stage], MODELS["abacus"], "somewhere/rl", "chats.jsonl")


def test_stages_go_on_until_the_last_one_and_leave_out_what_is_skipped() -> None:
    assert [s.name for s in chosen(SftRlConfig())] == list(StageName)
    until = SftRlConfig(until=StageName.rejection, skip=["rl"])
    assert [s.name for s in chosen(until)] == ["cold-start", "rejection"]


def test_a_stage_that_there_is_not_or_none_at_all_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="cold-start"):
        chosen(SftRlConfig(skip=["cold-strat"]))
    with pytest.raises(RefusedError, match="no stage"):
        chosen(SftRlConfig(until=StageName.cold_start, skip=["cold-start"]))


def test_supervision_and_reinforcement_use_different_halves_of_the_questions() -> None:
    parts = {name: made(name).part for name in StageName}
    assert parts == {
        "cold-start": Part.sft, "rl": Part.rl, "rejection": Part.sft, "final-rl": Part.rl,
    }  # fmt: skip


def test_the_base_writes_its_own_cold_start_traces_step_by_step() -> None:
    cold = made(StageName.cold_start)
    assert isinstance(cold, DistillConfig)
    assert (cold.model, cold.teacher, cold.wording) == ("abacus", "abacus", "step-by-step")
    assert cold.keep == ["answer=1", "format=1", "language=1", "readability=1"]
    taught = made(StageName.cold_start, teacher="abacus-reasoner")
    assert isinstance(taught, DistillConfig)
    assert (taught.teacher, taught.wording) == ("abacus-reasoner", None)


def test_a_cold_start_of_given_traces_has_no_teacher_unless_one_is_named() -> None:
    cold = made(StageName.cold_start, traces="worked.jsonl")
    assert isinstance(cold, DistillConfig)
    assert (cold.teacher, cold.wording, cold.traces) == (None, None, "worked.jsonl")
    rejection = made(StageName.rejection, traces="worked.jsonl")
    assert isinstance(rejection, DistillConfig) and rejection.traces is None


def test_rejection_trains_the_base_again_or_the_policy() -> None:
    base = made(StageName.rejection)
    assert isinstance(base, DistillConfig)
    assert (base.model, base.teacher, base.general) == ("abacus", "somewhere/rl", "chats.jsonl")
    assert made(StageName.rejection, rejection_from=Start.policy).model == "somewhere/rl"


def test_steps_of_a_program_are_not_held_to_state_something() -> None:
    code = made(StageName.cold_start, reward=["code=1", "format=0.2"])
    assert isinstance(code, DistillConfig)
    assert code.keep == ["code=1", "format=1", "language=1"]


def test_only_the_last_stage_mixes_general_prompts_in() -> None:
    first, last = made(StageName.rl), made(StageName.final_rl)
    assert isinstance(first, GrpoConfig) and isinstance(last, GrpoConfig)
    assert (first.general_task, last.general_task) == (None, "general")
    assert last.general_reward == ["helpful:x=1"]
    assert first.steps and last.steps and first.steps + last.steps == MODELS["abacus"].rl.steps
    none = made(StageName.final_rl, general_task="")
    assert isinstance(none, GrpoConfig) and none.general_task is None


def test_a_setting_of_one_stage_wins_over_that_of_all() -> None:
    given = ["lora=true", "rl.learning-rate=0.5", "learning_rate=0.25", "rl.keep_adapter=true"]
    rl, last = made(StageName.rl, set=given), made(StageName.final_rl, set=given)
    assert (rl.lora, rl.learning_rate, rl.keep_adapter) == (True, 0.5, True)
    assert (last.lora, last.learning_rate, last.keep_adapter) == (True, 0.25, False)


def test_a_setting_that_one_kind_of_stage_lacks_goes_to_the_others() -> None:
    assert made(StageName.rl, set=["epochs=3"]) == made(StageName.rl)
    cold = made(StageName.cold_start, set=["epochs=3"])
    assert isinstance(cold, DistillConfig) and cold.epochs == 3


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("rl.steps", "SETTING=VALUE"),
        ("=3", "SETTING=VALUE"),
        ("rll.steps=3", "did you mean rl"),
        ("rl.stepps=3", "steps"),
        ("rl.epochs=3", "epochs"),
        ("rl.steps=many", "expected int"),
        ("rl.steps=0", "below 1"),
        ("rl.steps={", "no value"),
    ],
)
def test_what_can_not_be_set_is_refused_by_name(spec: str, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        made(StageName.rl, set=[spec])
