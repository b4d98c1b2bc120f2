"""A teacher is found and checked by the rules that every model is loaded by."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reasonkit.errors import RefusedError
from reasonkit.models.loading import load_model, load_tokenizer, resolve
from reasonkit.stages.teacher import Teacher, require_same_tokens


def test_a_teacher_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    student = resolve("abacus-mini")
    folder = tmp_path / "teacher"
    shutil.copytree(student.source, folder)
    taught = Teacher("teacher", student.entry, model=resolve(str(folder)))
    tokenizer, model = load_tokenizer(student)[0], load_model(student, "cpu", "float32")
    require_same_tokens(taught, tokenizer, model)
    (folder / "config.json").write_text("{")
    with pytest.raises(RefusedError, match=r"teacher: can't be loaded from .*/teacher"):
        require_same_tokens(taught, tokenizer, model)
