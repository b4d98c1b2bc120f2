"""Training a verifier on a generator's own solutions (Cobbe et al., arXiv:2110.14168, section 4.2).

The verifier starts from the generator's weights. After every token of a solution it says whether
the solution will turn out right, and it goes on predicting the tokens themselves; the question is
read and not learned. With the N solution tokens s_t of an update, the question q and the label y::

    loss = -1/N Σ_t [ log p(y | q, s_1 … s_t) + λ log P(s_t | q, s_1 … s_t-1) ]

where λ is the ``lm_weight``. Cobbe et al. have the squared error of p for its logarithm, and learn
to predict reference solutions; here there are the generator's own. Leaves out adapters, and runs
over several processes.
"""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint
from torch.utils.data import Sampler, SequentialSampler
from transformers import (
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from reasonkit.config import VerifierConfig
from reasonkit.errors import DataError, RefusedError
from reasonkit.runs import Run
from reasonkit.training import checkpoints, rollback
from reasonkit.training.checked import Checked
from reasonkit.training.interruption import Interruption
from reasonkit.training.settings import shared
from reasonkit.training.solutions import IGNORED, Collator, Solution, lay_out

LABELS = {0: "wrong", 1: "right"}
LOG_EVERY = 10
"""Updates between two records."""

LOGITS = 2**26
"""Over the vocabulary, that are held at once in float32: a quarter of a gigabyte."""

Record = dict[str, Any]
"""A line of ``metrics.jsonl``."""

Head = Callable[[Tensor], Tensor]
"""Logits over the vocabulary from the last hidden states."""


def start_from(generator: PreTrainedModel) -> tuple[PreTrainedModel, Head]:
    """A verifier with the generator's weights, whose every score is 1/2, and its language head.

    The head is the verifier's input embedding where the generator's is tied to its own, and learns
    with it; else it is the generator's and stays as it is, since no checkpoint would keep it.

    Raises:
        RefusedError: transformers has no token classification for this architecture.
    """
    config = copy.deepcopy(generator.config)
    config.id2label = LABELS
    config.label2id = {name: number for number, name in LABELS.items()}
    config.classifier_dropout = 0.0
    try:
        verifier = AutoModelForTokenClassification.from_config(config, dtype=generator.dtype)
    except ValueError as error:
        raise RefusedError(
            f"transformers has no token classification for {type(generator).__name__}: no verifier "
            "can be made of it"
        ) from error
    verifier.base_model.load_state_dict(generator.base_model.state_dict())
    for name, parameter in verifier.named_parameters():
        if not name.startswith(f"{verifier.base_model_prefix}."):
            torch.nn.init.zeros_(parameter)
    verifier.to(generator.device)
    words, said = generator.get_input_embeddings().weight, generator.get_output_embeddings()
    if said.weight is not words:
        return verifier, said.requires_grad_(False)
    return verifier, lambda hidden: linear(hidden, verifier.get_input_embeddings().weight)


def said_loss(head: Head, hidden: Tensor, words: Tensor, piece: int) -> Tensor:
    """The sum of -log P of words, with logits of no more than ``piece`` of them at once.

    Args:
        hidden: last hidden states, of shape (tokens, hidden width).
        words: of shape (tokens,).
    """

    def of_piece(hidden: Tensor, words: Tensor) -> Tensor:
        return cross_entropy(head(hidden).float(), words, reduction="sum")

    if len(words) <= piece:
        return of_piece(hidden, words)
    # What a piece keeps for the backward pass is computed again there.
    pieces = zip(torch.split(hidden, piece), torch.split(words, piece), strict=True)
    sums = [checkpoint(of_piece, *both, use_reentrant=False) for both in pieces]
    return torch.stack(sums).sum()


class Trainer(Checked):
    """A trainer with this module's loss.

    Attributes:
        parts: the sums of both terms since they were last logged.
    """

    config: VerifierConfig
    head: Head
    parts: dict[str, float]

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        """The part of an update's loss that falls to one micro-batch.

        Args:
            num_items_in_batch: N, over all micro-batches of the update.
        """
        assert num_items_in_batch is not None and not return_outputs
        ids, labels = inputs["input_ids"], inputs["labels"]
        output = model(
            input_ids=ids, attention_mask=inputs["attention_mask"], output_hidden_states=True
        )
        judged = labels != IGNORED
        verdicts = output.logits[judged].float()
        loss = cross_entropy(verdicts, labels[judged], reduction="sum") / num_items_in_batch
        self._note("verdict_loss", loss)
        if self.config.lm_weight:
            predicted = judged[:, 1:]
            hidden, words = output.hidden_states[-1][:, :-1][predicted], ids[:, 1:][predicted]
            piece = max(1, LOGITS // self.model.config.vocab_size)
            said = said_loss(self.head, hidden, words, piece) / num_items_in_batch
            self._note("lm_loss", said)
            loss = loss + self.config.lm_weight * said
        return loss

    def _note(self, name: str, value: Tensor) -> None:
        self.parts[name] = self.parts.get(name, 0.0) + value.item()

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return SequentialSampler(self.train_dataset)

    def publish(self, written: Path) -> None:
        """As a checkpoint; old ones go."""
        checkpoints.publish(written, self.run.checkpoints / written.name)
        checkpoints.prune(self.run.checkpoints, self.config.keep_checkpoints)


class Watch(TrainerCallback):  # type: ignore[misc]
    """Logs the loss and what is spent, and stops cleanly on Ctrl-C.

    Args:
        trainer: whose loss it is.
        tokens: of each update, padding not counted.
        report: called with each logged record.
    """

    def __init__(
        self, trainer: Trainer, tokens: Sequence[int], report: Callable[[Record], None]
    ) -> None:
        self.trainer = trainer
        self.tokens = tokens
        self.report = report
        self.interruption = Interruption()
        self._logged = 0
        self._started = time.perf_counter()

    def recall(self, spent: Mapping[str, Any] | None) -> None:
        """Goes on counting from what was spent before, if anything was."""
        self._started = time.perf_counter() - (spent["seconds"] if spent else 0.0)

    @property
    def seconds(self) -> float:
        """Spent on training, by earlier sessions too."""
        return time.perf_counter() - self._started

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer,
        lr_scheduler: Any,
        **_: Any,
    ) -> None:
        """Slows down after a rollback."""
        self._logged, self.trainer.parts = state.global_step, {}
        rollback.slow_down(self.trainer.run, args.learning_rate, optimizer, lr_scheduler)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Every checkpoint has a record; saves and stops if the user has asked for it."""
        if self.interruption.asked:
            control.should_save = control.should_training_stop = True
        control.should_log = control.should_log or control.should_save

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """One record for the updates since the last one."""
        if "grad_norm" not in (logs or {}):
            return
        assert logs is not None
        updates = state.global_step - self._logged
        record = {
            "step": state.global_step,
            **{name: value / updates for name, value in self.trainer.parts.items()},
            "grad_norm": logs["grad_norm"],
            "learning_rate": logs["learning_rate"],
            "tokens_trained": sum(self.tokens[: state.global_step]),
            "seconds": self.seconds,
        }
        self._logged, self.trainer.parts = state.global_step, {}
        self.trainer.run.append_metrics(record)
        self.report(record)


@dataclass(frozen=True, slots=True)
class Trained:
    """What training came to.

    Attributes:
        verifier: the model.
        tokens: learned from, those of questions included.
        seconds: spent.
        interrupted: whether Ctrl-C ended it early.
    """

    verifier: PreTrainedModel
    tokens: int
    seconds: float
    interrupted: bool


def arguments(config: VerifierConfig, updates: int, output: Path) -> TrainingArguments:
    """transformers' settings from ours."""
    assert config.micro_batch
    return TrainingArguments(
        **shared(config, output),
        max_steps=updates,
        per_device_train_batch_size=config.micro_batch,
        gradient_accumulation_steps=config.batch // config.micro_batch,
        logging_steps=LOG_EVERY,
        report_to="none",
    )


def train(
    generator: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    solutions: Sequence[Solution],
    config: VerifierConfig,
    run: Run,
    report: Callable[[Record], None],
) -> Trained:
    """Trains a verifier, from the run's newest whole checkpoint if it has one.

    Args:
        generator: whose weights it starts from; it keeps its own.
        solutions: in the generator's tokens.
        config: fully resolved.
        report: called with each logged record.

    Raises:
        RefusedError: no verifier can be made of the generator.
        DataError: the solutions are all right, all wrong or none.
        RunError: training diverges however slow it is.
    """
    assert config.micro_batch
    if len({solution.right for solution in solutions}) < 2:
        kind = "right" if any(s.right for s in solutions) else "wrong"
        raise DataError(
            f"all {len(solutions)} solutions are {kind}: a verifier learns from both kinds; pass "
            "other questions, or more of them"
        )
    verifier, head = start_from(generator)
    order = lay_out([len(s) for s in solutions], config.batch, config.epochs, config.seed)
    laid = [solutions[place] for place in order]
    updates = len(laid) // config.batch
    sizes = [sum(map(len, laid[i * config.batch :][: config.batch])) for i in range(updates)]
    checkpoints.clean(run.checkpoints)
    written = checkpoints.staging(run.checkpoints / "trainer")
    trainer = Trainer(
        model=verifier,
        args=arguments(config, updates, written),
        processing_class=tokenizer,
        data_collator=Collator(tokenizer.pad_token_id),
        train_dataset=laid,
    )
    trainer.run, trainer.config, trainer.head, trainer.parts = run, config, head, {}
    watch = Watch(trainer, sizes, report)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)

    def restart() -> None:
        trainer.model.load_state_dict(start_from(generator)[0].state_dict())

    with watch.interruption.awaited():
        rollback.train(trainer, lambda: {"seconds": watch.seconds}, watch.recall, restart)
    shutil.rmtree(written, ignore_errors=True)
    done = trainer.state.global_step
    return Trained(
        verifier=trainer.accelerator.unwrap_model(trainer.model),
        tokens=sum(sizes[:done]),
        seconds=watch.seconds,
        interrupted=watch.interruption.asked and done < updates,
    )
