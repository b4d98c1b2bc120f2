"""Whatever the architecture, what is sampled is held against the model's own plain forward."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import evaluating
from reasonkit.generation.local.batch import Batch, Prompt, Row
from reasonkit.generation.local.forward import PATIENCE, Forward
from reasonkit.generation.local.quick import single
from reasonkit.models.chat import end_tokens

VOCABULARY = 97
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "eos_token_id": [5, 40, 41, 42, 43, 44],
    "bos_token_id": 1,
    "pad_token_id": 0,
    # Wide enough that distributions are far from flat.
    "initializer_range": 0.4,
}
WINDOW = 6
ALTERNATING = ["sliding_attention", "full_attention", "sliding_attention"]
QUICK = {
    "qwen3": ("Qwen3Config", {}),
    "qwen2": ("Qwen2Config", {}),
    "llama": ("LlamaConfig", {"attention_bias": True, "mlp_bias": True}),
    "llama with scaled rotations": (
        "LlamaConfig",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10_000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
    ),
    "mistral with a window": ("MistralConfig", {"sliding_window": WINDOW}),
    "qwen3 with windows": (
        "Qwen3Config",
        {"use_sliding_window": True, "sliding_window": WINDOW, "layer_types": ALTERNATING},
    ),
}
OWN_STEP = {
    "gemma2": ("Gemma2Config", {"sliding_window": WINDOW, "layer_types": ALTERNATING}),
    "gemma3": ("Gemma3TextConfig", {"sliding_window": WINDOW, "layer_types": ALTERNATING}),
    "phi3": ("Phi3Config", {"sliding_window": WINDOW}),
    "olmo2": ("Olmo2Config", {}),
    "gpt-neox": ("GPTNeoXConfig", {}),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 256}),
}
OWN_CACHE = {
    "lfm2, convolutions and attention": (
        "Lfm2Config",
        {"layer_types": ["conv", "full_attention", "conv"], "conv_L_cache": 3},
    ),
}
ALL = QUICK | OWN_STEP | OWN_CACHE
STATES = {
    "mamba": ("MambaConfig", {"state_size": 8, "time_step_rank": 4}),
    "falcon-mamba": ("FalconMambaConfig", {"state_size": 8, "time_step_rank": 4}),
    "mamba2": ("Mamba2Config", {"num_heads": 8, "n_groups": 2, "state_size": 8, "chunk_size": 8}),
    "bamba, attention between states": (
        "BambaConfig",
        {
            "attn_layer_indices": [1], "mamba_n_heads": 4, "mamba_d_head": 16,
            "mamba_n_groups": 1, "mamba_d_state": 8, "mamba_chunk_size": 8,
        },
    ),
    "qwen3-next": (
        "Qwen3NextConfig",
        {
            "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
            "linear_value_head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
            "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16,
            "layer_types": ["linear_attention", "full_attention", "linear_attention"],
        },
    ),
    "recurrent-gemma, whose modules keep states": (
        "RecurrentGemmaConfig", {"lru_width": 32, "attention_window_size": 8},
    ),
    "rwkv, with states of its own": ("RwkvConfig", {"attention_hidden_size": 32}),
    "xlstm": (
        "xLSTMConfig",
        {"num_heads": 4, "num_blocks": 2, "chunk_size": 16, "mode": "inference"},
    ),
    "minimax, with a cache of its own": (
        "MiniMaxConfig",
        {"layer_types": ["linear_attention", "full_attention"] * 2, "block_size": 8,
         "num_hidden_layers": 4, "num_local_experts": 2},
    ),
    "gpt, without a cache": (
        "OpenAIGPTConfig", {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 256},
    ),
}  # fmt: skip
PROMPTS = [[7, 8, 9], [11], [13, 14, 15, 16, 17, 18, 19, 20, 21, 22], [30, 31, 32, 33, 34]]


class Ends:
    """As much of a tokenizer as token ids need."""

    chat_template = None
    eos_token_id = 5


def build(kind: str) -> PreTrainedModel:
    name, more = (ALL | STATES)[kind]
    torch.manual_seed(0)
    known = dict(SMALL) if name != "xLSTMConfig" else {"hidden_size": 32, "vocab_size": VOCABULARY}
    config = getattr(transformers, name)(**(known | more))
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "norm" in key or "bias" in key:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture(params=ALL)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return build(request.param)


def sample(
    model: PreTrainedModel, sampling: Sampling, n: int = 3, rows: int = 100, **more: object
) -> dict[int, list[Row]]:
    prompts = [Prompt(ids, seed) for seed, ids in enumerate(PROMPTS)]
    batch = Batch(model, Ends(), prompts, n, sampling, rows, **more)  # type: ignore[arg-type]
    return dict(batch)


def plain(model: PreTrainedModel, prompt: list[int], ids: list[int]) -> torch.Tensor:
    """Log-probabilities before each of ``ids``, of shape (tokens, vocabulary)."""
    return all_plain(model, prompt, [ids])[0]


@torch.no_grad()
def all_plain(
    model: PreTrainedModel, prompt: list[int], rows: list[list[int]]
) -> list[torch.Tensor]:
    """`plain` of each row; what is put behind the shorter ones, none of their tokens sees."""
    longest = max(map(len, rows))
    filled = [prompt + ids + [0] * (longest - len(ids)) for ids in rows]
    logits = model(torch.tensor(filled), use_cache=False).logits[:, len(prompt) - 1 :]
    return [one[: len(ids)].log_softmax(-1) for one, ids in zip(logits, rows, strict=True)]


def assert_exact(
    model: PreTrainedModel, sampled: dict[int, list[Row]], within: float = 1e-4
) -> None:
    assert sorted(sampled) == list(range(len(PROMPTS)))
    for i, rows in sampled.items():
        known = all_plain(model, PROMPTS[i], [row.token_ids for row in rows])
        for row, expected in zip(rows, known, strict=True):
            taken = expected.gather(1, torch.tensor(row.token_ids)[:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(row.logprobs), taken, atol=within, rtol=0)


def assert_same_but_for_ties(
    model: PreTrainedModel, prompt: list[int], ids: list[int], other: list[int]
) -> None:
    """Equal, or first different where the two likeliest tokens are within 1e-4."""
    if ids == other:
        return
    first = next(k for k, (a, b) in enumerate(zip(ids, other, strict=False)) if a != b)
    best = plain(model, prompt, ids)[first].topk(2).values
    assert best[0] - best[1] < 1e-4, (first, ids, other)


def test_log_probabilities_equal_a_plain_forward(model: PreTrainedModel) -> None:
    assert_exact(model, sample(model, Sampling(30)))


def test_log_probabilities_are_exact_when_slots_are_refilled(model: PreTrainedModel) -> None:
    sampled = sample(model, Sampling(30), n=4, rows=8)
    assert_exact(model, sampled)
    assert {row.finish for rows in sampled.values() for row in rows} == {"stop", "length"}


@pytest.mark.parametrize("rows", [5, 100])
@pytest.mark.parametrize("kind", STATES)
def test_a_model_that_keeps_more_than_keys_and_values_is_exact_too(kind: str, rows: int) -> None:
    model = build(kind)
    model.generation_config.eos_token_id = SMALL["eos_token_id"]
    # Chunks and steps of a delta rule round differently; what is wrong is off by whole nats.
    assert_exact(model, sample(model, Sampling(20), n=4, rows=rows), within=1e-3)


def test_greedy_tokens_equal_those_of_generate(model: PreTrainedModel) -> None:
    sampled = sample(model, Sampling(30, temperature=0), n=1)
    for i, prompt in enumerate(PROMPTS):
        expected = model.generate(
            torch.tensor([prompt]), max_new_tokens=30, do_sample=False, attention_mask=None
        )
        cut = expected[0, len(prompt) :].tolist()
        assert_same_but_for_ties(model, prompt, sampled[i][0].token_ids, cut)


@pytest.mark.parametrize("prompts", [[], [[9]], [[9], [10]]])
def test_short_prompts_and_none(prompts: list[list[int]]) -> None:
    model = build("qwen3")
    asked = [Prompt(ids, 1) for ids in prompts]
    sampled = dict(Batch(model, Ends(), asked, 2, Sampling(9, temperature=0), 4))  # type: ignore[arg-type]
    assert len(sampled) == len(prompts)
    for i, (row, other) in sampled.items():
        assert row == other
        assert row.token_ids[0] == plain(model, prompts[i], [0])[0].argmax()


@pytest.mark.parametrize("rows", [1, 2, 5, 8])
def test_what_is_sampled_together_changes_nothing(rows: int) -> None:
    model = build("qwen3 with windows")
    sampled = sample(model, Sampling(30), n=4, rows=rows)
    alone = sample(model, Sampling(30), n=4, rows=100)
    for i, expected in alone.items():
        assert [r.token_ids for r in sampled[i]] == [r.token_ids for r in expected]


@pytest.mark.parametrize("kind", ALL)
def test_only_the_llama_family_takes_the_quick_step(kind: str) -> None:
    model = build(kind)
    with evaluating(model):
        forward = Forward(model, 20)
        prompts = [[7, 8, 9], [4] if forward.refills else [4, 5, 6]]
        forward.admit(prompts, torch.tensor([0, 1, 1]), 3)
        for _ in range(PATIENCE + 1):
            assert forward.quick is None
            forward.step(torch.tensor([1, 2, 3]))
    assert (forward.quick is not None) == (kind in QUICK)
    assert forward.refills == (kind not in OWN_CACHE)


@pytest.mark.parametrize("change", ["residual", "hook"])
def test_a_llama_that_is_not_as_expected_takes_its_own_step(change: str) -> None:
    model = build("llama")
    attention = model.model.layers[1].self_attn
    if change == "residual":
        forward = attention.forward

        def doubled(**given: object) -> tuple:
            output, weights = forward(**given)
            return 2 * output, weights

        attention.forward = doubled
    else:
        attention.o_proj.register_forward_hook(lambda module, given, output: 2 * output)
    assert_exact(model, sample(model, Sampling(20)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_differs_by_more_than_rounding_takes_its_own_step(dtype: torch.dtype) -> None:
    """By 4 to 6 % of the logits' spread, which eight roundings of bfloat16 don't come to."""
    model = build("llama").to(dtype)
    attention = model.model.layers[1].self_attn
    forward = attention.forward

    def louder(**given: object) -> tuple:
        output, weights = forward(**given)
        return 1.1 * output, weights

    with evaluating(model):
        for way, right in ((forward, True), (louder, False)):
            attention.forward = way
            decoding = Forward(model, 20)
            decoding.admit([[7, 8, 9], [4]], torch.tensor([0, 1, 1]), 3)
            for _ in range(PATIENCE + 1):
                decoding.step(torch.tensor([1, 2, 3]))
            assert (decoding.quick is not None) == right


@pytest.mark.parametrize("bias", [False, True])
def test_a_row_alone_in_bfloat16_is_mapped_as_among_others(bias: bool) -> None:
    module = torch.nn.Linear(96, 40, bias=bias).to(torch.bfloat16)
    rows = torch.randn(3, 96).to(torch.bfloat16)
    with torch.inference_mode():
        whole, mapped = module(rows), single(module)
        assert mapped is not module and torch.equal(mapped(rows), whole)
        for row, expected in zip(rows, whole, strict=True):
            torch.testing.assert_close(mapped(row[None]), expected[None], rtol=0.02, atol=0.02)
    assert single(wide := torch.nn.Linear(96, 40)) is wide


def test_gradient_checkpointing_leaves_the_quick_step() -> None:
    model = build("qwen3").train()
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
    with evaluating(model):
        forward = Forward(model, 20)
        forward.admit([[7, 8, 9], [4]], torch.tensor([0, 1, 1]), 3)
        for _ in range(PATIENCE + 1):
            forward.step(torch.tensor([1, 2, 3]))
    assert forward.quick is not None
    assert_exact(model.eval(), sample(model, Sampling(20)))


def test_products_are_computed_as_asked_whatever_is_around() -> None:
    """As on a GPU: weights in float32, products in bfloat16, the quick step among them."""
    model = build("qwen3")
    mixed = sample(model, Sampling(20, temperature=0), products=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        same = sample(model, Sampling(20, temperature=0))
    assert mixed == same != sample(model, Sampling(20, temperature=0))


def test_an_adapter_is_part_of_the_model() -> None:
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_dropout=0.5, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(build("qwen3"), config).train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.mul_(4)
    sampled = sample(model, Sampling(30))
    assert model.training
    assert_exact(model.eval(), sampled)
    with model.disable_adapter(), pytest.raises(AssertionError):
        assert_exact(model, sampled)


@pytest.mark.parametrize("kind", ["qwen3", "gemma3"])
@pytest.mark.parametrize("mixed", [False, True])
def test_bfloat16_stays_near_the_plain_forward(kind: str, mixed: bool) -> None:
    model = build(kind)
    if not mixed:
        model.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        sampled = sample(model, Sampling(20))
    for i, rows in sampled.items():
        for row in rows:
            expected = plain(model, PROMPTS[i], row.token_ids).float()
            taken = expected.gather(1, torch.tensor(row.token_ids)[:, None])[:, 0]
            assert (torch.tensor(row.logprobs) - taken).abs().mean() < 0.1


def test_no_dropout_while_sampling_and_modes_restored() -> None:
    model = build("gpt2")
    model.train()
    model.transformer.h[0].eval()
    modes = [module.training for module in model.modules()]
    sampled = sample(model, Sampling(20))
    assert [module.training for module in model.modules()] == modes
    assert_exact(model.eval(), sampled)


def test_modes_are_restored_while_the_consumer_works(random_qwen3: object) -> None:
    model = AutoModelForCausalLM.from_pretrained(random_qwen3).train()
    tokenizer = AutoTokenizer.from_pretrained(random_qwen3)
    assert end_tokens(model, tokenizer) == {tokenizer.eos_token_id}
    batch = iter(Batch(model, tokenizer, [Prompt([5, 6], 0)] * 3, 2, Sampling(4), 2))
    next(batch)
    assert model.training and not torch.is_inference_mode_enabled()
    batch.close()
    assert model.training


def test_a_second_call_gives_the_same_numbers() -> None:
    model = build("qwen2")
    sampling = Sampling(40, temperature=0.8, top_k=20, top_p=0.9)
    assert sample(model, sampling, n=5, rows=7) == sample(model, sampling, n=5, rows=7)
    assert sample(model, sampling) != sample(model, replace(sampling, temperature=1.5))
