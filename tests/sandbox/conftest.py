"""Every test runs at the strongest level of this machine, and without namespaces too."""

from __future__ import annotations

import pytest

from reasonkit.sandbox import judge
from reasonkit.sandbox.inside.layers import ORDER
from reasonkit.sandbox.launcher import Launcher

LAUNCHERS = {"strongest": judge.LAUNCHER, "no namespaces": Launcher(ORDER[1:])}


@pytest.fixture(autouse=True, params=LAUNCHERS)
def launcher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Launcher:
    chosen = LAUNCHERS[request.param]
    layers = set(chosen.layers)
    if "namespaces" not in layers and not {"landlock", "seccomp"} <= layers:
        pytest.skip("this kernel can't close files and network to a program")
    monkeypatch.setattr(judge, "LAUNCHER", chosen)
    return chosen
