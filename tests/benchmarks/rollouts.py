"""Times our sampler beside transformers' ``generate``: the same prompts, group size and settings.

Prints the rate of a plain matrix product first, then for each case the tokens a second of both, the
ratio (median and range over rounds by turns) and the share of the product's float32 rate that our
linear layers reach; attention, norms and drawing count as nothing. A single completion is drawn
several times over, one after another, as lengths differ. Tokens are counted up to the one
that ends a completion, and in cases called ``fixed`` no token ends one. What follows shows how
seconds a thousand tokens grow with the group, the length, the vocabulary and the model. Writes all
of it as JSON::

    python tests/benchmarks/rollouts.py --size full --output rollouts.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from reasonkit.generation.engine import Sampling, seed_of
from reasonkit.generation.local import LocalEngine, stopping
from reasonkit.models.chat import encode_prompts
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.tasks import load

SHAPES = {
    "2M": (192, 5, 6, 2, 32, 512, 106),
    "20M": (384, 5, 6, 2, 64, 1024, 32_000),
    "100M": (768, 12, 12, 4, 64, 2048, 32_000),
}
"""Hidden width, layers, heads, key-value heads, head width, width of the MLP, vocabulary."""

ENDING = 80
"""One token in so many ends a random model's completion: that is how long they are on average."""


ALONE = 8
"""Times that a single completion is drawn in a round."""


def numbers(tokens: int) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are numbers: as much of one as random token ids need."""
    plain = Tokenizer(WordLevel({str(i): i for i in range(tokens)}, unk_token="0"))
    return PreTrainedTokenizerFast(tokenizer_object=plain)


@dataclass(frozen=True)
class Subject:
    """What is sampled from."""

    name: str
    model: PreTrainedModel
    tokenizer: Any
    prompts: list[list[int]]

    @property
    def flops(self) -> int:
        """As of the function of this name."""
        return flops(self.model)


@dataclass(frozen=True)
class Case:
    """Measured over rounds by turns; ranges are (lowest, median, highest)."""

    model: str
    prompts: int
    group: int
    longest: int
    fixed: bool
    theirs: tuple[float, float, float]
    ours: tuple[float, float, float]
    ratio: tuple[float, float, float]
    share: float


def flops(model: PreTrainedModel) -> int:
    """Of a model's linear layers, for one token."""
    layers = (m for m in model.modules() if isinstance(m, torch.nn.Linear))
    return sum(2 * layer.weight.numel() for layer in layers)


def matrix_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """The best of several products, in GFLOP/s."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds) / 1e9


def abacus() -> Subject:
    """The embedded model on its task."""
    resolved = resolve("abacus")
    tokenizer, _ = load_tokenizer(resolved)
    examples = load("arithmetic", columns=None, validation=100, test=100).train[:64]
    prompts, _ = encode_prompts(tokenizer, examples)
    return Subject("abacus", load_model(resolved, "cpu", "float32").eval(), tokenizer, prompts)


def qwen3(name: str, tokens: int, ending: Sequence[int]) -> Qwen3ForCausalLM:
    """One of `SHAPES` with random weights.

    Args:
        tokens: of its vocabulary.
        ending: those that end a completion.
    """
    hidden, layers, heads, groups, width, mlp, _ = SHAPES[name]
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=tokens,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=width,
        intermediate_size=mlp,
        tie_word_embeddings=True,
        bos_token_id=None,
        pad_token_id=0,
        eos_token_id=list(ending),
    )
    return Qwen3ForCausalLM(config).eval()


def random_model(name: str, vocabulary: int | None = None) -> Subject:
    """A Qwen3 with random weights, and prompts as long as those of `abacus`."""
    tokens = vocabulary or SHAPES[name][-1]
    model = qwen3(name, tokens, range(ENDING // 2, tokens, ENDING))
    lengths = torch.linspace(15, 33, 8).long().tolist()
    prompts = [torch.randint(1, tokens, (length,)).tolist() for length in lengths]
    return Subject(name, model, numbers(tokens), prompts)


@contextmanager
def endless(subject: Subject) -> Iterator[None]:
    """No token ends a completion."""
    settings = subject.model.generation_config
    kept, settings.eos_token_id = settings.eos_token_id, None
    try:
        with patch.object(stopping, "end_tokens", lambda *_: set()):
            yield
    finally:
        settings.eos_token_id = kept


def ours(subject: Subject, prompts: int, group: int, longest: int, seed: int) -> tuple[int, float]:
    """Tokens and seconds of our sampler."""
    engine = LocalEngine(subject.model, subject.tokenizer)
    sampling = Sampling(longest, seed=seed)
    started = time.perf_counter()
    seeds = [seed_of(sampling.seed, i) for i in range(prompts)]
    groups = list(engine.sample_ids(subject.prompts[:prompts], group, sampling, seeds))
    seconds = time.perf_counter() - started
    return sum(c.tokens for _, completions in groups for c in completions), seconds


def theirs(
    subject: Subject, prompts: int, group: int, longest: int, seed: int
) -> tuple[int, float]:
    """Tokens and seconds of one call of ``generate``, as TRL makes it."""
    chosen = [prompt for prompt in subject.prompts[:prompts] for _ in range(group)]
    width = max(map(len, chosen))
    ids = torch.tensor([[0] * (width - len(p)) + p for p in chosen])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in chosen])
    torch.manual_seed(seed)
    started = time.perf_counter()
    with torch.inference_mode():
        made = subject.model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=longest,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            pad_token_id=0,
        )
    seconds = time.perf_counter() - started
    eos = subject.model.generation_config.eos_token_id
    ends = torch.isin(made[:, width:], torch.tensor(eos if eos is not None else []))
    after_end = ends.cumsum(1) - ends.long()
    return int((after_end == 0).sum()), seconds


def drawn(
    sampler: Callable[[Subject, int, int, int, int], tuple[int, float]],
    subject: Subject,
    prompts: int,
    group: int,
    longest: int,
    seed: int,
) -> tuple[int, float]:
    """Tokens and seconds of a round of one of the samplers."""
    times = ALONE if prompts * group == 1 else 1
    made = [sampler(subject, prompts, group, longest, seed * times + i) for i in range(times)]
    tokens, seconds = zip(*made, strict=True)
    return sum(tokens), sum(seconds)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lowest, median, highest."""
    return min(values), statistics.median(values), max(values)


