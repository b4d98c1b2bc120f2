"""Values that no setting can have are refused in one line, wherever they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonkit.config import GrpoConfig, from_mapping, read_assignment, read_yaml
from reasonkit.errors import RefusedError

VALUES = {
    "digits": "steps: " + "1" * 4500,
    "no date": "seed: 2020-13-45",
    "nested": "reward: " + "[" * 3000 + "]" * 3000,
    "NaN": "learning_rate: .nan",
    "infinity": "temperature: .inf",
    "beyond all": "learning_rate: 1" + "0" * 400,
    "half a character": 'task: "a\\ud83d"',
    "half a character in a list": 'reward: ["a\\ud83d"]',
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_that_is_none_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(VALUES[case])
    with pytest.raises(RefusedError, match=r"settings\.yaml") as refused:
        from_mapping(GrpoConfig, read_yaml(path), str(path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", ["1" * 4500, "2020-13-45", "[" * 3000])
def test_an_assignment_of_no_value_is_refused(value: str) -> None:
    with pytest.raises(RefusedError, match="is no value"):
        read_assignment(f"rl.steps={value}")
