"""Trains a model on a task and a reward of one's own.

``python own_reward_and_task.py`` takes half a minute on two cores; a number behind it is that of
the steps. What stands in this file can be named on the command line too: so a run that was stopped
goes on with ``reasonkit grpo --run-dir RUN --resume``.
"""

import sys
from collections.abc import Iterator
from typing import Any

import reasonkit


@reasonkit.task
def change() -> Iterator[dict[str, Any]]:
    """What is left of a hundred: a row for each question, with the answer that is right."""
    for price in range(1, 100):
        for _ in range(3):
            yield {"question": f"What is 100 - {price}?", "answer": 100 - price}
        yield {"question": f"What is {price} + {100 - price}?", "answer": 100}


@reasonkit.reward(needs_answer=False)
def brief(completions: list[list[dict[str, str]]], **_: Any) -> list[float]:
    """Less for what is longer than 400 characters, from 0 to -1; written as TRL has rewards."""
    lengths = [len(messages[-1]["content"]) for messages in completions]
    return [-min(1.0, max(0, length - 400) / 400) for length in lengths]


def main(steps: int = 20) -> None:
    """Trains, and says what has come of it."""
    rewards: list[float] = []

    def watch(record: dict[str, Any]) -> None:
        # The first record is the validation before any step.
        if "reward" in record:
            rewards.append(record["reward"])

    result = reasonkit.grpo(
        model="abacus",
        task=change,
        reward={"answer": 1.0, "format": 0.2, brief: 0.1},
        steps=steps,
        validation_size=20,
        baselines=False,
        on_step=watch,
    )
    print(result)
    print(f"reward of the first step {rewards[0]:.2f}, of the last {rewards[-1]:.2f}")
    print(result.chat("What is 100 - 36?"))


# Without this line it would be done again whenever the reward is looked for in this file.
if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
