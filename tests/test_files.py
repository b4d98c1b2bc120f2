"""Files are whole or not there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reasonkit.files import beside, write_json


def test_a_failed_write_leaves_the_old_file_and_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"a": 2})
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_path_that_is_not_there_is_answered_with_the_nearest_beside_it(tmp_path: Path) -> None:
    (tmp_path / "my-model").mkdir()
    (tmp_path / "data.csv").touch()
    assert beside(tmp_path / "my-modle") == f" (there is {tmp_path / 'my-model'})"
    assert beside(tmp_path / "data.cvs") == f" (there is {tmp_path / 'data.csv'})"
    assert beside(tmp_path / "other") == ""
    assert beside(tmp_path / "nowhere" / "my-model") == ""
