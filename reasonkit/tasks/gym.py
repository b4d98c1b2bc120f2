"""Draws questions from reasoning-gym (arXiv:2505.24760), an optional extra.

Answers are compared by the ``answer`` reward. Leaves out reasoning-gym's own scorers, which some of
its tasks with many right answers need.
"""

from __future__ import annotations

from reasonkit.errors import DataError, RefusedError, UnknownNameError
from reasonkit.tasks.rows import Row

SEED = 20


def rows(name: str, count: int) -> dict[str, list[Row]]:
    """The rows of ``gym:NAME``, as one split.

    Raises:
        RefusedError: reasoning-gym isn't installed.
        UnknownNameError: it has no such task.
    """
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise RefusedError(
            f"task {name!r} needs reasoning-gym: pip install 'reasonkit[gym]'"
        ) from error
    wanted = name.removeprefix("gym:")
    if wanted not in DATASETS:
        raise UnknownNameError("reasoning-gym task", wanted, DATASETS)
    drawn = reasoning_gym.create_dataset(wanted, seed=SEED, size=count)
    made = [
        Row(f"{name}: row {number}", str(entry["question"]), str(entry["answer"]))
        for number, entry in enumerate(drawn, 1)
        if entry["answer"] is not None
    ]
    if not made:
        raise DataError(f"{name}: its questions have no single reference answer")
    return {"all": made}
