"""What every trainer of ours does, whichever of TRL's it is.

Numbers are checked before they count: an update whose gradient is no number isn't taken, a loss
that is none isn't logged, and a checkpoint is published whole or not at all, and only with weights
that are numbers. Training goes on from the newest whole checkpoint, to the same weights, since a
run is laid out as one epoch of TRL's, in whose midst its resume is exact; it goes back where it
diverges or collapses, and what is kept at the end is best by validation.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
import trl.trainer.utils
from transformers import PreTrainedModel, PrinterCallback
from transformers.integrations import TensorBoardCallback

from reasonkit import console, processes
from reasonkit.config import LrSchedule, Optimizer, Shard, TrainingConfig, VerifierConfig
from reasonkit.errors import NotFiniteError, RunError
from reasonkit.generation.engine import TokenEngine
from reasonkit.interruption import Stop
from reasonkit.models import precision
from reasonkit.runs import Run
from reasonkit.training import checkpoints, memory, optimizers, rollback, sharding, weights, zero
from reasonkit.training.callbacks import Counters, Watch, require_finite
from reasonkit.training.peaks import Peaks, give_back, keep_apart

Config = TrainingConfig | VerifierConfig

OVERRIDDEN = {
    "transformers.Trainer._get_grad_norm": (
        "no callback is told the norm of a gradient before the step is taken",
        "913ba6f52f07",
    ),
    "transformers.Trainer._save_checkpoint": (
        "files are written in place, and a callback comes when they may be half there",
        "a9111e30faa9",
    ),
    "trl.GRPOTrainer._prepare_inputs": (
        "micro-batches are cut by chance, and no setting says otherwise",
        "f824e7fb0714",
    ),
    "trl.GRPOTrainer._get_per_token_logps_and_entropies": (
        "a prompt is computed once a completion, and so is all padding",
        "ea73c3909275",
    ),
    "trl.DistillationTrainer._generate_single_turn": (
        "it has no rollout_func, and generate has no seed of its own",
        "b2cc5048ef74",
    ),
}
"""Private methods that this room replaces: why there is no public way, and of what source, by the
first digits of its SHA-256, that was found so."""

SCHEDULES = {LrSchedule.linear: "linear", LrSchedule.constant: "constant_with_warmup"}
"""By which transformers knows them."""

TENSORBOARD = "tensorboard"
STOPPING = "stopping after this step; Ctrl-C again to stop now"


@dataclass(frozen=True, slots=True)
class Trained:
    """What training came to.

    Attributes:
        policy: with its adapter, if any; its weights are those of ``step``.
        step: whose weights the policy has: the best by validation, or the last.
        epoch: the same in epochs, where a run is counted in those; 0 is the untrained model.
        interrupted: why it was ended early, if by a signal.
        stopped: the step at which a collapse ended it early, if one did.
        rollbacks: from where to where training went back, and why.
        memory: bytes that it took, by part, and their peak (`memory.measured`).
    """

    policy: PreTrainedModel
    counters: Counters
    step: int
    epoch: int | None
    interrupted: Stop | None
    stopped: int | None
    rollbacks: list[dict[str, Any]]
    memory: dict[str, int]


class RunTrainer(transformers.Trainer):  # type: ignore[misc]
    """Put before one of TRL's trainers."""

    run: Run
    config: Config
    watch: Watch
    engine: TokenEngine
    optimizer: torch.optim.Optimizer | None
    _sampled: int | None = None
    _whole: PreTrainedModel | None = None

    def fit(
        self,
        config: Config,
        watch: Watch,
        engine: TokenEngine | None = None,
        begin: Callable[[], None] | None = None,
    ) -> Trained:
        """Trains to the end, from the run's newest whole checkpoint if it has one.

        Args:
            engine: samples from the policy, where something does.
            begin: called as often as training begins or goes on, before that.

        Raises:
            RunError: it diverges however slow it is, or the best checkpoint is damaged.
        """
        run = self.run = watch.run
        self.config, self.watch, watch.trainer = config, watch, self
        if engine is not None:
            self.engine = engine
        for parameter in self.model.parameters():
            # TRL puts adapters on weights of 4 bits into bfloat16.
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        if config.shard in (Shard.fsdp, Shard.zero3) and self._whole is None:
            self._whole = sharding.hollow_copy(
                self.model, nowhere=config.on_first and not processes.is_main()
            )
            if config.shard == Shard.fsdp:
                where = self.args.device if config.on_first else None
                sharding.cut(self.model, config.by_layer, config.offload, where)
                if (teacher := getattr(self, "teacher_model", None)) is not None:
                    sharding.cut(teacher, by_layer=True)
        trl.trainer.utils._CHUNKED_LOGPROB_CHUNK_SIZE = memory.tile_words(self.args.device.type)
        keep_apart()
        give_back()
        watch.peaks = Peaks(self.args.device.type)
        self.remove_callback(PrinterCallback)
        self.add_callback(watch)
        if TENSORBOARD in (getattr(config, "report_to", None) or []) and run.leads:
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(str(run.path / TENSORBOARD))  # type: ignore[no-untyped-call]
            self.add_callback(TensorBoardCallback(writer))
        watch.standing = rollback.standing(run.metrics())
        with watch.interruption.awaited(partial(console.announce, STOPPING)):
            while run.record.get("stopped_at") is None:
                found = partial(checkpoints.taken_up, run, watch.updates_a_step)
                newest = processes.from_main(found)
                watch.counters.recall(rollback.spent(run))
                self._sampled = None
                if begin is not None:
                    begin()
                back: Callable[[Watch, int], None] = rollback.after_collapse
                zero.let_go(self)
                try:
                    with watch.peaks.watched("update"):
                        self.train(resume_from_checkpoint=str(newest) if newest else None)
                except NotFiniteError as error:
                    self._forget()
                    back = partial(rollback.after_divergence, error)
                else:
                    if not watch.collapsed:
                        break
                step = self.state.global_step // watch.updates_a_step
                processes.from_main(partial(back, watch, step))
                if watch.interruption.agreed():
                    break
        if run.leads:
            shutil.rmtree(self.args.output_dir, ignore_errors=True)
        return self._outcome()

    def _outcome(self) -> Trained:
        run, watch, done = self.run, self.watch, self.state.global_step
        interrupted = watch.interruption.agreed() if done < self.args.max_steps else None
        step, best = done // watch.updates_a_step, watch.standing.best_step
        if best is not None:
            path, step = watch.checkpoint(best), best
            if done != best * watch.updates_a_step and not interrupted:
                if not checkpoints.verify(path):
                    raise RunError(f"{path}, the best checkpoint, is damaged")
                if self.is_deepspeed_enabled:
                    zero.load(self, path)
                else:
                    self._load_from_checkpoint(str(path))
        self._part()
        copied = self._whole.parameters() if self._whole else ()
        held = memory.measured(
            self.model,
            self.optimizer,
            getattr(self, "ref_model", None) or getattr(self, "teacher_model", None),
            watch.gradients,
            (self.engine.own_bytes if hasattr(self, "engine") else 0)
            + sum(p.nbytes for p in copied if not p.is_meta),
            watch.peaks,
        )
        return Trained(
            # Without accelerate's autocast: what is measured may be computed in another format.
            policy=self._policy(keep_fp32_wrapper=False),
            counters=watch.counters,
            step=step,
            epoch=step // watch.validate_every if watch.by_epoch else None,
            interrupted=interrupted,
            stopped=run.record.get("stopped_at"),
            rollbacks=rollback.history(run),
            memory=held,
        )

    def sampler(self) -> TokenEngine:
        """The engine, over the policy as it is now."""
        if self._sampled != self.state.global_step:
            assert not isinstance(self.config, VerifierConfig)
            policy = self.model if self.config.by_layer else self._policy()
            self.engine.use(policy, precision.products(self.config), weights.named)
            self._sampled = self.state.global_step
        return self.engine

    def _policy(self, **unwrapped: bool) -> PreTrainedModel:
        """As it is now, and whole, be it in the first process alone."""
        if self._whole is None:
            return self.accelerator.unwrap_model(self.model, **unwrapped)
        if self.config.on_first:
            sharding.collect(self.model, self._whole)
        else:
            sharding.gather(self.model, self._whole)
        return self._whole

    def _part(self) -> None:
        """What is cut is no longer whole, nor what samples from it."""
        if self._whole is not None:
            sharding.part(self.model, self._whole)
            self._sampled = None

    def training_step(self, *inputs: Any, **more: Any) -> torch.Tensor:
        """As TRL has it; the last of an update is followed by the optimizer."""
        loss: torch.Tensor = super().training_step(*inputs, **more)
        if self.accelerator.sync_gradients:
            self._part()
        return loss

    def create_accelerator_and_postprocess(self) -> None:
        """As transformers has it."""
        super().create_accelerator_and_postprocess()
        sharding.turn_on(self)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """As transformers has it, and Muon besides."""
        if self.optimizer is None and self.config.optimizer == Optimizer.muon:
            learned = self.model if model is None else model
            self.optimizer = optimizers.by_muon(learned, self.args.learning_rate)
        return super().create_optimizer(model)  # type: ignore[no-any-return]

    def note(self, name: str, value: float) -> None:
        """Adds a number to the next line that TRL logs."""
        self._metrics["train"][name].append(value)

    def _forget(self) -> None:
        """Drops what an update that was broken off has left, so that training can begin again."""
        for name, nothing in (("_step", 0), ("_buffered_inputs", None)):
            if hasattr(self, name):
                setattr(self, name, nothing)
        self.optimizer = self.lr_scheduler = None
        for kept in getattr(self, "_metrics", {}).values():
            kept.clear()

    def log(self, logs: dict[str, float], *more: Any, **others: Any) -> None:
        """As transformers has it."""
        if not math.isfinite(logs.get("loss", 0.0)):
            raise NotFiniteError(f"the loss is {logs['loss']:g}")
        super().log(logs, *more, **others)

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        # With float16 some are meant to be: that is how its scale is found, and they are left out.
        if not self.args.fp16 and not math.isfinite(norm):
            raise NotFiniteError(f"the norm of the gradient is {float(norm):g}")
        return norm

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        self._part()
        require_finite(model)
        with console.doing("saving a checkpoint"):
            with checkpoints.writing(self.run.checkpoints):
                super()._save_checkpoint(model, trial)
            # Every process writes the state of its random numbers.
            processes.gathered(None)
            processes.from_main(self._publish)

    def _publish(self) -> None:
        """What was written becomes a checkpoint; old ones go, but not the best."""
        folder, best = self.run.checkpoints, self.watch.standing.best_step
        written = Path(self.args.output_dir) / f"{checkpoints.PREFIX}{self.state.global_step}"
        checkpoints.publish(written, folder / written.name)
        kept = None if best is None else self.watch.checkpoint(best)
        checkpoints.prune(folder, self.config.keep_checkpoints, kept)


