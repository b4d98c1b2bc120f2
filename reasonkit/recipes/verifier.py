"""``reasonkit verifier``: a model that says how likely a solution is to be right.

Trained on a generator's own solutions, labelled by the answer reward (Cobbe et al.,
arXiv:2110.14168); `reasonkit vote --verifier` ranks by it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from reasonkit import console, running, runs
from reasonkit.config import Invocation, VerifierConfig
from reasonkit.plan import Plan, load_policy, without_overlong
from reasonkit.stages.verification import make, resolve_settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

COMMAND = "verifier"


def run(config: VerifierConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run.

    Raises:
        RefusedError: before anything is made.
        RunError: when it can't go on; what was sampled is kept.
    """
    if running.is_done(config, invocation):
        return
    plan = resolve_settings(config)
    data = plan.data
    running.require_same_data(invocation, data)
    if not (invocation.dry_run or invocation.resume):
        runs.require_free(invocation.run_dir)
    tokenizer, generator = load_policy(plan)
    plan = without_overlong(plan, tokenizer)
    if invocation.dry_run:
        console.err.print(console.table("plan", ("", ""), _rows(plan)))
        return
    made = running.begin(COMMAND, plan.config, invocation, data)
    running.carry_out(made, lambda: _make(made, plan, tokenizer, generator), invocation.json)


def _rows(plan: Plan[VerifierConfig]) -> list[tuple[str, str]]:
    config = plan.config
    return [
        ("generator", config.model),
        ("questions", f"{config.questions} of {config.task}, {config.held_out:.0%} held out"),
        ("solutions", f"{config.samples} of each, at temperature {config.temperature:g}"),
    ]


def _make(
    made: runs.Run,
    plan: Plan[VerifierConfig],
    tokenizer: PreTrainedTokenizerBase,
    generator: PreTrainedModel,
) -> dict[str, Any]:
    from reasonkit.generation.local import LocalEngine
    from reasonkit.generation.pool import Pool
    from reasonkit.generation.store import Store

    started = time.monotonic()
    origin = {"model": plan.config.model, "device": str(generator.device)}
    pool = Pool(Store(made.path / "samples.jsonl", origin), LocalEngine(generator, tokenizer))
    verifier = make(made, plan, tokenizer, generator, pool)
    summary = {
        "command": COMMAND,
        "model": plan.config.model,
        "task": plan.config.task,
        **verifier.to_summary(),
        "seconds": time.monotonic() - started,
    }
    made.update(
        seconds={"total": summary["seconds"], "training": verifier.training_seconds},
        tokens={"sampled": verifier.tokens_sampled, "trained": verifier.tokens_trained},
    )
    return summary
