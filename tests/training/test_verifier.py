"""The verifier's loss equals its formula, and training survives, repeats itself and generalises."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    GPTJConfig,
    GPTJForCausalLM,
    TrainerCallback,
)
from transformers import PreTrainedModel as Model

from reasonkit import runs
from reasonkit.config import VerifierConfig, to_mapping
from reasonkit.errors import DataError, RefusedError
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.training import verifier
from reasonkit.training.callbacks import Record
from reasonkit.training.solutions import Solution
from reasonkit.training.trainer import Trained

SHIPPED = resolve("abacus-mini")
TOKENIZER = load_tokenizer(SHIPPED)[0]
CONFIG = replace(
    VerifierConfig(),
    batch=4,
    micro_batch=2,
    learning_rate=1e-3,
    warmup_steps=0,
    lm_weight=0.5,
    save_every=2,
)


def generator() -> Model:
    return load_model(SHIPPED, "cpu", "float32").eval()


def written(prompt: str, completion: str, right: bool) -> Solution:
    ids = [TOKENIZER(text).input_ids for text in (prompt, f"{completion}<|end|>")]
    return Solution(*ids, [right] * len(ids[1]))


SOLUTIONS = [
    written(f"<|user|>What is {a}+{b}?<|end|><|assistant|>", f"{a}+{b}={a + b + off}", off == 0)
    for a, b, off in ((1, 2, 0), (3, 4, 1), (9, 9, 0), (5, 6, 1), (11, 2, 0), (8, 1, 2), (7, 7, 0))
]


def new_run(folder: Path, config: VerifierConfig = CONFIG) -> runs.Run:
    return runs.create("verifier", "abacus-mini", "arithmetic", to_mapping(config), folder, [])


def train(folder: Path, config: VerifierConfig = CONFIG) -> Trained:
    run = new_run(folder, config)
    return verifier.train(generator(), TOKENIZER, SOLUTIONS, config, run, lambda record: None)


def terms(model: Model, language_head: torch.Tensor, s: Solution) -> tuple[float, float]:
    """Both sums of the loss over a solution's tokens, worked out alone and in numpy."""
    ids = torch.tensor([[*s.prompt, *s.completion]])
    with torch.no_grad():
        hidden = model.base_model(ids).last_hidden_state[0].double().numpy()
    weight, bias = (p.detach().double().numpy() for p in (model.score.weight, model.score.bias))
    verdict = said = 0.0
    for place in range(len(s.prompt), ids.size(1)):
        wrong, right = hidden[place] @ weight.T + bias
        chance = 1 / (1 + math.exp(wrong - right))
        verdict -= math.log(chance if s.right else 1 - chance)
        words = hidden[place - 1] @ language_head.double().numpy().T
        said -= words[ids[0, place]] - np.log(np.exp(words - words.max()).sum()) - words.max()
    return verdict, said


class Recorder(TrainerCallback):
    """Keeps the weights before every update."""

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_step_begin(self, *_: Any, model: Model, **__: Any) -> None:
        self.weights.append({k: v.clone() for k, v in model.state_dict().items()})


@pytest.mark.parametrize("tied", [True, False])
def test_the_loss_that_is_trained_equals_its_formula(
    tied: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = generator()
    if not tied:
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() * 0.9)
    recorder = Recorder()
    monkeypatch.setattr(
        verifier.Watch, "on_step_begin", lambda self, *a, **k: recorder.on_step_begin(*a, **k)
    )
    run = new_run(tmp_path / "run")
    verifier.train(model, TOKENIZER, SOLUTIONS, CONFIG, run, lambda record: None)
    order = verifier.lay_out([len(s) for s in SOLUTIONS], CONFIG.batch, 1, CONFIG.seed)
    copy = verifier.start_from(model)[0].eval()
    records = list(run.metrics())
    assert [record["step"] for record in records] == [1, 2]
    for number, record in enumerate(records):
        copy.load_state_dict(recorder.weights[number])
        batch = [SOLUTIONS[place] for place in order[number * 4 :][:4]]
        head = copy.get_input_embeddings().weight if tied else model.lm_head.weight
        sums = np.array([terms(copy, head.detach(), s) for s in batch]).sum(0)
        count = sum(len(s.completion) for s in batch)
        assert record["verdict_loss"] == pytest.approx(sums[0] / count, rel=1e-5)
        assert record["lm_loss"] == pytest.approx(sums[1] / count, rel=1e-5)
    assert records[0]["verdict_loss"] == pytest.approx(math.log(2))
    assert records[1]["verdict_loss"] != pytest.approx(math.log(2))


