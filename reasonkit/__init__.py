"""reasonkit: make a language model reason, four ways, on one set of models, tasks and rewards.

``reasonkit.grpo(model="abacus", task="arithmetic", steps=50)`` and the like are `reasonkit.api`,
which is imported when it is asked for. What there is stands in the stub beside this file.
"""

import os
from typing import Any

# Libraries below us report usage to their makers unless told not to; the user may say otherwise.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

_ROOMS = {
    **dict.fromkeys(("ReasonkitError", "RefusedError", "RunError"), "errors"),
    "Result": "result",
}
__all__ = [
    *("ReasonkitError", "RefusedError", "Result", "RunError", "__version__"),
    *("compare", "distill", "grpo", "open_run", "reward", "sft_rl", "task", "verifier", "vote"),
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'reasonkit' has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        return version("reasonkit")
    from importlib import import_module

    return getattr(import_module(f"reasonkit.{_ROOMS.get(name, 'api')}"), name)


def __dir__() -> list[str]:
    return __all__