def shared(config: Config, output: Path, updates: int, updates_a_step: int = 1) -> dict[str, Any]:
    """Keywords of ``TrainingArguments`` and its kin, from our settings.

    Args:
        output: where the trainer writes.
        updates: of the whole run.
        updates_a_step: of the steps that ``save_every`` counts.
    """
    device, products = precision.device(config.device), precision.products(config)
    # TensorBoard's files belong into the run: `RunTrainer.fit`.
    named = getattr(config, "report_to", None) or []
    return {
        "output_dir": str(output),
        "max_steps": updates,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": SCHEDULES[getattr(config, "lr_schedule", LrSchedule.linear)],
        "warmup_steps": config.warmup_steps,
        "max_grad_norm": config.max_grad_norm,
        "train_sampling_strategy": "sequential",
        "remove_unused_columns": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "seed": config.seed,
        "use_cpu": device == "cpu",
        "bf16": products == torch.bfloat16,
        "fp16": products == torch.float16,
        "optim": optimizers.NAMES[config.optimizer],
        "gradient_checkpointing": config.gradient_checkpointing,
        "torch_compile": config.compile,
        "save_strategy": "steps" if config.save_every else "no",
        "save_steps": max(1, config.save_every) * updates_a_step,
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,
        "ddp_broadcast_buffers": False,
        **sharding.arguments(config),
        "dataloader_pin_memory": device == "cuda",
        "report_to": [name for name in named if name != TENSORBOARD] or "none",
        "project": "reasonkit",
        "run_name": output.parent.parent.name,
    }
