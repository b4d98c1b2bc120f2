"""What is overridden of TRL and transformers is still what it was when its override was written."""

from __future__ import annotations

import hashlib
import importlib
import inspect

import pytest

from reasonkit.training import on_policy, sft, verifier
from reasonkit.training.loss import Trainer
from reasonkit.training.trainer import OVERRIDDEN, RunTrainer

OURS = (RunTrainer, Trainer, on_policy.Trainer, sft.Trainer, verifier.Trainer)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_the_source_of_what_is_overridden_has_not_changed(name: str) -> None:
    module, owner, method = name.split(".")
    source = inspect.getsource(getattr(getattr(importlib.import_module(module), owner), method))
    now, then = hashlib.sha256(source.encode()).hexdigest()[:12], OVERRIDDEN[name][1]
    assert now == then, (
        f"{name} is not what reasonkit/training overrides: read its new source, see whether the "
        f"override still holds, and put {now} in place of {then} in trainer.OVERRIDDEN"
    )


def test_every_private_method_that_is_overridden_is_listed() -> None:
    listed = {name.rpartition(".")[2] for name in OVERRIDDEN}
    for trainer in OURS:
        for name in vars(trainer):
            foreign = [c for c in trainer.__mro__[1:] if not c.__module__.startswith("reasonkit")]
            if name.startswith("_") and not name.startswith("__"):
                there = any(callable(vars(c).get(name)) for c in foreign)
                assert not there or name in listed, f"{trainer.__module__}.{name}"
