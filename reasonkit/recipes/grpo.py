"""``reasonkit grpo``: reinforcement learning with no demonstrations (DeepSeek-R1-Zero).

The order of things: names are resolved, data is read and checked, a preflight looks ahead; only
then is a run made, the untrained model measured, the policy trained, and measured again on the same
test questions.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonkit import console, runs
from reasonkit.answers.comparison import check_reference
from reasonkit.config import GrpoConfig, Invocation, from_mapping, read_yaml, to_mapping
from reasonkit.errors import DataError, ReasonkitError, RefusedError, UnknownNameError
from reasonkit.live import Training
from reasonkit.models import MODELS
from reasonkit.models.loading import ResolvedModel, load_model, load_tokenizer, resolve
from reasonkit.objectives import PRESETS, Objective
from reasonkit.report import terminal
from reasonkit.rewards import WeightedReward, parse
from reasonkit.rewards.guard import Guard
from reasonkit.tasks import Splits, describe, load, require_trainable
from reasonkit.tasks.wordings import WORDINGS
from reasonkit.types import Example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.evaluation import Evaluation
    from reasonkit.generation.local import LocalEngine
    from reasonkit.training import memory
    from reasonkit.training.grpo import Trained
    from reasonkit.training.signs import Sign

TRACKERS = ("tensorboard", "trackio", "wandb")
LARGE = MODELS["deepseek-r1-distill-llama-70b"]
"""The size at which a critic hurts; its memory stands beside the chosen model's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is settled before weights are loaded."""

    config: GrpoConfig
    model: ResolvedModel
    splits: Splits
    rewards: list[WeightedReward]


