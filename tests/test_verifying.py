"""A verifier scores completions as plain transformers does, and refuses what it can't read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    Qwen3Config,
    Qwen3ForSequenceClassification,
)

from reasonkit.config import Aggregate
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.training import verifier as training
from reasonkit.types import Completion, Example, Group
from reasonkit.verifying import SETTINGS, Reading, Verifier, load

SHIPPED = resolve("abacus-mini")
TOKENIZER = load_tokenizer(SHIPPED)[0]
QUESTION = Example("q", "t", ({"role": "user", "content": "What is 2+3?"},), "5")


def completion(text: str, finish: str = "stop") -> Completion:
    ids = TOKENIZER(text + ("<|end|>" if finish == "stop" else "")).input_ids
    return Completion(text, tuple(ids), finish)


GROUP = Group(
    QUESTION,
    [
        completion("2+3=5"),
        completion("<think>2+3=5;5</think><answer>5</answer>"),
        completion("2+3=", "length"),
        completion("2+3=5"),
    ],
)


def save(folder: Path, change: Callable[[torch.nn.Module], None] = lambda model: None) -> Path:
    """A verifier of abacus-mini with a random score."""
    model, _ = training.start_from(load_model(SHIPPED, "cpu", "float32"))
    torch.manual_seed(0)
    torch.nn.init.normal_(model.score.weight)
    change(model)
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


def every_token(verifier: Verifier) -> list[list[float] | None]:
    verifier.reading = Reading(ends=("",))
    return verifier.step_scores(GROUP)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save(tmp_path / "verifier")


def test_the_score_of_every_token_is_that_of_plain_transformers(saved: Path) -> None:
    model = AutoModelForTokenClassification.from_pretrained(saved).eval()
    scored = every_token(load(str(saved), generator=TOKENIZER))
    for made, scores in zip(GROUP.completions, scored, strict=True):
        prompt = TOKENIZER("<|user|>What is 2+3?<|end|><|assistant|>").input_ids
        ids = torch.tensor([prompt + list(made.token_ids)])
        with torch.no_grad():
            chances = model(ids).logits[0].softmax(-1)[-made.tokens :, 1]
        assert scores == pytest.approx(chances.tolist(), abs=1e-5)


def test_the_text_of_a_completion_is_scored_as_its_ids_are(saved: Path) -> None:
    by_id = load(str(saved), generator=TOKENIZER)
    by_text = load(str(saved))
    assert by_id.reads_ids
    assert not by_text.reads_ids
    assert by_text.score(GROUP) == pytest.approx(by_id.score(GROUP), abs=1e-6)


def test_equal_completions_have_the_very_same_score(saved: Path) -> None:
    scores = load(str(saved), generator=TOKENIZER).score(GROUP)
    assert scores[0] == scores[3]
    assert len(set(scores)) == 3


def test_a_score_does_not_depend_on_what_it_is_padded_with(saved: Path) -> None:
    verifier = load(str(saved), generator=TOKENIZER)
    alone = [verifier.score(Group(QUESTION, [made]))[0] for made in GROUP.completions]
    assert verifier.score(GROUP) == pytest.approx(alone, abs=1e-6)


def test_steps_end_where_they_are_said_to_and_at_the_end(saved: Path) -> None:
    verifier = load(str(saved), generator=TOKENIZER)
    tokens = every_token(verifier)
    verifier.reading = Reading(Aggregate.last, ("=", ";"))
    for made, each, steps in zip(
        GROUP.completions, tokens, verifier.step_scores(GROUP), strict=True
    ):
        places = [i for i, id in enumerate(made.token_ids) if TOKENIZER.decode(id) in "=;"]
        ends = sorted({*places, made.tokens - 1})
        assert steps == [each[i] for i in ends]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("last", 0.5), ("lowest", 0.2), ("mean", 0.5), ("product", 0.08)],
)
def test_steps_make_a_score(
    saved: Path, aggregate: str, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = load(str(saved))
    verifier.reading = Reading(Aggregate(aggregate))
    monkeypatch.setattr(verifier, "step_scores", lambda group: [[0.8, 0.2, 0.5], None])
    assert verifier.score(GROUP) == [pytest.approx(expected), None]


def test_a_checkpoint_says_how_its_scores_are_read(tmp_path: Path) -> None:
    reading = Reading(Aggregate.lowest, ("=", "\n"))
    folder = save(tmp_path, lambda m: setattr(m.config, SETTINGS, reading.to_config()))
    assert load(str(folder)).reading == reading


def test_a_completion_longer_than_the_model_has_no_verdict(saved: Path) -> None:
    group = Group(QUESTION, [completion("2+3=5"), completion("1" * 600)])
    scores = load(str(saved), generator=TOKENIZER).score(group)
    assert scores[0] is not None
    assert scores[1] is None


@pytest.mark.parametrize("labels", [1, 2])
def test_a_reward_model_of_any_vocabulary_scores_the_text_in_its_own_template(
    random_qwen3: Path, tmp_path: Path, labels: int
) -> None:
    config = Qwen3Config.from_pretrained(random_qwen3)
    config.num_labels = labels
    torch.manual_seed(1)
    Qwen3ForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(random_qwen3)
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}]"
        "{{ m['content'].split('</think>')[-1] }}<|endoftext|>{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    tokenizer.save_pretrained(tmp_path)
    verifier = load(str(tmp_path), generator=TOKENIZER)
    scores = verifier.score(GROUP)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    for made, score in zip(GROUP.completions, scores, strict=True):
        end = "<|endoftext|>" if made.finish_reason == "stop" else ""
        ids = tokenizer("[user]What is 2+3?<|endoftext|>[assistant]").input_ids
        ids += tokenizer(made.text + end).input_ids
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        expected = logits.sigmoid()[0] if labels == 1 else logits.softmax(-1)[1]
        assert score == pytest.approx(float(expected), abs=1e-5)
    with pytest.raises(RefusedError, match="whole completions"):
        verifier.step_scores(GROUP)


def test_a_model_without_a_template_reads_question_and_text_as_a_pair(tmp_path: Path) -> None:
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "what",
        "is",
        "?",
        "+",
        "=",
        *"0123456789",
    ]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(tmp_path / "vocab.txt"))
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    verifier = load(str(tmp_path))
    group = Group(QUESTION, [completion("2+3=5"), completion("5")])
    model = BertForSequenceClassification.from_pretrained(tmp_path).eval()
    for made, score in zip(group.completions, verifier.score(group), strict=True):
        with torch.no_grad():
            pair = tokenizer(QUESTION.question, made.text, return_tensors="pt")
            logit = model(**pair).logits[0, 0]
        assert score == pytest.approx(float(logit.sigmoid()), abs=1e-5)


def test_a_question_that_the_tokenizer_cannot_write_is_refused(saved: Path) -> None:
    verifier = load(str(saved))
    verifier.require_fit([QUESTION])
    odd = Example("q", "t", ({"role": "user", "content": "Сколько будет 2+3?"},), "5")
    with pytest.raises(RefusedError, match="no token for a part of 'Сколько"):
        verifier.require_fit([QUESTION, odd])


def test_a_tokenizer_larger_than_the_weights_is_refused(saved: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(saved)
    tokenizer.add_tokens([f"<{i}>" for i in range(5)])
    tokenizer.save_pretrained(saved)
    with pytest.raises(RefusedError, match="doesn't fit its weights"):
        load(str(saved))


def test_what_is_no_verifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no verifier but Qwen3ForCausalLM"):
        load("abacus")
    with pytest.raises(UnknownNameError):
        load("abacus-verifer")
    with pytest.raises(RefusedError, match=r"no config\.json"):
        load(str(tmp_path))


def test_a_verifier_without_its_score_or_in_pickle_is_refused(saved: Path) -> None:
    model = AutoModelForTokenClassification.from_pretrained(saved)
    weights = {k: v for k, v in model.state_dict().items() if not k.startswith("score")}
    model.save_pretrained(saved, state_dict=weights)
    with pytest.raises(RefusedError, match=r"score\."):
        load(str(saved))
    (saved / "model.safetensors").unlink()
    torch.save(model.state_dict(), saved / "pytorch_model.bin")
    with pytest.raises(RefusedError, match="can't be loaded"):
        load(str(saved))


@pytest.mark.parametrize("settings", [{"aggregate": "best", "ends": []}, {"ends": ["="]}, 5])
def test_settings_that_are_not_ours_are_refused(saved: Path, settings: object) -> None:
    path = saved / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), SETTINGS: settings}))
    with pytest.raises(RefusedError, match=r"config\.json"):
        load(str(saved))


def test_more_than_two_labels_are_refused(random_qwen3: Path, tmp_path: Path) -> None:
    config = Qwen3Config.from_pretrained(random_qwen3)
    config.num_labels = 3
    Qwen3ForSequenceClassification(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(random_qwen3).save_pretrained(tmp_path)
    with pytest.raises(RefusedError, match="3 labels"):
        load(str(tmp_path))


def test_a_verifier_reads_ids_only_of_its_own_vocabulary(saved: Path, random_qwen3: Path) -> None:
    other = AutoTokenizer.from_pretrained(random_qwen3)
    assert not load(str(saved), generator=other).reads_ids
    assert isinstance(load(str(saved), generator=other), Verifier)
