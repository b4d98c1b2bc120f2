"""GRPO through TRL's GRPOTrainer, with our own rollouts, rewards and checkpoints.

DeepSeekMath (Shao et al., arXiv:2402.03300), section 4.1: a group of completions is sampled for
each prompt and each reward is centred by its group's mean. The loss is that of
`reasonkit.training.loss`; checkpoints, the best by validation, and going back from a collapse are
those of `reasonkit.training.trainer`.

Several processes share out the prompts of a step and add up their gradients. The main one writes
the run and decides; what is decided by all alike, as when to stop, is made of the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel
from trl import GRPOConfig

from reasonkit import processes
from reasonkit.config import GrpoConfig
from reasonkit.generation.engine import Engine, TokenEngine
from reasonkit.objectives import KlForm
from reasonkit.rewards.guard import Guard
from reasonkit.runs import Run
from reasonkit.training import checkpoints, fused_logits, reward_hacking
from reasonkit.training.adapters import adapter
from reasonkit.training.callbacks import Record, Watch
from reasonkit.training.curriculum import Curriculum
from reasonkit.training.loss import Trainer
from reasonkit.training.rollouts import Rollout, lookup, mixed
from reasonkit.training.trainer import Trained, shared
from reasonkit.types import Example, Scored


def arguments(config: GrpoConfig, output: Path) -> GRPOConfig:
    """TRL's settings from ours: prompts a step and group size in, batch sizes derived.

    ``steps_per_generation`` counts micro-batches in TRL; one update takes a whole rollout here.
    """
    assert (
        config.temperature
        and config.group_size
        and config.prompts_per_step
        and config.steps
        and config.micro_batch
    )
    completions = config.group_size * config.prompts_per_step
    accumulation = completions // (config.micro_batch * processes.size())
    updates = config.updates_per_rollout
    return GRPOConfig(
        **shared(config, output, config.steps * updates, updates),
        per_device_train_batch_size=config.micro_batch,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation,
        num_generations=config.group_size,
        num_iterations=updates,
        max_completion_length=config.max_completion_tokens,
        temperature=config.temperature,
        beta=config.kl_coefficient or 0.0,
        epsilon=config.epsilon_low,
        epsilon_high=config.epsilon_high,
        loss_type=str(config.loss_type),
        scale_rewards=str(config.reward_scaling),
        use_bias_correction_kl=config.kl_form == KlForm.k3_times_ratio,
        importance_sampling_level=str(config.ratio_level),
        mask_truncated_completions=bool(config.mask_truncated),
        shuffle_dataset=False,
    )


def train(
    model: PreTrainedModel,
    engine: TokenEngine,
    examples: Sequence[Example],
    general: Sequence[Example],
    config: GrpoConfig,
    guard: Guard,
    run: Run,
    lora_targets: Sequence[str] | str,
    validate: Callable[[int, Engine], dict[str, float]],
    report: Callable[[Record, Sequence[Scored]], None],
    alarm: Callable[[int, reward_hacking.Sign], None],
) -> Trained:
    """Trains a policy, from the run's newest whole checkpoint if it has one.

    Args:
        engine: samples from the policy; opened to train.
        examples: of the task.
        general: of a second task that is mixed in; empty where there is none.
        config: fully resolved.
        lora_targets: modules that get an adapter where the config asks for LoRA.
        validate: as `Watch` has it.
        report: called with each logged record and the rollout's completions.
        alarm: called with the step and each sign that a reward is being gamed, once a kind.

    Raises:
        RunError: a reward failed too often, training diverges however slow it is, or the best
            checkpoint is damaged.
    """
    laid = mixed(examples, general, config)
    rollout = Rollout(examples, laid, config, guard, run)
    right = processes.from_main(lambda: fused_logits.is_fused_right(model))

    def sampled(prompts: list[Any], trainer: Trainer) -> dict[str, Any]:
        with watch.peaks.during("rollout"):
            return rollout(prompts, trainer)

    trainer = Trainer(
        model=model,
        args=arguments(config, checkpoints.emptied(run)),
        processing_class=engine.tokenizer,
        train_dataset=Dataset.from_dict({"prompt": [list(e.messages) for e in laid]}),
        reward_funcs=[lookup(name) for name in guard.weights],
        rollout_func=sampled,
        peft_config=adapter(config, lora_targets, model),
    )
    fused_logits.mend(trainer, right, trainer.args.temperature)
    trainer.reward_weights = torch.tensor(list(guard.weights.values()))
    noticed = set[str]()

    def measured(logs: Mapping[str, float]) -> Record:
        clipped = logs.get("clip_ratio/region_mean", logs.get("cispo_clip_ratio", 0.0))
        numbers = {name: logs[name] for name in ("loss", "entropy")}
        gap = trainer.mismatch.told()
        return {**rollout.metrics, **numbers, "kl": logs.get("kl", 0.0), "clipped": clipped, **gap}

    def told(record: Record) -> None:
        seen = rollout.seen()
        report(record, seen)
        if "validation" not in record:
            return
        most = sum(weight for weight in guard.weights.values() if weight > 0)
        verifier = guard.verifier.name if guard.verifier else "answer"
        for sign in reward_hacking.look(list(run.metrics()), seen, most, verifier):
            if sign.name not in noticed:
                noticed.add(sign.name)
                alarm(int(record["step"]), sign)

    def begin() -> None:
        """The curriculum is a function of what was observed until here."""
        if config.curriculum:
            rollout.curriculum = Curriculum(examples, config.seed)
            for record in run.metrics():
                if record["step"] == int(record["step"]):
                    rollout.curriculum.observe(record.get("pass_rates", {}))

    watch = Watch(
        run,
        told,
        measured,
        validate,
        config.validate_every,
        updates_a_step=config.updates_per_rollout,
        on_collapse=config.on_collapse,
        counters=rollout.counters,
    )
    return trainer.fit(config, watch, engine, begin)
