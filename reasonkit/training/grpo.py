"""GRPO through TRL's GRPOTrainer, with our own rollouts, rewards and checkpoints.

DeepSeekMath (Shao et al., arXiv:2402.03300), section 4.1: a group of completions is sampled for
each prompt and each reward is centred by its group's mean. What TRL does not do is done here:
prompts are laid out in one pass, so that a resumed run sees the same ones; rollouts come from an
engine and are scored under a time limit; a checkpoint is published whole or not at all.

Leaves out dynamic sampling, curricula and best-checkpoint selection.
"""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import GRPOConfig, GRPOTrainer

from reasonkit.answers.extraction import extract_answer
from reasonkit.config import GrpoConfig
from reasonkit.evaluation import shows_work
from reasonkit.generation import Sampling
from reasonkit.generation.local import LocalEngine, encode_prompts
from reasonkit.rewards.guard import Guard
from reasonkit.runs import Run
from reasonkit.training import checkpoints
from reasonkit.training.padding import without_padding
from reasonkit.types import Example, Group, Scores


@dataclass(slots=True)
class Counters:
    """What a training run has spent.

    Attributes:
        tokens_sampled: completion tokens of all rollouts.
        tokens_trained: prompt and completion tokens that went through an update, once a pass.
        rollout_seconds: time spent sampling.
        reward_seconds: time spent scoring.
        seconds_before: of training, in the sessions that a resumed run goes on from.
    """

    tokens_sampled: int = 0
    tokens_trained: int = 0
    rollout_seconds: float = 0.0
    reward_seconds: float = 0.0
    seconds_before: float = 0.0


def schedule(
    examples: Sequence[Example], prompts_per_step: int, steps: int, seed: int
) -> list[Example]:
    """The prompts of a whole run, in order: reshuffled whenever all have been seen.

    TRL's resume is exact only within its first epoch, so the run is laid out as one.
    """
    rng = random.Random(seed)
    laid: list[Example] = []
    while len(laid) < prompts_per_step * steps:
        laid += rng.sample(list(examples), len(examples))
    return laid[: prompts_per_step * steps]


