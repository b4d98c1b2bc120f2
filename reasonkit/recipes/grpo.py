"""``reasonkit grpo``: reinforcement learning with no demonstrations (DeepSeek-R1-Zero).

The order of things: names are resolved, data is read and checked, a preflight looks ahead; only
then is a run made, the untrained model measured, the policy trained, and measured again on the same
test questions.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from reasonkit import console, learning, measuring, processes, resuming, running
from reasonkit.config import GrpoConfig, Invocation
from reasonkit.generation.engine import TokenEngine, open_engine
from reasonkit.objectives import PRESETS
from reasonkit.plan import Plan, fitting, policy
from reasonkit.plan import grpo as planning
from reasonkit.rewards.guard import Guard, spent_on_rewards
from reasonkit.runs import Run

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from reasonkit.training.preflight import Sampled

COMMAND = "grpo"


def run(config: GrpoConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run.

    Raises:
        RefusedError: before anything is made.
        RunError: when training can't go on.
    """
    if resuming.is_done(config, invocation):
        return
    resuming.require_extensible(config, invocation)
    plan = planning.settle(config)
    data = plan.data
    resuming.require_usable(invocation, data)
    # What takes long to import comes once names and data are known to be good.
    from reasonkit.models import precision
    from reasonkit.training import adapters, preflight

    plan, tokenizer, model = policy.load(plan)
    adapters.adapter(plan.config, plan.model.entry.lora_targets, model)
    products = precision.products(plan.config)
    engine = open_engine(plan.config, model, tokenizer, products, trains=True, columns=plan.columns)
    # Processes that sample together all have to.
    if not invocation.resume and (processes.is_main() or plan.config.tensor_parallel > 1):
        seen = preflight.sampled(engine, plan.splits.train, plan.config)
        if processes.is_main():
            _look_ahead(plan, seen, model)
    if invocation.dry_run:
        return
    made = running.begin(COMMAND, plan.config, invocation, data, plan.model.made_from)
    running.carry_out(made, lambda: _measure_and_train(made, plan, engine, model), invocation.json)


def _look_ahead(plan: Plan[GrpoConfig], sampled: Sampled, model: PreTrainedModel) -> None:
    """Scores a few groups, and shows the plan and the memory that it takes."""
    from reasonkit.models import precision
    from reasonkit.training import preflight

    config = plan.config
    guard = Guard(plan.rewards, config.reward_timeout)
    seen = preflight.look_ahead(sampled, config, guard)
    assert config.steps and config.group_size and config.prompts_per_step
    per_step = config.group_size * config.prompts_per_step
    step = f"{config.prompts_per_step} prompts × {config.group_size} completions = {per_step}"
    rows = [
        ("model", policy.size_of(config, model)),
        *plan.rows(),
        ("a step", f"{step}, then {config.updates_per_rollout} update(s)"),
        ("objective", f"{config.preset}: {PRESETS[config.preset].summary}"),
        *seen.rows(config.steps, len(plan.splits.test), measuring.times(plan)),
        *precision.table(config, plan.model.source),
    ]
    if config.updates_per_rollout == 1:
        rows.append(("clip", "with one update a rollout the ratio is 1 and ε does nothing"))
    console.err.print(console.table("plan", ("", ""), rows))
    fitting.show(plan, seen.lengths)
    for line in seen.warnings():
        console.warn(line)
    for name, count in guard.failures.items():
        console.warn(f"reward {name!r} failed {count} time(s) in the preflight")


def _measure_and_train(
    made: Run,
    plan: Plan[GrpoConfig],
    engine: TokenEngine,
    model: PreTrainedModel,
) -> dict[str, Any]:
    from reasonkit.models import precision
    from reasonkit.training import final

    config, products = plan.config, precision.measured(plan.config)
    with precision.in_float32(model):
        engine.use(model, products)
        before = measuring.measure_before(made, engine, plan)
    guard = Guard(plan.rewards, config.reward_timeout)
    trained = learning.reinforce(made, plan, engine, model, guard, before.asked.seconds)
    trained_policy = final.to_measure(
        trained.policy, made.final, config.keep_adapter and made.leads
    )
    engine.use(trained_policy, products)
    after = measuring.measure(made, "after", engine, plan, plan.splits.test)
    counters, compared = trained.counters, before.compared(after)
    predicted = fitting.predicted(plan, fitting.longest(made.completions()))
    summary: dict[str, Any] = {
        **compared,
        "seconds": counters.seconds + compared["evaluation_seconds"],
        "training_seconds": counters.seconds,
        "tokens_sampled": counters.tokens_sampled,
        "tokens_trained": counters.tokens_trained,
        "rollout_seconds": counters.rollout_seconds,
        "reward_seconds": counters.reward_seconds,
        "reward_failures": dict(sum(processes.gathered(guard.failures), Counter())),
        "spent_on_rewards": spent_on_rewards(made.metrics()),
        "step_kept": trained.step,
        "stopped_at": trained.stopped,
        "rollbacks": trained.rollbacks,
        "memory": fitting.beside(predicted, trained.memory),
    }
    learning.save(made, trained_policy, engine.tokenizer, summary)
    return summary
