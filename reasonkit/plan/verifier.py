"""The plan of a verifier for `vote`."""

from __future__ import annotations

import dataclasses

from reasonkit.config import VerifierConfig
from reasonkit.errors import RefusedError
from reasonkit.models import Model
from reasonkit.plan import Plan, divisor, evenly, filled
from reasonkit.plan import settle as settle_names
from reasonkit.prompts import require_known
from reasonkit.rewards.guard import Guard


def settle(config: VerifierConfig) -> Plan[VerifierConfig]:
    """The plan, with every setting that was left open filled in.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    require_known(config.wording)
    plan = settle_names(config)
    if Guard(plan.rewards).verifier is None:
        raise RefusedError(
            "no reward that claims correctness reads the reference answer, so nothing says which "
            "solutions are right: pass --reward answer=1"
        )
    defaults, of = plan.model.entry.verifier, f"--batch {config.batch}"
    own = evenly("--batch", config.batch)
    fits = divisor("--micro-batch", config.micro_batch, defaults.micro_batch, own, of)
    settled = dataclasses.replace(by_entry(plan.config, plan.model.entry), micro_batch=fits)
    return dataclasses.replace(plan, config=settled)


def by_entry(config: VerifierConfig, entry: Model) -> VerifierConfig:
    """The settings with those filled in that the generator settles, but for the micro-batch."""
    defaults = entry.verifier
    return filled(
        config,
        questions=defaults.questions,
        learning_rate=defaults.learning_rate,
        lm_weight=defaults.lm_weight,
        step_ends=list(defaults.step_ends),
    )
