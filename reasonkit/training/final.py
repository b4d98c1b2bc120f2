"""What a run leaves behind for others: weights, tokenizer and a model card made from the run.

``final/`` is the model that was measured, number for number: adapters are merged before it is
measured, and what was saved is loaded again and compared before it is published.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import (
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reasonkit.errors import RunError
from reasonkit.models.precision import quantized_layers, widen
from reasonkit.report.results import closed
from reasonkit.training.checkpoints import publish, writing


def to_measure(
    policy: PreTrainedModel | PeftModel, folder: Path, keep_adapter: bool = False
) -> PreTrainedModel:
    """The model that is measured and that `save` writes to this folder; the policy is used up.

    Args:
        keep_adapter: also save the adapter, if there is one, in ``adapter/``.
    """
    # A run that was killed may have left some of another model there.
    shutil.rmtree(_staging(folder), ignore_errors=True)
    if not isinstance(policy, PeftModel):
        return policy
    if keep_adapter and not folder.exists():
        with writing(folder):
            policy.save_pretrained(_staging(folder) / "adapter")
    if quantized_layers(policy):
        policy = _dequantized(policy)
    widen(policy)
    whole: PreTrainedModel = policy.merge_and_unload()
    return whole


def _dequantized(policy: PeftModel) -> PeftModel:
    """The same adapters on weights in float32, which are what those of 4 bits stand for."""
    learned, config = get_peft_model_state_dict(policy), policy.peft_config["default"]
    base = policy.unload().dequantize(torch.float32)
    again: PeftModel = get_peft_model(base, config)
    set_peft_model_state_dict(again, learned)
    return again


def save(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, card: str
) -> None:
    """Writes the model as it was measured, whole or not at all, where no folder is yet.

    Args:
        card: text of its README.md.

    Raises:
        RunError: what was saved is another model.
    """
    staging = _staging(folder)
    with writing(folder):
        model.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
    _require_same(model, staging)
    (staging / "README.md").write_text(card, encoding="utf-8")
    publish(staging, folder)


def _staging(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}")


def _require_same(model: PreTrainedModel, saved: Path) -> None:
    loaded = type(model).from_pretrained(saved, dtype=model.dtype, use_safetensors=True)
    there, ours = loaded.state_dict(), model.state_dict()
    for name in there.keys() | ours.keys():
        both = name in there and name in ours
        if not (both and torch.equal(there[name].cpu(), ours[name].cpu())):
            raise RunError(
                f"{saved}: {name} is not what was measured once it is saved and loaded again; the "
                "checkpoints are kept"
            )


def model_card(summary: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """A model card in the hub's form, from what was measured."""
    paired, rows = summary["paired"], {name: summary[name] for name in ("before", "after")}
    rows |= {f"before, asked {name!r}": entry for name, entry in summary["baselines"].items()}
    if taught := summary.get("teacher"):
        rows[f"teacher, {summary['teacher_name']}"] = taught
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "tags: [reasonkit, reasoning, " + summary["command"] + "]",
        "---",
        f"# {summary['model']}, trained with `reasonkit {summary['command']}` on {summary['task']}",
        "",
        "Test questions, greedy decoding, one extractor that is blind to format; 95 % intervals.",
        "",
        "| | accuracy | interval | n | tokens an answer | think-answer format |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {e['accuracy']:.1%} | {e['low']:.1%} to {e['high']:.1%} "
            f"| {e['n']} | {e['mean_tokens']:.1f} | {e['format']:.1%} |"
            for name, e in rows.items()
        ),
        "",
        f"Paired difference: {paired['difference']:+.1%} "
        f"({paired['low']:+.1%} to {paired['high']:+.1%}, exact McNemar p = {paired['p']:.2g}).",
        *_taught_by(summary),
        "",
        f"Cost: {summary['seconds']:.0f} s, {summary['tokens_sampled']:,} tokens sampled, "
        f"{summary['tokens_trained']:,} tokens trained.",
        "",
        "It was measured on this task alone. Thinking that reads well can still be wrong.",
        "",
        *_listed(settings),
    ]
    return "\n".join(lines)


def stage_card(name: str, command: str, row: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """A model card of what a stage of a recipe has made, from its row on the validation split."""
    return "\n".join(
        [
            f"# {settings['model']} after {name}, a stage of `reasonkit {command}`",
            "",
            f"On {row['n']} validation questions of {settings['task']}, greedy: "
            f"{row['accuracy']:.1%} right ({row['low']:.1%} to {row['high']:.1%}), "
            f"{row['format']:.1%} in the format, {row['mean_tokens']:.1f} tokens an answer. "
            "The test questions were not looked at.",
            "",
            *_listed(settings),
        ]
    )


def _listed(settings: Mapping[str, Any]) -> list[str]:
    values = (f"{key}: {value}" for key, value in settings.items())
    return ["## Settings", "", "```yaml", *values, "```", ""]


def _taught_by(summary: Mapping[str, Any]) -> list[str]:
    """What a card says of the traces that a student learned from, if it did."""
    lines = []
    if gap := summary.get("gap_closed"):
        lines += ["", f"Of the teacher's lead before training {closed(gap)} are made up."]
    lines += [line for remark in summary.get("remarks", []) for line in ("", remark)]
    if steps := summary.get("filters"):
        lines += ["", "| filter of the traces | took | left | questions |", "|---|---|---|---|"]
        lines += [f"| {s['name']} | {s['lost']} | {s['left']} | {s['questions']} |" for s in steps]
    return lines
