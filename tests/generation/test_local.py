"""Our sampler is held against transformers' own generate and a plain forward pass."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from scipy import stats
from transformers import AutoModelForCausalLM, AutoTokenizer

from reasonkit.generation import Sampling
from reasonkit.generation.local import LocalEngine, sample_tokens
from reasonkit.models.loading import load_model, load_tokenizer, resolve
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
    drawn = sample_tokens(model, tokenizer, [prompt], 4000, Sampling(1), seed=1)
    with torch.no_grad():
        p = model(torch.tensor([prompt])).logits[0, -1].double().softmax(-1)
    counts = Counter(ids[0] for ids, _ in drawn)
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


def test_sampling_leaves_training_mode_as_it_was(random_qwen3: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(random_qwen3).train()
    tokenizer = AutoTokenizer.from_pretrained(random_qwen3)
    sample_tokens(model, tokenizer, [[5, 6, 7]], 2, Sampling(4), seed=0)
    assert model.training
