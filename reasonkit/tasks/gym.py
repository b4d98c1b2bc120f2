"""Draws questions from reasoning-gym (arXiv:2505.24760), an optional extra.

Answers are compared by the ``answer`` reward. Leaves out reasoning-gym's own scorers, which some of
its tasks with many right answers need.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from reasonkit.errors import DataError, RefusedError, UnknownNameError
from reasonkit.tasks.rows import Row

SEED = 20


def rows(name: str, count: int) -> dict[str, list[Row]]:
    """The rows of ``gym:NAME`` or ``gym:NAME:KEY=VALUE,KEY=VALUE``, as one split.

    Keys are those of reasoning-gym's own configuration.

    Raises:
        RefusedError: reasoning-gym isn't installed, or refuses a setting.
        UnknownNameError: it has no such task.
    """
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise RefusedError(
            f"task {name!r} needs reasoning-gym: pip install 'reasonkit[gym]'"
        ) from error
    wanted, _, text = name.removeprefix("gym:").partition(":")
    if wanted not in DATASETS:
        raise UnknownNameError("reasoning-gym task", wanted, DATASETS)
    settings = _settings(name, text, DATASETS[wanted][1])
    try:
        drawn = reasoning_gym.create_dataset(wanted, seed=SEED, size=count, **settings)
    except (AssertionError, ValueError) as error:
        raise RefusedError(f"{name}: reasoning-gym says: {error}") from error
    made = [
        Row(f"{name}: row {number}", str(entry["question"]), str(entry["answer"]))
        for number, entry in enumerate(drawn, 1)
        if entry["answer"] is not None
    ]
    if not made:
        raise DataError(f"{name}: its questions have no single reference answer")
    return {"all": made}


def _settings(name: str, text: str, kind: type) -> dict[str, Any]:
    """What ``KEY=VALUE,KEY=VALUE`` says: numbers, words, true or false."""
    usual = {
        field.name: field.default
        for field in dataclasses.fields(kind)
        if field.name not in ("seed", "size")
        and isinstance(field.default, bool | int | float | str)
    }
    read = {}
    for pair in filter(None, text.split(",")):
        key, _, written = pair.partition("=")
        if key not in usual:
            raise UnknownNameError(f"setting of {name.rpartition(':')[0]}", key, usual)
        try:
            value = json.loads(written)
        except ValueError:
            value = written
        wanted = type(usual[key])
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise RefusedError(f"{name}: {pair}: expected {key}={usual[key]} or the like")
        read[key] = value
    return read
