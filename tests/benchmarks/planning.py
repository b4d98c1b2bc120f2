"""Compares what ``--dry-run --on`` predicts with what was measured here and what is published.

Each row is a setup that somebody has measured, given to the model of `reasonkit.plan.roofline` with
the lengths that were seen, or assumed where the source has none (marked ~). Others' programs lay
their work out otherwise, so that a ratio holds both the error of the model and that difference::

    python tests/benchmarks/planning.py
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rollouts import SHAPES

from reasonkit.config import DistillConfig, EngineName, GrpoConfig, Shard
from reasonkit.models import MODELS, OTHER
from reasonkit.plan import ahead
from reasonkit.plan.devices import DEVICES, GIB, Cluster, Device, parse
from reasonkit.plan.roofline import REACHED, rollout, spent
from reasonkit.plan.work import Sampled, one_work

A6000 = Device(154.8e12, 48 * GIB, 768e9, 32e9, 1.6e9, "NVIDIA RTX A6000 datasheet")
CORE = Device(164e9, 16 * GIB, 12e9, 1e9, 1e8, "half of the two cores of docs/speed.md")
BUSY = dataclasses.replace(CORE, flops=125e9)

KNOWN = {
    "llama-3.1-8b": (8_030_261_248, 32, 4096, 32, 8, 128, 14_336, 128_256),
    "qwen2.5-32b": (32_763_876_352, 64, 5120, 40, 8, 128, 27_648, 152_064),
    "smollm2-135m": MODELS["smollm2-135m"].shape,
}
for name, (hidden, layers, heads, groups, width, mlp, _) in SHAPES.items():
    for vocab in (106, 8_000, 32_000, 128_000):
        inside = layers * hidden * (2 * width * (heads + groups) + 3 * mlp)
        shape = (inside + vocab * hidden, layers, hidden, heads, groups, width, mlp, vocab)
        KNOWN[f"qwen3-{name}-{vocab}"] = shape
for name, shape in KNOWN.items():
    MODELS[name] = dataclasses.replace(OTHER, name=name, source=name, shape=shape)


def step(config: Any, device: Device, on: str, shard: Shard = Shard.none) -> float:
    """Seconds of a step, or of an update on traces, without evaluations."""
    cluster = parse(on)
    work = one_work(config, cluster.name, measured=False)
    engine = EngineName.local if cluster.name == "cpu" else EngineName.vllm
    found = spent([ahead._laid(work, device, cluster, shard, engine)], device, cluster)
    return (found.seconds - found.evaluation) / work.updated.times


def tokens(model: str, device: Device, rows: int, prompt: int, completion: int) -> float:
    """Tokens a second that vLLM samples, alone on a device."""
    config = GrpoConfig(
        model=model, max_prompt_tokens=prompt, max_completion_tokens=completion,
        engine=EngineName.vllm,
    )  # fmt: skip
    work = one_work(config, "H100", measured=False)
    cluster = Cluster(1, 1, "H100")
    laid = ahead._laid(work, device, cluster, Shard.none, EngineName.vllm)
    one = Sampled(laid.shape, rows, 1, 1, alone=True)
    seconds = rollout(laid, one, device, 1, REACHED["cuda", EngineName.vllm])
    return rows * completion / seconds


def grpo(model: str, prompts: int, n: int, prompt: int, completion: int, **more: Any) -> Any:
    """Settings."""
    return GrpoConfig(
        model=model, prompts_per_step=prompts, group_size=n, max_prompt_tokens=prompt,
        max_completion_tokens=completion, **more,
    )  # fmt: skip


def line(what: str, predicted: float, seen: float, unit: str) -> None:
    """A row of a Markdown table."""
    print(f"| {what} | {predicted:,.3g} | {seen:,.3g} {unit} | {predicted / seen:.2f} |")


def main() -> None:
    """Prints all of it."""
    h100, a100 = DEVICES["H100"], DEVICES["A100-40GB"]
    for what, model, device, rows, prompt, completion, seen in (
        ("A100-40GB, Llama-3.1-8B, 1 at once", "llama-3.1-8b", a100, 1, 1024, 128, 75),
        ("A40, Qwen2.5-7B, 50", "qwen2.5-7b", DEVICES["A40"], 50, 100, 514, 1095),
        ("RTX A6000, Qwen2.5-7B, 64", "qwen2.5-7b", A6000, 64, 1, 52, 2128),
        ("RTX A6000, Qwen2.5-7B, 256", "qwen2.5-7b", A6000, 256, 1, 52, 4040),
        ("H100, Llama-3.1-8B, 16", "llama-3.1-8b", h100, 16, 128, 128, 1384),
    ):
        line(what, tokens(model, device, rows, prompt, completion), seen, "tokens/s")
    held = {"kl_coefficient": 0.01}
    checked = {**held, "gradient_checkpointing": True}
    nemo = grpo("llama-3.1-8b", 64, 32, 100, 960, **held)
    line("NeMo RL, Llama-3.1-8B", step(nemo, h100, "2x8xH100"), 97.7, "s a step")
    longest = dataclasses.replace(nemo, max_completion_tokens=3996)
    line("the same, all of 3,996 tokens", step(longest, h100, "2x8xH100"), 97.7, "s a step")
    zoo = grpo("qwen2.5-7b", 1024, 8, 150, 700, **checked)
    line("SimpleRL-Zoo, Qwen2.5-7B", step(zoo, h100, "2x8xH100", Shard.fsdp), 540, "s a step")
    open_r1 = grpo("qwen2.5-7b", 16, 7, 200, 600, **checked)
    line("open-r1, Qwen2.5-Math-7B", 469 * step(open_r1, h100, "8xH100") / 3600, 3, "hours")
    longest = dataclasses.replace(open_r1, max_completion_tokens=1024)
    hours = 469 * step(longest, h100, "8xH100") / 3600
    line("the same, all of 1,024 tokens", hours, 3, "hours")
    mini = grpo("qwen2.5-3b", 24, 8, 150, 400, **checked)
    line("Mini-R1, Qwen2.5-3B", step(mini, h100, "4xH100"), 52, "s a step")
    s1 = DistillConfig(
        model="qwen2.5-32b", traces="s1K", max_prompt_tokens=200, max_completion_tokens=4800,
        batch_tokens=16 * 5000, micro_batch_tokens=5000, gradient_checkpointing=True,
    )  # fmt: skip
    minutes = 315 * step(s1, h100, "2x8xH100", Shard.fsdp) / 60
    line("s1, Qwen2.5-32B on traces", minutes, 26, "minutes")
    print()
    base: dict[str, Any] = {"model": "2M-106", "prompts": 8, "n": 8, "length": 64}
    for changes, seen in (
        ({}, 2.2), ({"n": 32}, 8.7), ({"length": 256}, 7.6), ({"length": 512}, 17.2),
        ({"prompts": 32}, 8.7), ({"model": "2M-8000"}, 3.5), ({"model": "2M-32000"}, 9.2),
        ({"model": "2M-128000"}, 33), ({"model": "20M-32000"}, 15), ({"model": "100M-32000"}, 57),
    ):  # fmt: skip
        case = {**base, **changes}
        config = grpo(f"qwen3-{case['model']}", case["prompts"], case["n"], 200, case["length"])
        line(str(changes or base), step(config, CORE, "cpu"), seen, "s a step")
    smol = grpo("smollm2-135m", 2, 8, 60, 64)
    line("SmolLM2-135M, 2 x 8 x 64", step(smol, BUSY, "cpu"), 25.8, "s a step")
    for model, seen in (("2M-106", 1.7), ("20M-32000", 1.9)):
        config = grpo(f"qwen3-{model}", 8, 8, 200, 64)
        alone, both = (step(config, CORE, on) for on in ("cpu", "2xcpu"))
        line(f"two processes, {model}", alone / both, seen, "times one")


if __name__ == "__main__":
    main()
