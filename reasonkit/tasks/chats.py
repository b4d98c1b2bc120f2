"""General chats to learn from: everyday favours of the train split, answered well.

They are of the half of that split that reinforcement learning doesn't use. What should be declined
is not among them: that is left to preference.
"""

from __future__ import annotations

import random

from reasonkit.errors import DataError
from reasonkit.tasks import general
from reasonkit.tasks.generated import PATIENCE
from reasonkit.tasks.rows import part_of
from reasonkit.tasks.splits import split_of
from reasonkit.types import Message, Part


def draw(count: int) -> list[list[Message]]:
    """So many distinct chats, a request and its answer each; more of them begin with the same ones.

    Raises:
        DataError: there are not so many.
    """
    rng = random.Random("chats")
    found: dict[str, str] = {}
    for _ in range(PATIENCE):
        request = general.draw(rng)
        ours = split_of(request.text) == "train" and request.kind == "helpful"
        if ours and part_of(f"general/{request.text}") == Part.sft:
            found.setdefault(request.text, request.good)
        if len(found) == count:
            return [
                [{"role": "user", "content": text}, {"role": "assistant", "content": good}]
                for text, good in found.items()
            ]
    raise DataError(f"general: there are {len(found)} chats to learn from, not {count}")