@dataclass
class Rollout:
    """TRL's ``rollout_func``: samples groups, scores them, records them.

    Attributes:
        laid: the prompts of the whole run (`schedule`).
        config: settings of the run, fully resolved.
        guard: the rewards.
        run: where completions and metrics go.
        counters: what has been spent so far; updated in place.
        metrics: of the newest rollout, by name.
    """

    laid: Sequence[Example]
    config: GrpoConfig
    guard: Guard
    run: Run
    counters: Counters = field(default_factory=Counters)
    metrics: dict[str, float] = field(default_factory=dict)

    def __call__(self, prompts: list[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        """Completions for prompts that come repeated group by group.

        Returns:
            TRL's columns, one row a completion, and ``score_NAME`` for each reward.
        """
        config = self.config
        size = trainer.num_generations
        step = trainer.state.global_step // config.updates_per_rollout
        here = len(prompts) // size
        processes = trainer.accelerator.num_processes
        start = step * here * processes + here * trainer.accelerator.process_index
        examples = self.laid[start : start + here]
        model = trainer.accelerator.unwrap_model(trainer.model)
        engine = LocalEngine(model, trainer.processing_class)
        assert config.max_completion_tokens is not None
        sampling = Sampling(
            max_tokens=config.max_completion_tokens,
            temperature=config.temperature,
            seed=((config.seed * 1_000_003 + step) * processes + trainer.accelerator.process_index),
        )
        started = time.perf_counter()
        with trainer.autocast_smart_context_manager():
            distinct = list({example.id: example for example in examples}.values())
            groups = {group.example.id: group for group in engine.sample(distinct, size, sampling)}
        sampled = time.perf_counter()
        ordered = [groups[example.id] for example in examples]
        scored = [self.guard.score(group) for group in ordered]
        self.counters.rollout_seconds += sampled - started
        self.counters.reward_seconds += time.perf_counter() - sampled
        self._record(step, ordered, scored)
        prompt_ids, _ = encode_prompts(trainer.processing_class, examples)
        completions = [c for group in ordered for c in group.completions]
        passes = config.updates_per_rollout
        self.counters.tokens_sampled += sum(c.tokens for c in completions)
        self.counters.tokens_trained += passes * (
            sum(c.tokens for c in completions) + size * sum(map(len, prompt_ids))
        )
        columns = {
            f"score_{name}": [value for scores in scored for value in scores[name]]
            for name in scored[0]
        }
        return {
            "prompt_ids": [ids for ids in prompt_ids for _ in range(size)],
            "completion_ids": [list(c.token_ids) for c in completions],
            "logprobs": None,
            **columns,
        }

    def _record(self, step: int, groups: Sequence[Group], scored: Sequence[Scores]) -> None:
        totals = [self.guard.total(scores) for scores in scored]
        completions = [c for group in groups for c in group.completions]
        count = len(completions)
        known = [[t for t in total if t is not None] for total in totals]
        self.metrics = {
            "completion_tokens": sum(c.tokens for c in completions) / count,
            "truncated": sum(c.finish_reason == "length" for c in completions) / count,
            "thinks": sum(shows_work(c.text, extract_answer(c.text)) for c in completions) / count,
            "zero_spread": sum(len(set(t)) <= 1 for t in known) / len(known),
            "reward": sum(map(sum, known)) / max(1, sum(map(len, known))),
        }
        for name in scored[0]:
            values = [v for scores in scored for v in scores[name] if v is not None]
            self.metrics[f"reward/{name}"] = sum(values) / len(values) if values else float("nan")
        self.run.append_completions(
            [
                {
                    "step": step + 1,
                    "id": group.example.id,
                    "prompt": group.example.question,
                    "reference": group.example.answer,
                    "completion": c.text,
                    "tokens": c.tokens,
                    "finish": c.finish_reason,
                    "rewards": {name: scores[name][i] for name in scores},
                    "reward": total[i],
                }
                for group, scores, total in zip(groups, scored, totals, strict=True)
                for i, c in enumerate(group.completions)
            ]
        )


def lookup(name: str) -> Callable[..., list[float | None]]:
    """A TRL reward function that hands on what the rollout has scored already."""

    def score(prompts: list[Any], **columns: Any) -> list[float | None]:
        scores: list[float | None] = columns[f"score_{name}"]
        return scores

    score.__name__ = name
    return score


class Trainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer that computes no padding, and whose checkpoints appear whole or not at all."""

    run: Run
    keep_checkpoints: int

    def _get_per_token_logps_and_entropies(
        self,
        model: torch.nn.Module,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **images: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        score = super()._get_per_token_logps_and_entropies
        if compute_aux_loss:
            whole: tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None] = score(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **images,
            )
            return whole

        def one_pass(
            ids: torch.Tensor, mask: torch.Tensor, keep: int
        ) -> tuple[torch.Tensor, torch.Tensor | None]:
            scored = score(model, ids, mask, keep, batch_size, compute_entropy)
            return scored[0], scored[1]

        return *without_padding(one_pass, input_ids, attention_mask, logits_to_keep), None

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if not self.args.should_save:
            return
        name = f"checkpoint-{self.state.global_step}"
        folder = self.run.path / "checkpoints"
        checkpoints.publish(Path(self.args.output_dir) / name, folder / name)
        checkpoints.prune(folder, self.keep_checkpoints, best=None)


class Watch(TrainerCallback):  # type: ignore[misc]
    """Logs each step, validates, and stops cleanly on Ctrl-C.

    Args:
        rollout: whose metrics are logged.
        validate: called with the step; its result joins the log.
        report: called with each record that is logged.
    """

    def __init__(
        self,
        rollout: Rollout,
        validate: Callable[[int], dict[str, float]],
        report: Callable[[dict[str, float]], None],
    ) -> None:
        self.rollout = rollout
        self.validate = validate
        self.report = report
        self.started = time.perf_counter()
        self.interrupted = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """At a rollout's last update: stops and saves if asked to."""
        if state.global_step % self.rollout.config.updates_per_rollout == 0 and self.interrupted:
            control.should_save = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """One record an update; validation at a rollout's last update."""
        logs = logs or {}
        config = self.rollout.config
        if "grad_norm" not in logs:
            return
        record = {
            "step": state.global_step / config.updates_per_rollout,
            **self.rollout.metrics,
            "reward_std": logs["reward_std"],
            "entropy": logs["entropy"],
            "kl": logs.get("kl", 0.0),
            "clipped": logs.get("clip_ratio/region_mean", 0.0),
            "grad_norm": logs["grad_norm"],
            "learning_rate": logs["learning_rate"],
            "loss": logs["loss"],
            **asdict(self.rollout.counters),
            "seconds": self.rollout.counters.seconds_before + time.perf_counter() - self.started,
        }
        step, rest = divmod(state.global_step, config.updates_per_rollout)
        due = config.validate_every and step % config.validate_every == 0
        if rest == 0 and (due or step == config.steps):
            record |= self.validate(step)
        self.rollout.run.append_metrics(record)
        self.report(record)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C asks for a stop after the running step; a second one stops at once."""

        def ask(number: int, frame: FrameType | None) -> None:
            self.interrupted = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        before = signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def arguments(config: GrpoConfig, output: Path) -> GRPOConfig:
    """TRL's settings from ours: prompts a step and group size in, batch sizes derived.

    ``steps_per_generation`` counts micro-batches in TRL; one update takes a whole rollout here.
    """
    assert config.group_size and config.prompts_per_step and config.steps and config.micro_batch
    cuda = torch.cuda.is_available() and config.device in ("auto", "cuda")
    completions = config.group_size * config.prompts_per_step
    accumulation = completions // config.micro_batch
    return GRPOConfig(
        output_dir=str(output),
        max_steps=config.steps * config.updates_per_rollout,
        per_device_train_batch_size=config.micro_batch,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation,
        num_generations=config.group_size,
        num_iterations=config.updates_per_rollout,
        max_completion_length=config.max_completion_tokens,
        temperature=config.temperature,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=config.warmup_steps,
        max_grad_norm=config.max_grad_norm,
        beta=config.kl_coefficient,
        epsilon=config.epsilon_low,
        epsilon_high=config.epsilon_high,
        loss_type=str(config.loss_type),
        scale_rewards=str(config.reward_scaling),
        use_bias_correction_kl=False,
        shuffle_dataset=False,
        remove_unused_columns=False,
        seed=config.seed,
        use_cpu=not cuda and config.device != "mps",
        bf16=cuda and config.dtype in ("auto", "bfloat16"),
        fp16=cuda and config.dtype == "float16",
        gradient_checkpointing=cuda,
        save_strategy="steps" if config.save_every else "no",
        save_steps=max(1, config.save_every) * config.updates_per_rollout,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=cuda,
    )


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    config: GrpoConfig,
    guard: Guard,
    run: Run,
    lora_targets: Sequence[str] | str,
    validate: Callable[[int, LocalEngine], dict[str, float]],
    report: Callable[[dict[str, float]], None],
) -> tuple[PreTrainedModel, Counters, bool]:
    """Trains a policy, from the run's newest whole checkpoint if it has one.

    Args:
        config: fully resolved.
        lora_targets: modules that get an adapter where the config asks for LoRA.
        validate: called with the step and an engine over the policy.
        report: called with each logged record.

    Returns:
        The policy (with its adapter, if any), what was spent, and whether Ctrl-C ended it early.
    """
    assert config.prompts_per_step is not None and config.steps is not None
    folder = run.path / "checkpoints"
    checkpoints.clean(folder)
    staging = checkpoints.staging(folder / "trainer")
    laid = schedule(examples, config.prompts_per_step, config.steps, config.seed)
    rollout = Rollout(laid, config, guard, run)
    weights = guard.weights
    peft_config = None
    if config.lora:
        peft_config = LoraConfig(
            r=config.lora_rank,
            lora_alpha=2 * config.lora_rank,
            target_modules=lora_targets if isinstance(lora_targets, str) else list(lora_targets),
            task_type="CAUSAL_LM",
        )
    trainer = Trainer(
        model=model,
        args=arguments(config, staging),
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict({"prompt": [list(e.messages) for e in laid]}),
        reward_funcs=[lookup(name) for name in weights],
        rollout_func=rollout,
        peft_config=peft_config,
    )
    trainer.reward_weights = torch.tensor(list(weights.values()))
    trainer.run, trainer.keep_checkpoints = run, config.keep_checkpoints
    engine = LocalEngine(trainer.model, tokenizer)
    watch = Watch(rollout, lambda step: validate(step, engine), report)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    newest = checkpoints.latest(folder)
    done = checkpoints.step_of(newest) if newest else 0
    run.truncate_after(done // config.updates_per_rollout)
    _recall(rollout.counters, run)
    with watch.interruptible():
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    shutil.rmtree(staging, ignore_errors=True)
    policy = trainer.accelerator.unwrap_model(trainer.model)
    stopped = watch.interrupted and trainer.state.global_step < trainer.state.max_steps
    return policy, rollout.counters, stopped


def _recall(counters: Counters, run: Run) -> None:
    """Takes up the counts of the sessions that a resumed run goes on from."""
    records = list(run.metrics())
    if records:
        last = records[-1]
        for field_ in fields(counters):
            setattr(counters, field_.name, last[field_.name])
        counters.seconds_before = last["seconds"]
