"""Training a verifier on a generator's own solutions (Cobbe et al., arXiv:2110.14168, section 4.2).

The verifier starts from the generator's weights. After every token of a solution it says whether
the solution will turn out right, and it goes on predicting the tokens themselves; the question is
read and not learned. With the N solution tokens s_t of an update, their labels y_t and the question
q::

    loss = -1/N Σ_t [ y_t log p(q, s_1 … s_t) + (1 - y_t) log (1 - p(q, s_1 … s_t))
                      + λ log P(s_t | q, s_1 … s_t-1) ]

where λ is the ``lm_weight``. Cobbe et al. have the squared error of p for its logarithm, and learn
to predict reference solutions; here there are the generator's own. Several processes share out the
solutions of an update. Leaves out adapters.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint
from transformers import (
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
)

from reasonkit import processes
from reasonkit.config import VerifierConfig
from reasonkit.errors import DataError, RefusedError
from reasonkit.runs import Run
from reasonkit.training import checkpoints
from reasonkit.training.callbacks import Record, Watch
from reasonkit.training.encoding import IGNORED
from reasonkit.training.solutions import Collator, Solution, lay_out
from reasonkit.training.trainer import RunTrainer, Trained, shared

LABELS = {0: "wrong", 1: "right"}
LOGITS = 2**26
"""Over the vocabulary, that are held at once in float32: a quarter of a gigabyte."""

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


class Trainer(RunTrainer):
    """A trainer with this module's loss."""

    config: VerifierConfig
    head: Head
    _metrics: dict[str, dict[str, list[float]]]

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
        wanted = torch.stack([1 - labels[judged], labels[judged]], dim=1)
        loss = cross_entropy(verdicts, wanted, reduction="sum") / num_items_in_batch
        self.note("verdict_loss", loss.item())
        if self.config.lm_weight:
            predicted = judged[:, 1:]
            hidden, words = output.hidden_states[-1][:, :-1][predicted], ids[:, 1:][predicted]
            piece = max(1, LOGITS // self.model.config.vocab_size)
            said = said_loss(self.head, hidden, words, piece) / num_items_in_batch
            self.note("lm_loss", said.item())
            loss = loss + self.config.lm_weight * said
        # The mean of the processes' gradients is taken, and their sum is meant.
        return loss * processes.size()


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
        generator: whose weights it starts from, and whose tokens solutions have; it keeps its own.
        config: fully resolved.

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
    trainer = Trainer(
        model=verifier,
        args=TrainingArguments(
            **shared(config, checkpoints.emptied(run), updates),
            per_device_train_batch_size=config.micro_batch,
            gradient_accumulation_steps=config.batch // (config.micro_batch * processes.size()),
        ),
        processing_class=tokenizer,
        data_collator=Collator(tokenizer.pad_token_id),
        train_dataset=laid,
    )
    trainer.head, trainer._metrics = head, {"train": defaultdict(list)}

    def measured(logs: Mapping[str, float]) -> Record:
        step, parts = trainer.state.global_step, trainer._metrics["train"]
        of_all = processes.gathered({name: sum(values) for name, values in parts.items()})
        losses = {name: sum(of_one[name] for of_one in of_all) for name in of_all[0]}
        parts.clear()
        new = laid[(step - 1) * config.batch : step * config.batch]
        watch.counters.tokens_trained += sum(map(len, new))
        return losses

    watch = Watch(run, report, measured)
    return trainer.fit(config, watch)
