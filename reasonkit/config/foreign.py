"""What other programs call our settings, so that who knows theirs is told ours.

One table for flags and YAML keys. Such a name is answered, never taken: what stands behind it may
be counted in another unit. Leaves out names that are ours too (`temperature`, `top_p`,
`gradient_checkpointing`, `report_to`, `load_in_4bit`, …).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reasonkit.config.base import Invocation

CALLED: dict[str, tuple[str, ...]] = {
    "group_size": (
        *("num_generations", "num_return_sequences", "n_samples_per_prompt", "rollout_n"),
        *("actor_rollout_ref.rollout.n", "samples_per_prompt"),
    ),
    "n": ("num_generations", "num_return_sequences", "num_samples", "n_samples", "samples"),
    "samples": ("num_generations", "num_return_sequences", "num_samples", "n_samples"),
    "prompts_per_step": (
        *("data.train_batch_size", "train_batch_size", "rollout_batch_size"),
        *("generation_batch_size", "prompts_per_batch", "batch_size"),
    ),
    "kl_coefficient": (
        *("beta", "kl_coef", "kl_coeff", "init_kl_coef", "kl_loss_coef"),
        *("actor_rollout_ref.actor.kl_loss_coef", "algorithm.kl_ctrl.kl_coef"),
    ),
    "kl_form": ("kl_estimator", "kl_loss_type", "actor_rollout_ref.actor.kl_loss_type"),
    "learning_rate": ("lr", "actor_learning_rate", "actor_rollout_ref.actor.optim.lr"),
    "steps": (
        *("max_steps", "num_steps", "num_train_epochs", "num_epochs", "num_episodes", "epochs"),
        *("trainer.total_training_steps", "trainer.total_epochs", "iterations", "n_steps"),
    ),
    "epochs": ("num_train_epochs", "num_epochs", "max_epochs", "trainer.total_epochs"),
    "updates_per_rollout": (
        *("num_iterations", "ppo_epochs", "actor_rollout_ref.actor.ppo_epochs", "mu"),
    ),
    "micro_batch": (
        *("per_device_train_batch_size", "micro_batch_size", "micro_train_batch_size"),
        *("actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu", "ppo_micro_batch_size_per_gpu"),
    ),
    "micro_batch_tokens": ("per_device_train_batch_size", "micro_batch_size"),
    "batch_tokens": ("batch_size", "train_batch_size"),
    "batch": ("batch_size", "train_batch_size"),
    "max_completion_tokens": (
        *("max_completion_length", "max_new_tokens", "max_tokens", "max_response_length"),
        *("data.max_response_length", "generate_max_len", "response_length"),
    ),
    "max_prompt_tokens": ("max_prompt_length", "data.max_prompt_length", "prompt_max_len"),
    "epsilon_low": (
        *("epsilon", "clip_ratio", "cliprange", "clip_range", "eps_clip", "clip_eps"),
        *("actor_rollout_ref.actor.clip_ratio", "actor_rollout_ref.actor.clip_ratio_low"),
    ),
    "epsilon_high": ("clip_ratio_high", "actor_rollout_ref.actor.clip_ratio_high"),
    "loss_type": ("loss_agg_mode", "actor_rollout_ref.actor.loss_agg_mode"),
    "reward_scaling": (
        *("scale_rewards", "norm_adv_by_std_in_grpo", "algorithm.norm_adv_by_std_in_grpo"),
    ),
    "ratio_level": ("importance_sampling_level",),
    "importance": ("vllm_importance_sampling_correction", "vllm_importance_sampling_mode"),
    "mask_truncated": ("mask_truncated_completions", "overlong_filtering"),
    "resample": ("dynamic_sampling", "algorithm.filter_groups.enable"),
    "preset": ("algorithm.adv_estimator", "adv_estimator", "algo", "algorithm"),
    "model": (
        *("model_name_or_path", "model_name", "model_path", "model_id", "pretrain"),
        *("actor_rollout_ref.model.path", "base_model", "student"),
    ),
    "teacher": ("teacher_model", "teacher_model_name_or_path", "teacher_name"),
    "task": (
        *("dataset", "dataset_name", "dataset_path", "data", "data_path", "train_file"),
        *("data.train_files", "data.val_files", "prompt_data", "env", "environment"),
    ),
    "columns": ("input_key", "data.prompt_key", "label_key", "prompt_key", "question_column"),
    "reward": (
        *("reward_funcs", "reward_func", "reward_function", "reward_fn", "reward_model_path"),
        *("custom_reward_function.path", "reward_weights", "rewards"),
    ),
    "optimizer": ("optim",),
    "max_grad_norm": ("grad_clip", "clip_grad", "actor_rollout_ref.actor.grad_clip"),
    "warmup_steps": ("warmup_ratio", "lr_warmup_steps", "num_warmup_steps"),
    "lora": ("use_peft", "use_lora"),
    "lora_rank": ("lora_r", "peft_rank", "r", "actor_rollout_ref.model.lora_rank"),
    "engine": ("use_vllm", "backend", "actor_rollout_ref.rollout.name"),
    "tensor_parallel": (
        *("vllm_tensor_parallel_size", "tensor_parallel_size", "tensor_model_parallel_size"),
        *("actor_rollout_ref.rollout.tensor_model_parallel_size", "vllm_tensor_parallel"),
    ),
    "dtype": ("bf16", "fp16", "torch_dtype", "precision", "param_dtype"),
    "attention": ("attn_implementation", "flash_attn"),
    "seed": ("data_seed", "random_seed"),
    "save_every": ("save_steps", "save_freq", "trainer.save_freq", "checkpoint_every"),
    "validate_every": ("eval_steps", "eval_every", "eval_freq", "test_freq", "trainer.test_freq"),
    "keep_checkpoints": ("save_total_limit", "max_ckpt_num"),
    "report_to": ("trainer.logger", "logger", "use_wandb", "wandb"),
    "temperature": ("actor_rollout_ref.rollout.temperature",),
    "endpoint": ("base_url", "api_base"),
    "vllm_server": ("vllm_server_base_url",),
    "run_dir": ("output_dir", "out_dir", "save_path", "log_dir", "trainer.default_local_dir"),
    "resume": ("resume_from_checkpoint", "load_checkpoint", "trainer.resume_mode"),
}
"""Our name → theirs: TRL's, verl's, OpenRLHF's, and those of common scripts."""

