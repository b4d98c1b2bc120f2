"""Our sampler is held against transformers' own generate and a plain forward pass."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPTJConfig,
    OPTConfig,
    PreTrainedConfig,
)

from reasonkit.errors import RunError
from reasonkit.generation import local
from reasonkit.generation.engine import Sampling, seed_of
from reasonkit.generation.local import LocalEngine
from reasonkit.generation.local.batch import Batch
from reasonkit.generation.local.cache import Slots
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.types import Example


@pytest.fixture(scope="module")
def abacus() -> tuple:
    resolved = resolve("abacus")
    return load_model(resolved, "cpu", "float32"), load_tokenizer(resolved)[0]


def examples(*questions: str) -> list[Example]:
    return [Example(q, "t", ({"role": "user", "content": q},), "0") for q in questions]


def test_greedy_tokens_equal_those_of_generate(abacus: tuple) -> None:
    model, tokenizer = abacus
    asked = examples("What is 2+2*6?", "What is 7?", "What is (1+2)*3-4? Think step by step.")
    groups = LocalEngine(model, tokenizer).sample(asked, 1, Sampling(64, temperature=0))
    for group in groups:
        text = tokenizer.apply_chat_template(
            list(group.example.messages), tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(text, return_tensors="pt")
        expected = model.generate(**ids, max_new_tokens=64, do_sample=False)
        cut = expected[0, ids.input_ids.size(1) :].tolist()
        assert list(group.completions[0].token_ids) == cut


def test_log_probabilities_equal_a_plain_forward_pass(abacus: tuple) -> None:
    model, tokenizer = abacus
    asked = examples("What is 2+2*6?", "What is 9-(3+4)+8*2? Show your work.")
    for group in LocalEngine(model, tokenizer).sample(asked, 6, Sampling(96, seed=3)):
        text = tokenizer.apply_chat_template(
            list(group.example.messages), tokenize=False, add_generation_prompt=True
        )
        prompt = tokenizer(text).input_ids
        for completion in group.completions:
            ids = torch.tensor([prompt + list(completion.token_ids)])
            with torch.no_grad():
                logprobs = model(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            taken = logprobs.gather(1, ids[0, len(prompt) :, None]).mean().item()
            assert completion.mean_logprob == pytest.approx(taken, abs=1e-4)


def test_first_tokens_follow_the_model_distribution(abacus: tuple) -> None:
    model, tokenizer = abacus
    text = "<|user|>What is 2+2*6?<|end|><|assistant|>"
    prompt = tokenizer(text).input_ids
    engine = LocalEngine(model, tokenizer, rows=4000)
    ((_, drawn),) = engine.sample_ids([prompt], 4000, Sampling(1), [seed_of(1, 0)])
    with torch.no_grad():
        p = model(torch.tensor([prompt])).logits[0, -1].double().softmax(-1)
    counts = Counter(made.token_ids[0] for made in drawn)
    common = [i for i in range(len(p)) if p[i] * 4000 >= 5]
    observed = [counts[i] for i in common] + [4000 - sum(counts[i] for i in common)]
    expected = [p[i].item() * 4000 for i in common]
    expected.append(4000 - sum(expected))
    keep = [i for i, e in enumerate(expected) if e >= 5]
    rest = sum(expected[i] for i in keep)
    scaled = [expected[i] * sum(observed[j] for j in keep) / rest for i in keep]
    assert stats.chisquare([observed[i] for i in keep], scaled).pvalue > 1e-4


def test_the_same_call_gives_the_same_completions(abacus: tuple) -> None:
    engine = LocalEngine(*abacus)
    asked = examples("What is 1+1?", "What is 3*3+1?")
    one, two, other = (list(engine.sample(asked, 4, Sampling(40, seed=s))) for s in (5, 5, 6))
    assert one == two != other


def test_a_batch_changes_no_completion_of_a_greedy_group(abacus: tuple) -> None:
    engine = LocalEngine(*abacus)
    asked = examples("What is 1+1?", "What is 3*3+1? Think step by step.", "What is 4+(5-2)*3?")
    together = {
        g.example.id: g.completions[0].token_ids
        for g in engine.sample(asked, 2, Sampling(80, temperature=0))
    }
    for example in asked:
        (alone,) = engine.sample([example], 1, Sampling(80, temperature=0))
        assert alone.completions[0].token_ids == together[example.id]


def test_completions_end_at_the_limit_or_at_the_end_token(abacus: tuple) -> None:
    model, tokenizer = abacus
    asked = examples("What is 5*4+(3-1)*2? Think step by step.")
    (group,) = LocalEngine(model, tokenizer).sample(asked, 16, Sampling(12, seed=1))
    for completion in group.completions:
        assert completion.tokens <= 12
        ended = completion.token_ids[-1] == tokenizer.eos_token_id
        assert completion.finish_reason == ("stop" if ended else "length")
        assert tokenizer.eos_token_id not in completion.token_ids[:-1]


def test_an_example_is_sampled_the_same_wherever_it_stands(abacus: tuple) -> None:
    asked = examples("What is 1+1?", "What is 3*3+1? Show your work.", "What is 4+(5-2)*3?")
    groups = {
        g.example.id: list(g.completions)
        for g in LocalEngine(*abacus).sample(asked, 8, Sampling(60, seed=2))
    }
    for example in asked:
        (alone,) = LocalEngine(*abacus, rows=3).sample([example], 5, Sampling(60, seed=2))
        ids = [c.token_ids for c in alone.completions]
        assert ids == [c.token_ids for c in groups[example.id][:5]]


def test_a_group_comes_as_soon_as_it_is_finished(abacus: tuple) -> None:
    asked = examples(*(f"What is {i}+{i}?" for i in range(40)))
    iterator = LocalEngine(*abacus, rows=4).sample(asked, 2, Sampling(60, seed=2))
    first = next(iterator)
    iterator.close()
    (alone,) = LocalEngine(*abacus).sample([first.example], 2, Sampling(60, seed=2))
    assert [c.token_ids for c in alone.completions] == [c.token_ids for c in first.completions]


def test_token_ids_are_continued_from_where_they_end(abacus: tuple) -> None:
    model, tokenizer = abacus
    engine = LocalEngine(model, tokenizer)
    text = "<|user|>What is 2+2*6? Think step by step.<|end|><|assistant|>"
    prompt = tokenizer(text).input_ids
    (i, (whole,)), *none = engine.sample_ids([prompt], 1, Sampling(80, temperature=0), [0])
    assert i == 0 and not none
    for cut in (1, 5, whole.tokens - 1):
        begun = prompt + list(whole.token_ids[:cut])
        ((_, (rest,)),) = engine.sample_ids([begun], 1, Sampling(80, temperature=0), [0])
        assert rest.token_ids == whole.token_ids[cut:]


def test_seeds_belong_to_prompts(abacus: tuple) -> None:
    engine = LocalEngine(*abacus)
    prompts = [[5, 6, 7, 8], [9, 10], [5, 6, 7, 8]]
    drawn = dict(engine.sample_ids(prompts, 4, Sampling(20), seeds=[3, 4, 3]))
    assert drawn[0] == drawn[2] != drawn[1]
    turned = dict(engine.sample_ids(prompts[::-1], 4, Sampling(20, seed=9), seeds=[3, 4, 3]))
    assert turned == drawn
    assert dict(engine.sample_ids(prompts, 4, Sampling(20), [5, 6, 7]))[0] != drawn[0]


def test_a_stop_string_ends_a_completion_and_stays_part_of_it(abacus: tuple) -> None:
    engine = LocalEngine(*abacus)
    asked = examples("What is 5*4+(3-1)*2? Think step by step.")
    (free,) = engine.sample(asked, 16, Sampling(80, seed=1))
    (held,) = engine.sample(asked, 16, Sampling(80, seed=1, stop=("=2", "answer>", "")))
    ended = 0
    for whole, cut in zip(free.completions, held.completions, strict=True):
        assert whole.token_ids[: cut.tokens] == cut.token_ids
        found = [cut.text.find(s) + len(s) for s in ("=2", "answer>") if s in cut.text]
        if found:
            ended += 1
            assert min(found) == len(cut.text) and cut.finish_reason == "stop"
        else:
            assert cut.token_ids == whole.token_ids and cut.finish_reason == whole.finish_reason
    assert ended > 3


def test_a_stop_string_may_span_tokens_and_bytes(random_qwen3: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(random_qwen3)
    tokenizer = AutoTokenizer.from_pretrained(random_qwen3)
    engine = LocalEngine(model, tokenizer)
    ((_, free),) = engine.sample_ids([[5, 6, 7]], 6, Sampling(60), [seed_of(4, 0)])
    stop = tuple(c.text[20:23] for c in free)
    ((_, held),) = engine.sample_ids([[5, 6, 7]], 6, Sampling(60, stop=stop), [seed_of(4, 0)])
    for whole, cut in zip(free, held, strict=True):
        assert whole.token_ids[: cut.tokens] == cut.token_ids
        assert cut.finish_reason == "stop" and any(s in cut.text for s in stop)
        before = tokenizer.decode(cut.token_ids[:-1], skip_special_tokens=True)
        assert not any(s in before for s in stop)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_padding_side_of_the_tokenizer_makes_no_difference(abacus: tuple, side: str) -> None:
    model, tokenizer = abacus
    asked = examples("What is 1+1?", "What is (3+4)*2-5? Think step by step.")
    expected = list(LocalEngine(model, tokenizer).sample(asked, 3, Sampling(40)))
    other = load_tokenizer(resolve("abacus"))[0]
    other.padding_side = side
    assert list(LocalEngine(model, other).sample(asked, 3, Sampling(40))) == expected


def test_memory_that_was_never_written_is_never_read(abacus: tuple) -> None:
    asked = examples(*(f"What is {i}*{i}?" for i in range(9)), "What is (3+4)*2? Show your work.")
    expected = list(LocalEngine(*abacus, rows=8).sample(asked, 3, Sampling(90, seed=6)))
    torch.use_deterministic_algorithms(True)  # fills new memory with NaN
    try:
        assert list(LocalEngine(*abacus, rows=8).sample(asked, 3, Sampling(90, seed=6))) == expected
    finally:
        torch.use_deterministic_algorithms(False)


def test_sampling_leaves_training_mode_as_it_was(random_qwen3: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(random_qwen3).train()
    tokenizer = AutoTokenizer.from_pretrained(random_qwen3)
    list(LocalEngine(model, tokenizer).sample_ids([[5, 6, 7]], 2, Sampling(4), [0]))
    assert model.training


FEW = 24
"""Positions of small models that look theirs up."""


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(vocab_size=106, n_positions=FEW, n_embd=32, n_layer=1, n_head=2),
        GPTJConfig(
            vocab_size=106, n_positions=FEW, n_embd=32, n_layer=1, n_head=2, rotary_dim=8
        ),
        OPTConfig(
            vocab_size=106, max_position_embeddings=FEW, hidden_size=32, ffn_dim=32,
            num_hidden_layers=1, num_attention_heads=2, word_embed_proj_dim=32,
        ),
    ],
    ids=lambda config: config.model_type,
)  # fmt: skip
def test_a_completion_ends_where_the_model_can_read_no_more(config: PreTrainedConfig) -> None:
    tokenizer = load_tokenizer(resolve("abacus"))[0]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    prompts, seeds = [[5] * 10, [5] * 20], [1, 2]
    engine, longest = LocalEngine(model, tokenizer), Sampling(40, seed=1)
    both = dict(engine.sample_ids(prompts, 3, longest, seeds))
    for i, completions in both.items():
        cut = [c for c in completions if c.finish_reason == "length"]
        assert cut and all(len(prompts[i]) + c.tokens == FEW for c in cut)
    alone = dict(engine.sample_ids(prompts[:1], 3, longest, seeds))
    assert [c.token_ids for c in alone[0]] == [c.token_ids for c in both[0]]
    with pytest.raises(RunError, match=f"has 25 tokens, and the model can read {FEW}"):
        next(engine.sample_ids([[5] * 25], 1, longest, [0]))


def test_what_was_read_is_let_go_with_the_last_completion(abacus: tuple) -> None:
    gc.collect()
    gc.disable()
    try:
        assert list(LocalEngine(*abacus).sample(examples("What is 1+1?"), 2, Sampling(8)))
        assert not [held for held in gc.get_objects() if isinstance(held, Slots)]
    finally:
        gc.enable()


@pytest.mark.parametrize(("columns", "rows"), [(0, 6), (1000, 6), (50, 6 * 50 // 85), (1, 1)])
def test_rows_that_are_longer_than_planned_are_fewer_at_once(
    abacus: tuple, monkeypatch: pytest.MonkeyPatch, columns: int, rows: int
) -> None:
    made: list[Batch] = []

    class Seen(Batch):
        def __init__(self, *of: Any, **how: Any) -> None:
            super().__init__(*of, **how)
            made.append(self)

    monkeypatch.setattr(local, "Batch", Seen)
    engine = LocalEngine(*abacus, rows=6, columns=columns)
    drawn = list(engine.sample_ids([[5] * 45, [6] * 5], 5, Sampling(40), [1, 2]))
    assert [batch.rows for batch in made] == [rows]
    assert sorted(number for number, _ in drawn) == [0, 1]
