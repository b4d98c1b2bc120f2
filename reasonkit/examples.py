"""Three calls of every command, as its ``--help`` ends with them."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, str, str]] = {
    "grpo": (
        "reasonkit grpo",
        "reasonkit grpo --task problems.csv --columns answer=solution --steps 200",
        "reasonkit grpo --reward answer --reward mine.py:brief=0.2",
    ),
    "distill": (
        "reasonkit distill",
        "reasonkit distill --teacher qwen3-8b --endpoint http://localhost:8000/v1",
        "reasonkit distill --model smollm2 --traces traces.jsonl --lora",
    ),
    "sft-rl": (
        "reasonkit sft-rl",
        "reasonkit sft-rl --until rl --set rl.steps=200",
        "reasonkit sft-rl --config abacus-arithmetic --dry-run",
    ),
    "vote": (
        'reasonkit vote "What is (3 + 4) * 6 - 5?"',
        "reasonkit vote --task letter-count --strategy adaptive --n 32",
        "reasonkit vote --model runs/mine --verifier runs/verifier --strategy best-of-n",
    ),
    "verifier": (
        "reasonkit verifier --run-dir runs/verifier",
        "reasonkit verifier --task word-arithmetic --samples 8",
        "reasonkit verifier --model runs/mine --questions 500",
    ),
    "compare": (
        "reasonkit compare --quick",
        "reasonkit compare --only grpo --only vote --seeds 3",
        "reasonkit compare --task problems.jsonl --budget 10min",
    ),
    "runs": ("reasonkit runs", "reasonkit runs experiments", "reasonkit report runs/mine --open"),
    "report": (
        "reasonkit report runs/mine",
        "reasonkit report runs/mine --open",
        "reasonkit report runs/mine --serve --port 8080",
    ),
    "models": (
        "reasonkit models",
        "reasonkit grpo --model abacus-mini",
        "reasonkit vote --model ./my-model-folder",
    ),
    "chat": (
        "reasonkit chat abacus-reasoner",
        "reasonkit chat runs/mine --vote 8",
        "reasonkit chat smollm2 --no-thoughts --temperature 0.6",
    ),
    "serve": (
        "reasonkit serve runs/mine",
        "reasonkit serve smollm2 --port 8080 --host 0.0.0.0 --require-key key.txt",
        "reasonkit serve --endpoint http://localhost:8001/v1",
    ),
    "push": (
        "reasonkit push runs/mine me/my-model",
        "reasonkit push runs/mine me/my-model --yes",
        "reasonkit push runs/mine me/my-model --yes --private",
    ),
    "export": (
        "reasonkit export runs/mine --gguf",
        "reasonkit export runs/mine --gguf --out mine.gguf",
        "reasonkit grpo --model mine.gguf",
    ),
    "explain": (
        "reasonkit explain",
        'reasonkit explain "Calculate 2+2*6" --answer 14',
        "reasonkit explain --model smollm2 --task letter-count --group-size 4",
    ),
    "docs": ("reasonkit docs", "reasonkit docs tutorial", "reasonkit docs reference"),
    "doctor": ("reasonkit doctor", "reasonkit doctor --json", "reasonkit grpo --dry-run"),
    "strategies": (
        "reasonkit strategies",
        "reasonkit vote --strategy cascade",
        "reasonkit vote --strategy majority --also best-of-n",
    ),
    "launch": (
        "reasonkit launch slurm -- grpo --model qwen2.5-7b --run-dir /shared/run > job.sh",
        "reasonkit launch slurm --servers 2 -- distill --teacher qwen3-8b --run-dir /shared/run",
        "reasonkit launch kubernetes --image mine --volume disk:/shared "
        "-- grpo --run-dir /shared/run",
    ),
    "launch slurm": (
        "reasonkit launch slurm -- grpo --model qwen2.5-7b --run-dir /shared/run > job.sh",
        "reasonkit launch slurm --nodes 2 --line '#SBATCH --partition=gpu' "
        "-- sft-rl --shard fsdp --run-dir /shared/run",
        "reasonkit launch slurm --servers 2 -- distill --teacher qwen3-8b --run-dir /shared/run",
    ),
    "launch kubernetes": (
        "reasonkit launch kubernetes --image mine --volume disk:/shared "
        "-- grpo --run-dir /shared/run > job.yaml",
        "reasonkit launch kubernetes --image mine --volume disk:/shared --nodes 2 "
        "-- sft-rl --shard fsdp --run-dir /shared/run",
        "reasonkit launch kubernetes --image mine --volume disk:/shared --servers 2 "
        "-- vote --model qwen3-8b --task gsm8k --run-dir /shared/votes",
    ),
    "recipes": (
        "reasonkit recipes ls",
        "reasonkit recipes show grpo/abacus-tiny-code",
        "reasonkit grpo --config abacus-tiny-code",
    ),
    "recipes ls": (
        "reasonkit recipes ls",
        "reasonkit recipes show grpo/abacus-tiny-code",
        "reasonkit grpo --config abacus-tiny-code",
    ),
    "recipes show": (
        "reasonkit recipes show grpo/abacus-tiny-code",
        "reasonkit recipes show vote/abacus-arithmetic-cascade",
        "reasonkit grpo --config abacus-tiny-code",
    ),
    "recipes cp": (
        "reasonkit recipes cp grpo/abacus-tiny-code",
        "reasonkit recipes cp grpo/abacus-tiny-code mine.yaml",
        "reasonkit grpo --config mine.yaml",
    ),
    "tasks": (
        "reasonkit tasks",
        "reasonkit grpo --task arithmetic:digits=2,operands=2-3",
        "reasonkit tasks profile --model smollm2",
    ),
    "tasks profile": (
        "reasonkit tasks profile",
        "reasonkit tasks profile --model smollm2 --task word-arithmetic",
        "reasonkit tasks profile --task problems.csv --json",
    ),
    "tasks traces": (
        "reasonkit tasks traces arithmetic",
        "reasonkit tasks traces arithmetic --count 500 > traces.jsonl",
        "reasonkit distill --traces traces.jsonl",
    ),
    "rewards": (
        "reasonkit rewards",
        "reasonkit grpo --reward answer --reward format=0.2",
        "reasonkit rewards check mine.py:brief --task arithmetic",
    ),
    "rewards check": (
        "reasonkit rewards check --task arithmetic",
        "reasonkit rewards check mine.py:brief --task arithmetic",
        "reasonkit rewards check answer length=0.3 --task problems.csv",
    ),
}
"""Command → how it is called, or what is done next with what it says."""


def epilog(command: str) -> str:
    """The examples of a command, each a paragraph, in rich's markup; empty where there are none."""
    from rich.markup import escape

    if command not in EXAMPLES:
        return ""
    return "\n".join(["[bold]Examples[/bold]", *map(escape, EXAMPLES[command])])
