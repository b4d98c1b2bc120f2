"""``reasonkit sft-rl``: the full R1 recipe (DeepSeek-AI, arXiv:2501.12948, section 2.3).

The order of things: names are resolved, data is read and checked; only then is a run made, the
untrained model measured on the test questions, the stages done one after the other, each a run of
its own under ``stages/`` that begins with what the one before has saved, and the last policy
measured on the same test questions. Between them only the validation split is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reasonkit import running, runs
from reasonkit.config import (
    Invocation,
    SftRlConfig,
    to_mapping,
)
from reasonkit.plan import load_policy, without_overlong

if TYPE_CHECKING:
    pass

COMMAND = "sft-rl"
CHATS = 100
"""General chats that the rejection stage learns, where they are not the user's own."""


def run(config: SftRlConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run, at its first unfinished stage.

    Raises:
        RefusedError: before anything is made.
        RunError: when it can't go on.
    """
    if invocation.resume:
        assert invocation.run_dir is not None
        made = runs.open_run(invocation.run_dir, COMMAND)
        if made.status == "finished" and made.config == to_mapping(config):
            running.settings_of(COMMAND, SftRlConfig, invocation)
            return
    plan = _resolve_settings(config)
    _look_ahead(plan)
    if invocation.dry_run:
        return
    if not invocation.resume:
        runs.require_free(invocation.run_dir)
    tokenizer, base = load_policy(plan)
    plan = without_overlong(plan, tokenizer)
    made = running.begin(COMMAND, plan.config, invocation)
    made.write_config(to_mapping(plan.config))
    running.carry_out(made, lambda: _Recipe(made, plan, tokenizer).carry_out(base), invocation.json)
