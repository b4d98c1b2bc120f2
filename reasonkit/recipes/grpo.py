"""``reasonkit grpo``: reinforcement learning with no demonstrations (DeepSeek-R1-Zero).

The order of things: names are resolved, data is read and checked, a preflight looks ahead; only
then is a run made, the untrained model measured, the policy trained, and measured again on the same
test questions.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

from reasonkit import console, processes, running, runs
from reasonkit.config import GrpoConfig, Invocation, to_mapping
from reasonkit.models import MODELS
from reasonkit.objectives import PRESETS
from reasonkit.plan import Plan, load_policy, without_overlong
from reasonkit.rewards.guard import Guard, spent_on_rewards
from reasonkit.stages.reinforcement import reinforce, resolve_settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.training import memory

COMMAND = "grpo"
LARGE = MODELS["deepseek-r1-distill-llama-70b"]
"""The size at which a critic hurts; its memory stands beside the chosen model's."""


def run(config: GrpoConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run.

    Raises:
        RefusedError: before anything is made.
        RunError: when training can't go on.
    """
    from reasonkit.training import adapters

    if running.is_done(config, invocation):
        return
    plan = resolve_settings(config)
    data = plan.data
    running.require_same_data(invocation, data)
    if processes.is_main() and not (invocation.dry_run or invocation.resume):
        runs.require_free(invocation.run_dir)
    tokenizer, model = load_policy(plan)
    adapters.adapter(plan.config, plan.model.entry.lora_targets, model)
    plan = without_overlong(plan, tokenizer)
    if processes.is_main() and not invocation.resume:
        _look_ahead(plan, tokenizer, model)
    if invocation.dry_run:
        return
    made = running.begin(COMMAND, plan.config, invocation, data)
    running.carry_out(
        made, lambda: _measure_and_train(made, plan, tokenizer, model), invocation.json
    )


def _look_ahead(
    plan: Plan[GrpoConfig], tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel
) -> None:
    from reasonkit.generation.local import ROWS, LocalEngine
    from reasonkit.models import precision
    from reasonkit.models.chat import encode_prompts
    from reasonkit.training import memory, preflight

    config, splits = plan.config, plan.splits
    guard = Guard(plan.rewards, config.reward_timeout)
    engine = LocalEngine(model, tokenizer, products=precision.products(config))
    seen = preflight.look_ahead(engine, splits.train, config, guard)
    assert config.steps and config.group_size and config.prompts_per_step
    per_step = config.group_size * config.prompts_per_step
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    step = f"{config.prompts_per_step} prompts × {config.group_size} completions = {per_step}"
    counts = [f"{len(getattr(splits, f.name))} {f.name}" for f in dataclasses.fields(splits)]
    rows = [
        ("model", f"{config.model}, {parameters:,.1f}M parameters on {model.device}"),
        ("examples", ", ".join(counts)),
        ("rewards", ", ".join(config.reward or [])),
        ("a step", f"{step}, then {config.updates_per_rollout} update(s)"),
        ("objective", f"{config.preset}: {PRESETS[config.preset].summary}"),
        *seen.rows(config.steps),
    ]
    if config.updates_per_rollout == 1:
        rows.append(("clip", "with one update a rollout the ratio is 1 and ε does nothing"))
    console.err.print(console.table("plan", ("", ""), rows))
    assert config.max_completion_tokens
    prompts, _ = encode_prompts(tokenizer, splits.train)
    tokens = max(map(len, prompts)) + config.max_completion_tokens

    def memory_plan(shape: memory.ModelShape, rows: int, dtype_bytes: int) -> memory.MemoryPlan:
        return memory.plan(
            shape,
            rows=rows,
            tokens=tokens,
            micro_batch=config.micro_batch,
            dtype_bytes=dtype_bytes,
            lora_rank=config.lora_rank if config.lora else None,
            reference=bool(config.kl_coefficient),
        )

    plans = {
        config.model: memory_plan(memory.shape_of(model), max(per_step, ROWS), 4),
        LARGE.name: memory_plan(memory.ModelShape(*LARGE.shape), per_step, 2),
    }
    cells = memory.table(list(plans.values()))
    console.err.print(console.table("memory at most", ("part", *plans), cells, numbers=True))
    for line in seen.warnings():
        console.warn(line)
    for name, count in guard.failures.items():
        console.warn(f"reward {name!r} failed {count} time(s) in the preflight")


def _measure_and_train(
    made: runs.Run,
    plan: Plan[GrpoConfig],
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
) -> dict[str, Any]:
    from reasonkit.generation.local import LocalEngine
    from reasonkit.models import precision
    from reasonkit.training import final

    config, test = plan.config, plan.splits.test
    assert config.max_completion_tokens
    longest, weaker = config.max_completion_tokens, plan.allow_weaker
    products = precision.measured(config)
    with precision.in_float32(model):
        engine = LocalEngine(model, tokenizer, products=products)
        before = running.measure_before(made, engine, test, longest, config.baselines, weaker)
    guard = Guard(plan.rewards, config.reward_timeout)
    trained = reinforce(made, plan, tokenizer, model, guard)
    counters = trained.counters
    policy = final.to_measure(trained.policy, made.final, config.keep_adapter and made.leads)
    engine = LocalEngine(policy, tokenizer, products=products)
    after = running.measure(made, "after", engine, test, longest, allow_weaker=weaker)
    measured = (*before.all, after)
    summary: dict[str, Any] = {
        "command": COMMAND,
        "model": config.model,
        "task": config.task,
        **before.compared(after),
        "seconds": counters.seconds + sum(e.seconds for e in measured),
        "tokens_sampled": counters.tokens_sampled,
        "tokens_trained": counters.tokens_trained,
        "tokens_evaluated": sum(e.tokens for e in measured),
        "rollout_seconds": counters.rollout_seconds,
        "reward_seconds": counters.reward_seconds,
        "peak_memory_bytes": max(processes.gathered(running.peak_memory())),
        "reward_failures": dict(sum(processes.gathered(guard.failures), Counter())),
        "spent_on_rewards": spent_on_rewards(made.metrics()),
        "step_kept": trained.step,
        "stopped_at": trained.stopped,
        "rollbacks": trained.rollbacks,
    }
    card = final.model_card(summary, to_mapping(config))
    if made.leads and not made.final.exists():
        final.save(policy, tokenizer, made.final, card)
    made.update(
        seconds={"total": summary["seconds"], "training": counters.seconds},
        tokens={"sampled": counters.tokens_sampled, "trained": counters.tokens_trained},
    )
    return summary
