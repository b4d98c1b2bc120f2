"""`reasonkit doctor` tells what there is, and what is to be done about what there isn't."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable

import torch
from packaging.requirements import Requirement

from reasonkit import doctor
from reasonkit.sandbox import isolation


def test_every_extra_of_the_package_is_known() -> None:
    extras = importlib.metadata.metadata("reasonkit").get_all("Provides-Extra")
    assert {*doctor.EXTRAS, doctor.FOR_TESTS} == {*extras}


def test_it_tells_versions_device_engine_and_sandbox(reasonkit: Callable) -> None:
    ended = reasonkit("doctor", "--json")
    assert ended.code == 0, ended.err
    found = {finding["name"]: finding for finding in json.loads(ended.out)}
    assert found["torch"]["found"] == torch.__version__
    assert found["sandbox"]["found"].startswith(isolation())
    where = "cuda" if torch.cuda.is_available() else "cpu"
    assert found["device"]["found"].startswith(where)
    assert "for abacus" in found["engine"]["found"]
    shown = reasonkit("doctor").out
    for finding in found.values():
        assert finding["name"] in shown
        assert not finding["mend"] or finding["mend"] in shown


def test_a_package_that_is_missing_or_too_old_is_told_with_its_mend() -> None:
    assert doctor._installed(Requirement("reasonkit-of-nowhere>=2")) == (
        "not installed",
        "pip install 'reasonkit-of-nowhere>=2'",
    )
    found, mend = doctor._installed(Requirement("rich>=9999"))
    assert "needs >=9999" in found and mend == "pip install 'rich>=9999'"
