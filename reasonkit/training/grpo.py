"""GRPO through TRL's GRPOTrainer, with our own rollouts, rewards and checkpoints.

DeepSeekMath (Shao et al., arXiv:2402.03300), section 4.1: a group of completions is sampled for
each prompt and each reward is centred by its group's mean. What TRL does not do is done here: a
checkpoint is published whole or not at all, the best one by validation is what is kept, and a
policy that collapses goes back to it with half the learning rate.

Several processes share out the prompts of a step and add up their gradients. The main one writes
the run and decides; what is decided by all alike, as when to stop, is made of the same numbers.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import GRPOConfig

from reasonkit import processes
from reasonkit.config import GrpoConfig, OnCollapse
from reasonkit.errors import NotFiniteError, RunError
from reasonkit.generation.local import LocalEngine
from reasonkit.models import precision
from reasonkit.objectives import KlForm
from reasonkit.rewards.guard import Guard
from reasonkit.runs import Run
from reasonkit.training import checkpoints, head, rollback
from reasonkit.training.adapters import adapter
from reasonkit.training.callbacks import Record, Watch
from reasonkit.training.checked import Checked
from reasonkit.training.collapse import judged, standing
from reasonkit.training.curriculum import Curriculum
from reasonkit.training.rollback import MOST_ROLLBACKS, Note
from reasonkit.training.rollouts import Counters, Rollout, lookup, mixed
from reasonkit.training.settings import shared
from reasonkit.training.signs import Sign
from reasonkit.training.trackers import extra_callbacks, trl_trackers
from reasonkit.training.update import UpdateTrainer
from reasonkit.types import Example, Scored


@dataclass(frozen=True, slots=True)
class Trained:
    """What training came to.

    Attributes:
        policy: with its adapter, if any; its weights are those of ``step``.
        counters: what was spent.
        step: whose weights the policy has: the best by validation, or the last.
        interrupted: whether Ctrl-C ended it early.
        stopped: the step at which a collapse ended it early, if one did.
        rollbacks: each collapse that was rolled back: from where, to where, and the accuracies.
    """

    policy: PreTrainedModel
    counters: Counters
    step: int
    interrupted: bool
    stopped: int | None
    rollbacks: list[dict[str, Any]]


class Trainer(Checked, UpdateTrainer):
    """The trainer of a run."""

    watch: Watch

    def publish(self, written: Path) -> None:
        """As a checkpoint; old ones go, but not the best."""
        folder = self.run.checkpoints
        checkpoints.publish(written, folder / written.name)
        config, best = self.watch.rollout.config, self.watch.standing.best_step
        kept = None if best is None else _checkpoint(self.run, config, best)
        checkpoints.prune(folder, config.keep_checkpoints, best=kept)


def arguments(config: GrpoConfig, output: Path) -> GRPOConfig:
    """TRL's settings from ours: prompts a step and group size in, batch sizes derived.

    ``steps_per_generation`` counts micro-batches in TRL; one update takes a whole rollout here.
    """
    assert config.group_size and config.prompts_per_step and config.steps and config.micro_batch
    completions = config.group_size * config.prompts_per_step
    accumulation = completions // (config.micro_batch * processes.size())
    return GRPOConfig(
        **shared(config, output, config.updates_per_rollout),
        max_steps=config.steps * config.updates_per_rollout,
        per_device_train_batch_size=config.micro_batch,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
        num_generations=config.group_size,
        num_iterations=config.updates_per_rollout,
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
        logging_steps=1,
        report_to=trl_trackers(config),
        project="reasonkit",
        run_name=output.parent.parent.name,
    )


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    general: Sequence[Example],
    config: GrpoConfig,
    guard: Guard,
    run: Run,
    lora_targets: Sequence[str] | str,
    validate: Callable[[int, LocalEngine], dict[str, float]],
    report: Callable[[Record, Sequence[Scored]], None],
    alarm: Callable[[int, Sign], None],
    note: Callable[[str], None],
) -> Trained:
    """Trains a policy, from the run's newest whole checkpoint if it has one.

    Args:
        examples: of the task.
        general: of a second task that is mixed in; empty where there is none.
        config: fully resolved.
        lora_targets: modules that get an adapter where the config asks for LoRA.
        validate: called with the step and an engine over the policy.
        report: called with each logged record and the rollout's completions.
        alarm: called with the step and each sign of a gamed reward.
        note: called with a line that the user should see.

    Raises:
        RunError: a reward failed too often, training diverges however slow it is, or the best
            checkpoint is damaged.
    """
    assert config.prompts_per_step is not None and config.steps is not None
    folder = run.checkpoints
    staging = processes.from_main(lambda: _cleared(folder))
    laid = mixed(examples, general, config)
    curriculum = Curriculum(examples, config.seed) if config.curriculum else None
    rollout = Rollout(examples, laid, config, guard, run, curriculum)
    right = head.is_fused_right(model)
    trainer = Trainer(
        model=model,
        args=arguments(config, staging),
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict({"prompt": [list(e.messages) for e in laid]}),
        reward_funcs=[lookup(name) for name in guard.weights],
        rollout_func=rollout,
        peft_config=adapter(config, lora_targets, model),
    )
    head.mend(trainer, right, config.temperature)
    trainer.reward_weights = torch.tensor(list(guard.weights.values()))
    engine = LocalEngine(trainer.model, tokenizer, products=precision.products(config))

    def publish(name: str, value: float) -> None:
        trainer._metrics["train"][name].append(value)

    watch = Watch(rollout, lambda step: validate(step, engine), report, alarm, publish)
    watch.save_start = lambda: trainer._save_checkpoint(trainer.model, None)
    trainer.run, trainer.watch = run, watch
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    for callback in extra_callbacks(config, run):
        trainer.add_callback(callback)
    watch.standing = standing(run.metrics())
    with watch.interruption.awaited():
        while run.record.get("stopped_at") is None:
            every = config.updates_per_rollout
            newest = processes.from_main(partial(rollback.taken_up, run, note, every))
            _recall(rollout, run)
            try:
                trainer.train(resume_from_checkpoint=str(newest) if newest else None)
            except NotFiniteError as error:
                trainer.forget()
                back = partial(_after_divergence, error, run, watch)
            else:
                if not watch.collapsed:
                    break
                back = partial(_after_collapse, run, watch)
            step = trainer.state.global_step // every
            processes.from_main(partial(back, step, note))
            if watch.interruption.agreed():
                break
    if run.leads:
        shutil.rmtree(staging, ignore_errors=True)
    last = trainer.state.global_step // config.updates_per_rollout
    interrupted = watch.interruption.agreed() and last < config.steps
    best = watch.standing.best_step
    every = config.updates_per_rollout
    if best is not None and best * every != trainer.state.global_step and not interrupted:
        path = _checkpoint(run, config, best)
        if not checkpoints.verify(path):
            raise RunError(f"{path}, the best checkpoint, is damaged")
        trainer._load_from_checkpoint(str(path))
    return Trained(
        policy=trainer.accelerator.unwrap_model(trainer.model),
        counters=rollout.counters,
        step=last if best is None else best,
        interrupted=interrupted,
        stopped=run.record.get("stopped_at"),
        rollbacks=rollback.history(run),
    )


def _cleared(folder: Path) -> Path:
    """A folder for the trainer to write into, without what an earlier session left half-made."""
    checkpoints.clean(folder)
    return checkpoints.staging(folder / "trainer")


def _checkpoint(run: Run, config: GrpoConfig, step: int) -> Path:
    return run.checkpoints / f"{checkpoints.PREFIX}{step * config.updates_per_rollout}"


def _after_collapse(run: Run, watch: Watch, step: int, note: Note) -> None:
    """Forgets what came after the best checkpoint, or ends training."""
    config, best = watch.rollout.config, watch.standing
    assert best.best_step is not None
    fallen = [
        (int(record["step"]), judged(record)[0])
        for record in run.metrics()
        if "validation" in record and record["step"] > best.best_step
    ]
    said = f"validation fell from {best.best:.1%} at step {best.best_step} to {fallen[-1][1]:.1%}"
    if config.on_collapse == OnCollapse.stop or len(rollback.history(run)) >= MOST_ROLLBACKS:
        note(f"{said}: training stops, step {best.best_step} is kept")
        run.update(stopped_at=step)
        return
    _forget_after(run, config, best.best_step)
    spent = asdict(watch.rollout.counters)
    more = {"best": best.best, "validations": fallen}
    rollback.keep(run, step, best.best_step, f"Collapse: {said}", spent, **more)
    note(f"{said}: back to step {best.best_step} with half the learning rate")


def _after_divergence(error: NotFiniteError, run: Run, watch: Watch, step: int, note: Note) -> None:
    """Goes back to the best checkpoint, or without validation to the newest, or ends training."""
    config, to = watch.rollout.config, watch.standing.best_step
    if to is not None and config.on_collapse == OnCollapse.stop:
        note(f"training diverged after step {step}: {error}: it stops, step {to} is kept")
        run.update(stopped_at=step)
        return
    newest = checkpoints.latest(run.checkpoints)
    # A step can be the best before its checkpoint is written.
    if to is not None and not checkpoints.verify(_checkpoint(run, config, to)):
        to = None
    if to is None and newest is not None:
        to = checkpoints.step_of(newest) // config.updates_per_rollout
    if to is not None:
        _forget_after(run, config, to)
    rollback.after(error, run, step, to, asdict(watch.rollout.counters), note)


def _forget_after(run: Run, config: GrpoConfig, step: int) -> None:
    """Drops what was measured and saved of later steps."""
    for path in (*run.evaluations.glob("step-*.json"), *run.evaluations.glob("general-*.json")):
        if int(path.stem.rpartition("-")[2]) > step:
            path.unlink()
    checkpoints.drop_after(run.checkpoints, step * config.updates_per_rollout)


def _recall(rollout: Rollout, run: Run) -> None:
    """Takes up what earlier sessions, and abandoned stretches, have spent and observed."""
    records = list(run.metrics())
    rollout.counters.recall(rollback.spent(run))
    if rollout.curriculum is not None:
        rollout.curriculum = Curriculum(rollout.examples, rollout.config.seed)
        for record in records:
            if record["step"] == int(record["step"]):
                rollout.curriculum.observe(record.get("pass_rates", {}))
