"""Reads what a run has found: ``python read_a_run.py RUN``."""

import sys

import reasonkit


def main(path: str) -> None:
    """Prints accuracy, what was learned and what was unlearned, and how the reward rose."""
    run = reasonkit.open_run(path)
    print(run)
    print("settings:", run.config["model"], run.config["task"], run.config["reward"])

    answers = run.evaluations()
    table = answers.groupby("evaluation")[["correct", "format", "tokens"]].mean()
    print(table.loc[["before", "after"]].round(3))

    before, after = (
        answers[answers["evaluation"] == name].set_index("id") for name in ("before", "after")
    )
    learned = after[after["correct"] & ~before["correct"]]
    print(f"{len(learned)} answers have become right, for example:")
    for row in learned.head(2).itertuples():
        print(f"  {row.question} {row.text!r}")
    unlearned = after[~after["correct"] & before["correct"]]
    print(f"{len(unlearned)} have become wrong: {list(unlearned['question'][:3])}")

    steps = run.metrics().dropna(subset=["reward"])
    print(steps[["step", "reward", "completion_tokens", "entropy"]].tail(3).to_string(index=False))


if __name__ == "__main__":
    main(sys.argv[1])