def test_the_gradient_of_an_update_is_that_of_the_whole_loss(tmp_path: Path) -> None:
    trained = train(tmp_path / "run", replace(CONFIG, micro_batch=4, max_grad_norm=0.5))
    halves = train(tmp_path / "halves", replace(CONFIG, micro_batch=2, max_grad_norm=0.5))
    for one, other in zip(trained.policy.parameters(), halves.policy.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_it_starts_as_the_generator_and_undecided() -> None:
    model = generator()
    start, head = verifier.start_from(model)
    ids = torch.tensor([SOLUTIONS[0].prompt])
    with torch.no_grad():
        output = start.eval()(ids, output_hidden_states=True)
        torch.testing.assert_close(head(output.hidden_states[-1]), model(ids).logits)
    assert (output.logits == 0).all()
    assert start.config.id2label == {0: "wrong", 1: "right"}
    assert model.config.id2label != start.config.id2label


def test_training_leaves_the_generator_as_it_was(tmp_path: Path) -> None:
    model = generator()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = new_run(tmp_path / "run")
    verifier.train(model, TOKENIZER, SOLUTIONS, CONFIG, run, lambda record: None)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_one_seed_gives_the_same_weights_and_another_one_others(tmp_path: Path) -> None:
    first, same = train(tmp_path / "a"), train(tmp_path / "b")
    other = train(tmp_path / "c", replace(CONFIG, seed=1))

    def equal(one: Trained, two: Trained) -> bool:
        pairs = zip(one.policy.parameters(), two.policy.parameters(), strict=True)
        return all(torch.equal(a, b) for a, b in pairs)

    assert equal(first, same)
    assert not equal(first, other)


def test_logits_in_pieces_have_the_same_loss_and_gradient() -> None:
    model = generator()
    hidden = torch.randn((7, model.config.hidden_size), requires_grad=True)
    words = torch.arange(7) + 5
    losses, gradients = [], []
    for piece in (7, 3, 1):
        loss = verifier.said_loss(model.lm_head, hidden, words, piece)
        losses.append(loss.item())
        gradients.append(torch.autograd.grad(loss, [hidden, model.lm_head.weight]))
    assert losses == pytest.approx([losses[0]] * 3)
    for other in gradients[1:]:
        for one, same in zip(gradients[0], other, strict=True):
            torch.testing.assert_close(one, same)


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=3)
    whole = train(tmp_path / "whole", config)
    run = new_run(tmp_path / "cut", config)

    class KilledError(Exception):
        pass

    def die(record: Record) -> None:
        if record["step"] == 4:
            raise KilledError

    with pytest.raises(KilledError):
        verifier.train(generator(), TOKENIZER, SOLUTIONS, config, run, die)
    names = {path.name for path in run.checkpoints.glob("checkpoint-*")}
    assert names == {"checkpoint-0", "checkpoint-2"}
    resumed = verifier.train(generator(), TOKENIZER, SOLUTIONS, config, run, lambda record: None)
    pairs = zip(whole.policy.parameters(), resumed.policy.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert resumed.counters.tokens_trained == whole.counters.tokens_trained
    assert not resumed.interrupted
    assert [record["step"] for record in run.metrics()] == [1, 2, 3, 4, 5, 6]


def test_solutions_of_one_kind_are_refused(tmp_path: Path) -> None:
    wrong = [solution for solution in SOLUTIONS if not solution.right]
    for solutions, kind in ((wrong, "wrong"), ([], "0 solutions")):
        run = new_run(tmp_path / kind)
        with pytest.raises(DataError, match=kind):
            verifier.train(generator(), TOKENIZER, solutions, CONFIG, run, lambda record: None)


def test_a_generator_without_token_classification_is_refused() -> None:
    tiny = GPTJConfig(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2, rotary_dim=4)
    with pytest.raises(RefusedError, match="GPTJForCausalLM"):
        verifier.start_from(GPTJForCausalLM(tiny))


def test_a_foreign_generator_makes_a_verifier_that_transformers_loads(
    random_qwen3: Path, tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(random_qwen3)
    start, _ = verifier.start_from(model)
    start.save_pretrained(tmp_path)
    loaded = AutoModelForTokenClassification.from_pretrained(tmp_path)
    assert loaded.config.id2label == {0: "wrong", 1: "right"}