def run(config: GrpoConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run.

    Raises:
        RefusedError: before anything is made.
        RunError: when training can't go on.
    """
    if invocation.resume:
        assert invocation.run_dir is not None
        _resume(invocation.run_dir, invocation)
        return
    plan = settle(config)
    if not invocation.dry_run:
        runs.require_free(invocation.run_dir)
    tokenizer, model = _load(plan)
    plan = dataclasses.replace(plan, splits=_drop_overlong(plan, tokenizer))
    _look_ahead(plan, tokenizer, model)
    if invocation.dry_run:
        return
    made = runs.create(
        "grpo",
        plan.config.model,
        plan.config.task,
        to_mapping(plan.config),
        invocation.run_dir,
        sys.argv,
    )
    _carry_out(made, plan, tokenizer, model, invocation)


def _resume(path: Path, invocation: Invocation) -> None:
    opened = runs.open_run(path)
    command = opened.record["command"]
    if command != "grpo":
        raise RefusedError(f"{path} is a run of `reasonkit {command}`, not of grpo")
    if opened.status == "finished":
        console.note(f"{path} is finished")
        terminal.show(json.loads((path / "summary.json").read_text()), invocation.json)
        return
    where = path / "config.yaml"
    plan = settle(from_mapping(GrpoConfig, read_yaml(where), str(where)))
    tokenizer, model = _load(plan)
    plan = dataclasses.replace(plan, splits=_drop_overlong(plan, tokenizer))
    _carry_out(runs.resume(path), plan, tokenizer, model, invocation)


def settle(config: GrpoConfig) -> Plan:
    """Resolves all names, fills in what the registries know, reads and checks the data."""
    _check_trackers(config.report_to or [])
    model = resolve(config.model)
    task = describe(config.task)
    if task.needs_code and not config.reward:
        raise RefusedError(
            f"task {config.task!r} is checked by running code, for which there is no reward yet: "
            "pass one of your own with --reward FILE.py:FUNCTION=WEIGHT"
        )
    rewards = parse(config.reward or [f"{name}={weight}" for name, weight in task.rewards])
    splits = load(
        config.task,
        columns=_columns(config.columns),
        validation=config.validation_size,
        test=config.test_size,
    )
    require_trainable(config.task, splits)
    if any(weighted.reward.needs_answer for weighted in rewards):
        for example in (*splits.train, *splits.validation, *splits.test):
            try:
                check_reference(example.answer)
            except DataError as error:
                raise DataError(f"{config.task}: {example.id}: {error}") from error
    return Plan(_resolved(config, model, task.rewards), model, splits, rewards)


def _check_trackers(names: Sequence[str]) -> None:
    for name in names:
        if name not in TRACKERS:
            raise UnknownNameError("tracker", name, TRACKERS)
        if importlib.util.find_spec(name) is None:
            raise RefusedError(f"--report-to {name}: pip install 'reasonkit[{name}]'")


def _columns(pairs: Sequence[str] | None) -> dict[str, str] | None:
    if not pairs:
        return None
    split = [pair.partition("=") for pair in pairs]
    for pair, (left, equals, right) in zip(pairs, split, strict=True):
        if not (left in ("question", "answer") and equals and right):
            raise RefusedError(f"--columns {pair}: expected question=COLUMN or answer=COLUMN")
    return {left: right for left, _, right in split}


def _resolved(
    config: GrpoConfig, model: ResolvedModel, rewards: Sequence[tuple[str, float]]
) -> GrpoConfig:
    """The config with every None filled in."""
    if config.preset not in PRESETS:
        raise UnknownNameError("preset", config.preset, PRESETS)
    config = _with_objective(config, PRESETS[config.preset])
    defaults = model.entry.rl
    prompt = model.entry.system_prompt if config.system_prompt is None else config.system_prompt
    rate = defaults.lora_learning_rate if config.lora else defaults.learning_rate
    filled = dataclasses.replace(
        config,
        reward=config.reward or [f"{name}={weight:g}" for name, weight in rewards],
        group_size=config.group_size or defaults.group_size,
        prompts_per_step=config.prompts_per_step or defaults.prompts_per_step,
        max_completion_tokens=config.max_completion_tokens or defaults.max_completion_tokens,
        steps=config.steps or defaults.steps,
        system_prompt=prompt or "",
        learning_rate=rate if config.learning_rate is None else config.learning_rate,
    )
    assert filled.group_size and filled.prompts_per_step
    completions = filled.group_size * filled.prompts_per_step
    wanted = min(config.micro_batch or defaults.micro_batch, completions)
    fits = max(d for d in range(1, wanted + 1) if completions % d == 0)
    if config.micro_batch and fits != config.micro_batch:
        raise RefusedError(
            f"--micro-batch {config.micro_batch} does not divide the {completions} completions of "
            f"a step ({filled.prompts_per_step} prompts × {filled.group_size}): try {fits}"
        )
    return dataclasses.replace(filled, micro_batch=fits)


def _with_objective(config: GrpoConfig, objective: Objective) -> GrpoConfig:
    """The config with the objective's settings where it leaves them open."""
    names = {field.name for field in dataclasses.fields(config)}
    settings = {f.name: getattr(objective, f.name) for f in dataclasses.fields(objective)}
    missing = {
        name: value
        for name, value in settings.items()
        if name in names and getattr(config, name) is None
    }
    return dataclasses.replace(config, **missing)


def _load(plan: Plan) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # Libraries deprecate among themselves; a user can't act on it.
    warnings.filterwarnings("ignore", category=FutureWarning)
    tokenizer, remark = load_tokenizer(plan.model)
    if remark:
        console.note(remark)
    dtype = str(plan.config.dtype) if plan.config.lora else "float32"
    return tokenizer, load_model(plan.model, str(plan.config.device), dtype)


def _drop_overlong(plan: Plan, tokenizer: PreTrainedTokenizerBase) -> Splits:
    from reasonkit.generation.local import encode_prompts

    limit = plan.config.max_prompt_tokens
    system = plan.config.system_prompt
    kept: dict[str, list[Example]] = {}
    for field in dataclasses.fields(plan.splits):
        examples: list[Example] = getattr(plan.splits, field.name)
        if system:
            said = {"role": "system", "content": system}
            examples = [dataclasses.replace(e, messages=(said, *e.messages)) for e in examples]
        ids, _ = encode_prompts(tokenizer, examples) if examples else ([], [])
        kept[field.name] = [
            e for e, tokens in zip(examples, ids, strict=True) if len(tokens) <= limit
        ]
        dropped = len(examples) - len(kept[field.name])
        if dropped:
            console.warn(f"{dropped} of {len(examples)} {field.name} prompts exceed {limit} tokens")
        if examples and not kept[field.name]:
            raise DataError(
                f"{plan.config.task}: no {field.name} prompt fits --max-prompt-tokens {limit}"
            )
    return Splits(**kept)


def _look_ahead(plan: Plan, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    from reasonkit.generation.local import ROWS, LocalEngine, encode_prompts
    from reasonkit.training import memory, preflight

    config, splits = plan.config, plan.splits
    guard = Guard(plan.rewards, config.reward_timeout)
    seen = preflight.look_ahead(LocalEngine(model, tokenizer), splits.train, config, guard)
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


def _carry_out(
    made: runs.Run,
    plan: Plan,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    invocation: Invocation,
) -> None:
    from reasonkit.report import page

    console.note(f"run: {made.path}")
    try:
        summary = _measure_and_train(made, plan, tokenizer, model)
    except KeyboardInterrupt:
        made.mark("interrupted")
        console.note(f"stopped; go on with: reasonkit grpo --run-dir {made.path} --resume")
        raise
    except Exception as error:
        made.mark("failed")
        if isinstance(error, ReasonkitError):
            console.note(f"go on with: reasonkit grpo --run-dir {made.path} --resume")
        raise
    made.mark("finished")
    page.write(made)
    terminal.show(summary, invocation.json)


def _measure_and_train(
    made: runs.Run, plan: Plan, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel
) -> dict[str, Any]:
    from reasonkit.evaluation import paired
    from reasonkit.generation.local import LocalEngine
    from reasonkit.training import final

    config, test = plan.config, plan.splits.test
    engine = LocalEngine(model, tokenizer)
    before = _evaluate(made, "before", engine, test, config)
    baselines = {
        wording: _evaluate(made, f"before-{wording}", engine, test, config, wording)
        for wording in (WORDINGS if config.baselines else ())
    }
    guard = Guard(plan.rewards, config.reward_timeout)
    trained = _train(made, plan, tokenizer, model, guard)
    counters = trained.counters
    after = _evaluate(made, "after", LocalEngine(trained.policy, tokenizer), test, config)
    measured = (before, after, *baselines.values())
    best = max(baselines.values(), key=lambda e: e.accuracy.accuracy, default=before)
    summary: dict[str, Any] = {
        "command": "grpo",
        "model": config.model,
        "task": config.task,
        "before": before.to_summary(),
        "after": after.to_summary(),
        "baselines": {name: e.to_summary() for name, e in baselines.items()},
        "paired": dataclasses.asdict(paired(before.verdicts, after.verdicts)),
        "paired_with_best_wording": dataclasses.asdict(paired(best.verdicts, after.verdicts)),
        "seconds": counters.seconds + sum(e.seconds for e in measured),
        "tokens_sampled": counters.tokens_sampled,
        "tokens_trained": counters.tokens_trained,
        "tokens_evaluated": sum(e.tokens for e in measured),
        "rollout_seconds": counters.rollout_seconds,
        "reward_seconds": counters.reward_seconds,
        "peak_memory_bytes": _peak_memory(),
        "reward_failures": dict(guard.failures),
        "step_kept": trained.step,
        "stopped_at": trained.stopped,
        "rollbacks": trained.rollbacks,
    }
    card = final.model_card(summary, to_mapping(config))
    if not (made.path / "final").exists():
        final.save(trained.policy, tokenizer, made.path / "final", card, config.keep_adapter)
    made.update(
        seconds={"total": summary["seconds"], "training": counters.seconds},
        tokens={"sampled": counters.tokens_sampled, "trained": counters.tokens_trained},
    )
    made.write_json("summary.json", summary)
    return summary


def _evaluate(
    made: runs.Run,
    name: str,
    engine: LocalEngine,
    examples: Sequence[Example],
    config: GrpoConfig,
    wording: str | None = None,
) -> Evaluation:
    """Greedy, on the given examples; read from the run where it was done already."""
    from reasonkit import evaluation
    from reasonkit.generation import Sampling

    path = made.path / "evaluations" / f"{name}.json"
    if path.exists():
        return evaluation.Evaluation.load(path)
    assert config.max_completion_tokens
    sampling = Sampling(config.max_completion_tokens, temperature=0)
    with console.progress(len(examples), f"evaluating {name}") as (bar, task):
        done = evaluation.evaluate(
            engine, examples, sampling, wording, progress=lambda n: bar.update(task, completed=n)
        )
    done.save(path)
    a = done.accuracy
    console.note(f"{name}: {a.accuracy:.1%} ({a.low:.1%} to {a.high:.1%}, n = {a.n})")
    return done


def _train(
    made: runs.Run,
    plan: Plan,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    guard: Guard,
) -> Trained:
    from reasonkit.training import grpo

    config = plan.config
    assert config.steps

    def validate(step: int, engine: LocalEngine) -> dict[str, float]:
        done = _evaluate(made, f"step-{step}", engine, plan.splits.validation, config)
        return {
            "validation": done.accuracy.accuracy,
            "validation_low": done.accuracy.low,
            "validation_high": done.accuracy.high,
            "validation_tokens": done.mean_tokens,
        }

    def alarm(step: int, sign: Sign) -> None:
        signs = [s for s in made.record.get("signs", []) if s["name"] != sign.name]
        made.update(signs=[*signs, {"step": step, **dataclasses.asdict(sign)}])
        console.warn(f"step {step}: {sign.message}; for example: {sign.example[:300]!r}")

    with Training(f"{config.model} on {config.task}", config.steps) as view:
        trained = grpo.train(
            model,
            tokenizer,
            plan.splits.train,
            config,
            guard,
            made,
            plan.model.entry.lora_targets,
            validate,
            view.update,
            alarm,
            console.warn,
        )
    if trained.interrupted:
        raise KeyboardInterrupt
    return trained


def _peak_memory() -> int:
    import resource

    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