def measure(
    subject: Subject, prompts: int, group: int, longest: int, fixed: bool, rounds: int, rate: float
) -> Case:
    """Both samplers by turns."""
    fast, slow, shares = [], [], []
    for f in (theirs, ours):
        f(subject, prompts, group, 3, 0)
    for seed in range(rounds):
        with endless(subject) if fixed else nullcontext():
            their_tokens, their_seconds = drawn(theirs, subject, prompts, group, longest, seed)
            tokens, seconds = drawn(ours, subject, prompts, group, longest, seed)
        slow.append(their_tokens / their_seconds)
        fast.append(tokens / seconds)
        shares.append(tokens * subject.flops / seconds / 1e9 / rate)
    ratios = [a / b for a, b in zip(fast, slow, strict=True)]
    case = Case(
        subject.name,
        prompts,
        group,
        longest,
        fixed,
        spread(slow),
        spread(fast),
        spread(ratios),
        statistics.median(shares),
    )
    print(
        f"{case.model:>7} {prompts:3} x {group} to {longest:3} {'fixed' if fixed else 'ends ':5}"
        f"  generate {case.theirs[1]:8.0f}  ours {case.ours[1]:8.0f} tokens/s"
        f"  {case.ratio[1]:5.1f} x ({case.ratio[0]:.1f} to {case.ratio[2]:.1f})"
        f"  {case.share:4.0%} of the product's rate",
        flush=True,
    )
    return case


def growth(rounds: int) -> list[dict[str, Any]]:
    """Milliseconds a token of ours, one thing varied at a time, no token ending a completion."""
    small = random_model("2M")
    rows = [
        *(("group", group, small, 8, group, 64) for group in (1, 4, 16, 64)),
        *(("length", longest, small, 8, 8, longest) for longest in (32, 128, 512)),
        *(
            ("vocabulary", tokens, random_model("2M", tokens), 8, 8, 32)
            for tokens in (1_000, 8_000, 32_000, 128_000)
        ),
        *(("model", name, random_model(name), 8, 8, 32) for name in SHAPES),
    ]
    measured = []
    for what, value, subject, prompts, group, longest in rows:
        with endless(subject):
            ours(subject, prompts, group, 4, 0)
            runs = [ours(subject, prompts, group, longest, seed) for seed in range(rounds)]
        low, middle, high = spread([1000 * seconds / tokens for tokens, seconds in runs])
        measured.append({"what": what, "value": value, "ms_a_token": [low, middle, high]})
        print(f"{what:>10} {value!s:>7}  {middle:7.3f} ms a token ({low:.3f} to {high:.3f})")
    return measured


def main(size: str, rounds: int, output: Path | None) -> None:
    """Measures and prints everything."""
    rates = {str(d).split(".")[1]: matrix_rate(d) for d in (torch.float32, torch.bfloat16)}
    print(f"{torch.get_num_threads()} threads; a product of 2048 x 2048 matrices, in GFLOP/s:")
    print("  ".join(f"{name} {rate:.0f}" for name, rate in rates.items()))
    full = size == "full"
    plans = (
        [("abacus", 64, 8, 160), ("abacus", 1, 1, 160), ("100M", 8, 8, 160), ("100M", 1, 1, 160)]
        if full
        else [("abacus", 16, 8, 64), ("abacus", 1, 1, 64), ("20M", 8, 8, 16)]
    )
    subjects = {name: abacus() if name == "abacus" else random_model(name) for name, *_ in plans}
    cases = [
        measure(subjects[name], prompts, group, longest, fixed, rounds, rates["float32"])
        for name, prompts, group, longest in plans
        for fixed in (False, True)
    ]
    grown = growth(rounds) if full else []
    if output is not None:
        record = {"threads": torch.get_num_threads(), "gflops": rates, "growth": grown}
        output.write_text(json.dumps(record | {"cases": [asdict(c) for c in cases]}, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    main(**vars(parser.parse_args()))
