"""What the package offers to Python code; tests/plugins/stub.py makes this file."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from reasonkit.errors import ReasonkitError, RefusedError, RunError
from reasonkit.result import Result

__version__: str
__all__ = [
    "ReasonkitError",
    "RefusedError",
    "Result",
    "RunError",
    "__version__",
    "compare",
    "distill",
    "grpo",
    "open_run",
    "reward",
    "sft_rl",
    "task",
    "verifier",
    "vote",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Path = str | os.PathLike[str]
_Row = Mapping[str, Any]
_Rows = Iterable[_Row] | Mapping[str, Iterable[_Row]]
_Task = _Path | _Rows | Callable[[], _Rows]
_Reward = str | Callable[..., Sequence[float | None]]
_Rewards = _Reward | Sequence[_Reward] | Mapping[_Reward, float]

@overload
def reward(
    function: None = None,
    *,
    needs_answer: bool = True,
    claim: Literal["correctness", "form", "shaping"] | None = None,
) -> Callable[[_Function], _Function]: ...
@overload
def reward(
    function: _Function,
    *,
    needs_answer: bool = True,
    claim: Literal["correctness", "form", "shaping"] | None = None,
) -> _Function: ...
def task(function: _Function) -> _Function: ...
def open_run(path: _Path) -> Result: ...

class _CommonConfig(TypedDict, total=False):
    model: _Path
    task: _Task
    reward: _Rewards | None
    columns: str | Sequence[str] | None
    system_prompt: str | None
    max_prompt_tokens: int
    max_completion_tokens: int | None
    engine: Literal["auto", "local", "vllm"]
    reward_timeout: float
    device: Literal["auto", "cpu", "cuda", "mps"]
    dtype: Literal["auto", "float32", "bfloat16", "float16"]
    attention: Literal[
        "auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3", "flex_attention"
    ]
    rows: int | None
    seed: int
    validation_size: int
    test_size: int
    config: _Path | None
    run_dir: _Path | None
    resume: bool
    on_step: Callable[[dict[str, Any]], object] | None

class _SharedConfig(_CommonConfig, total=False):
    shard: Literal["none", "fsdp", "zero2", "zero3"]
    offload: bool
    tensor_parallel: int

class _UpdatesConfig(_SharedConfig, total=False):
    learning_rate: float | None
    optimizer: Literal["adamw", "adamw_8bit", "paged_adamw_8bit", "adafactor", "muon"]
    max_grad_norm: float
    gradient_checkpointing: bool
    compile: bool
    fit: bool

class _TrainingConfig(_UpdatesConfig, total=False):
    part: Literal["all", "sft", "rl"]
    warmup_steps: int
    lr_schedule: Literal["linear", "constant"]
    lora: bool
    lora_rank: int
    load_in_4bit: bool
    keep_adapter: bool
    baselines: bool
    save_every: int
    keep_checkpoints: int
    report_to: str | Sequence[str] | None

class _GrpoConfig(_TrainingConfig, total=False):
    general_task: _Task | None
    general_share: float
    general_reward: _Rewards | None
    group_size: int | None
    prompts_per_step: int | None
    temperature: float | None
    curriculum: bool
    resample: int | None
    steps: int | None
    updates_per_rollout: int
    preset: str
    loss_type: Literal["grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"] | None
    reward_scaling: Literal["group", "batch", "none"] | None
    epsilon_low: float | None
    epsilon_high: float | None
    kl_coefficient: float | None
    kl_form: Literal["k3", "k3-times-ratio"] | None
    ratio_level: Literal["token", "sequence"] | None
    importance: (
        Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask", "off"] | None
    )
    mask_truncated: bool | None
    micro_batch: int | None
    vllm_server: str | None
    validate_every: int
    on_collapse: Literal["rollback", "stop", "ignore"]

class _ServerConfig(_CommonConfig, total=False):
    endpoint: str | None
    api_key_file: _Path | None
    concurrency: int
    requests_per_minute: float | None
    tokens_per_minute: float | None
    request_timeout: float

class _DistillConfig(_TrainingConfig, _ServerConfig, total=False):
    teacher: _Path | None
    traces: _Path | None
    only: Literal["traces", "train"] | None
    objective: Literal["traces", "on-policy"]
    wording: str | None
    questions: int | None
    samples: int
    temperature: float | None
    top_p: float
    keep: str | Sequence[str] | None
    similar: float
    per_question: int
    balance: float
    general: _Path | None
    epochs: int | None
    batch_tokens: int | None
    micro_batch_tokens: int | None

class _SftRlConfig(_SharedConfig, total=False):
    until: Literal["cold-start", "rl", "rejection", "final-rl"]
    skip: str | Sequence[str] | None
    rejection_from: Literal["base", "policy"]
    set: str | Sequence[str] | None
    teacher: _Path | None
    traces: _Path | None
    general_task: _Task | None
    general_reward: _Rewards | None
    general_chats: _Path | None
    baselines: bool

class _VoteConfig(_ServerConfig, total=False):
    question: str | None
    strategy: str
    n: int | None
    temperature: float | None
    top_p: float
    step_by_step: bool
    wording: str
    verifier: _Path | None
    top_k: int
    window: int | None
    stop_at: float
    round_size: int
    quick: int
    sure_at: float
    at_once: str | None
    budget: float | None
    policy: str | None
    tune: bool
    thought_tokens: int | None
    waits: int
    wait_text: str | None
    beam_width: int
    step_ends: str | Sequence[str] | None
    completions: _Path | None
    fields: str | Sequence[str] | None
    also: str | Sequence[str] | None
    baselines: bool
    longer: bool | None

class _VerifierConfig(_UpdatesConfig, total=False):
    questions: int | None
    samples: int
    process: bool
    continuations: int
    temperature: float | None
    wording: str | None
    held_out: float
    aggregate: Literal["last", "lowest", "mean", "product"] | None
    step_ends: str | Sequence[str] | None
    epochs: int
    lm_weight: float | None
    batch: int
    micro_batch: int | None
    warmup_steps: int
    save_every: int
    keep_checkpoints: int

class _CompareConfig(_CommonConfig, total=False):
    teacher: _Path | None
    traces: _Path | None
    student: _Path | None
    only: str | Sequence[str] | None
    set: str | Sequence[str] | None
    budget: str | None
    quick: bool
    seeds: int

def grpo(**settings: Unpack[_GrpoConfig]) -> Result:
    """Pure reinforcement learning against checkable rewards (the R1-Zero route)."""

def distill(**settings: Unpack[_DistillConfig]) -> Result:
    """A student learns from a teacher's worked answers (the R1-Distill route)."""

def sft_rl(**settings: Unpack[_SftRlConfig]) -> Result:
    """The full R1 recipe: cold-start SFT, GRPO, rejection-sampled SFT, and a last GRPO."""

def vote(**settings: Unpack[_VoteConfig]) -> Result:
    """Accuracy bought at inference time: a question, a task, or completions that are there."""

def verifier(**settings: Unpack[_VerifierConfig]) -> Result:
    """A verifier for vote, trained on a generator's own solutions."""

def compare(**settings: Unpack[_CompareConfig]) -> Result:
    """The ways side by side: one base, the same test questions, accuracy against cost."""