SETTLED = {
    "gradient_accumulation_steps": (
        "it follows from --prompts-per-step, --group-size and --micro-batch"
    ),
    "logging_steps": "every step is written to metrics.jsonl of the run",
    "do_train": "there is nothing to turn on",
    "do_eval": "accuracy is measured before and after",
    "remove_unused_columns": "a reward is given each column of the data that it asks for",
    "vllm_gpu_memory_utilization": "--rows says how many completions are sampled at once",
    "trust_remote_code": "code that comes with a model is never run",
}
"""Their name → why there is none of ours."""


def answers(
    given: Mapping[str, Any], known: Collection[str], show: str = "{}", help: Mapping[str, str] = {}
) -> Iterator[str]:
    """A sentence for each of these names that is another program's.

    Args:
        given: names as they were written, with values; nested ones as verl's files have them.
        known: the names that are ours here.
        show: how a name of ours is written, as in ``--{}``.
        help: what ours mean.
    """
    flags = [field.name for field in dataclasses.fields(Invocation)]
    for name in _flat(given):
        plain = name.lstrip("-+").replace("-", "_").lower()
        if plain in SETTLED:
            yield f"{name}: reasonkit has no such setting: {SETTLED[plain]}"
            continue
        ours = [our for our, theirs in CALLED.items() if plain in theirs]
        here = next((our for our in ours if our in known), None)
        if here is not None:
            meaning = help.get(here, "").partition("(default")[0].strip(" .")
            meaning = f" ({meaning})" if meaning else ""
            yield f"{name}: reasonkit calls it {_written(here, show)}{meaning}"
        elif ours and ours[0] in flags:
            yield f"{name}: reasonkit calls it {_written(ours[0], '--{}')}, a flag"
        elif ours:
            reached = ": --set reaches it" if "set" in known else ", which this command has not"
            yield f"{name}: reasonkit calls it {_written(ours[0], show)}{reached}"


def _written(name: str, show: str) -> str:
    return show.format(name.replace("_", "-") if show.startswith("--") else name)


def _flat(given: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in given.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"
