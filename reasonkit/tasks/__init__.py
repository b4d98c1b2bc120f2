"""The tasks: generated, from the hub, or from a file; every one ends up as three splits.

An official test split stays test and validation is cut from train by a stable hash of the
question. What has no splits of its own is cut 80/8/12 by the same hash. A row that is there twice
counts once, and a question with two reference answers not at all; what is left out is said. Splits
share no question, whatever its case and spacing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from reasonkit import console
from reasonkit.errors import DataError, RefusedError, UnknownNameError
from reasonkit.functions import is_name
from reasonkit.offline import is_id
from reasonkit.tasks import files, functions, generated, gym, hub
from reasonkit.tasks.rows import Row, agree
from reasonkit.tasks.splits import bucket, normal, part_of
from reasonkit.types import Example, Part

TRAIN, VALIDATION, TEST = 4000, 300, 600
"""How many examples are drawn of a generated task, at most."""

PACKAGED_TEST, PACKAGED_VALIDATION = 100, 20
"""How many prompts of a packaged task are held out."""

Weights = tuple[tuple[str, float], ...]
"""Names of rewards, each with its weight."""

FOR_PROGRAMS: Weights = (("code", 1.0), ("format", 0.2))


@dataclass(frozen=True, slots=True)
class Task:
    """An entry of the registry.

    Attributes:
        source: ``generated``, ``packaged``, ``hub``, ``file``, ``function`` or ``gym``.
        rewards: the rewards that check it, with their weights; see `usual_rewards`.
        dataset: hub id, and the configuration after a colon.
        splits: the hub's split for each of ours, where they have other names.
        steps: rollouts that reinforcement learning takes at least, if it isn't told.
        sizes: how many examples there are of a split, where the generator soon runs out of them.
    """

    name: str
    description: str
    source: str
    rewards: Weights = (("answer", 1.0), ("format", 0.2))
    dataset: str = ""
    splits: Mapping[str, str] = field(default_factory=dict)
    steps: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("arithmetic", "expressions of 2 to 8 digits with + - * and brackets", "generated"),
        Task("word-arithmetic", "short problems in plain English", "generated"),
        Task("letter-count", "how often a letter stands in a word", "generated"),
        Task(
            "tiny-code",
            "write a one-argument Python function from a sentence",
            "generated",
            FOR_PROGRAMS,
            steps=150,
        ),
        Task(
            "general",
            "everyday requests to be granted, or declined where they would do harm",
            "generated",
            rewards=(("helpful:abacus-judge", 1.0), ("harmless:abacus-judge", 1.0)),
            sizes={"train": 427, "validation": 109, "test": 155},
        ),
        Task(
            "chat",
            "general prompts to a chat model, without a reference: 100 of them test",
            "packaged",
            rewards=(("readability", 1.0), ("repetition", 1.0)),
        ),
        Task(
            "gsm8k",
            "grade-school word problems (Cobbe et al., 2021)",
            "hub",
            dataset="openai/gsm8k:main",
        ),
        Task(
            "math500",
            "500 competition problems (Lightman et al., 2023); test only",
            "hub",
            dataset="HuggingFaceH4/MATH-500",
        ),
        Task(
            "aime24",
            "the 30 problems of AIME 2024; test only",
            "hub",
            dataset="HuggingFaceH4/aime_2024",
            splits={"test": "train"},
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Splits:
    """The examples of a task; a split that a task doesn't have is empty."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]


def describe(name: str) -> Task:
    """The entry of a name, or one made for a file, a function, a hub data set or ``gym:NAME``.

    Raises:
        UnknownNameError: it is none of them.
        RefusedError: a generated task's settings can't be.
    """
    if name in TASKS:
        return TASKS[name]
    if (plain := name.partition(":")[0]) in TASKS:
        generated.settled(name)
        return replace(TASKS[plain], name=name)
    if name.startswith("gym:"):
        return Task(name, "a task of reasoning-gym", "gym")
    if is_name(name):
        return Task(name, "your own function", "function")
    if Path(name).exists() or Path(name).suffix in files.READERS:
        return Task(name, "your own data", "file")
    if is_id(name):
        return Task(name, "a data set of the hub", "hub", dataset=name)
    hint = "(or a .jsonl/.csv/.parquet file, a folder, FILE.py:NAME, a hub id owner/name, gym:NAME)"
    raise UnknownNameError("task", name, TASKS, hint)


def load(
    name: str,
    *,
    columns: Mapping[str, str] | None = None,
    train: int | None = None,
    validation: int = VALIDATION,
    test: int = TEST,
    tell: bool = False,
) -> Splits:
    """The examples of a task, the same ones whatever the seed of a run.

    Args:
        columns: the data's column for each of `rows.ROLES`; guessed where missing.
        train: at most this many train examples; all there are, or `TRAIN` of a generated task.
        validation: at most this many.
        test: at most this many.
        tell: say what became of the rows of a file or a data set of the hub.

    Raises:
        UnknownNameError: no such task.
        DataError: data that can't be read or used; an empty split.
        OfflineError: it would have to be downloaded and can't be.
    """
    task = describe(name)
    if task.source == "generated":
        sizes = {"train": TRAIN if train is None else train, "validation": validation, "test": test}
        return Splits(
            **{
                split: list(generated.draw(name, split, min(n, task.sizes.get(split, n))))
                for split, n in sizes.items()
            }
        )
    if task.source == "packaged":
        return _packaged(name, validation, test)
    if task.source == "gym":
        rows = gym.rows(name, (train or TRAIN) + validation + test)
    elif task.source == "function":
        rows = functions.rows(name, columns or {})
    elif task.source == "file":
        rows = files.rows(Path(name), columns or {})
    else:
        rows = hub.rows(task.dataset, task.splits, columns or {})
    made = _split(name, rows, train, validation, test)
    if tell and task.source != "gym":
        _tell(name, rows, made)
    return made


def _packaged(name: str, validation: int, test: int) -> Splits:
    """The prompts of a file of ours, one a line: those of test, then validation, then train."""
    lines = (Path(__file__).parent / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    examples = [
        Example(f"{name}/{line}", name, ({"role": "user", "content": line},), "") for line in lines
    ]
    first, second = PACKAGED_TEST, PACKAGED_TEST + PACKAGED_VALIDATION
    parts = examples[second:], examples[first:second][:validation], examples[:first][:test]
    return Splits(*parts)


def half(name: str, splits: Splits, part: Part) -> Splits:
    """The splits with one of two disjoint halves of train, or with all of it.

    Raises:
        DataError: nothing is left of train.
    """
    if part == Part.all:
        return splits
    train = [example for example in splits.train if part_of(example.id) == part]
    if splits.train and not train:
        raise DataError(f"{name}: too few train questions to halve them")
    return replace(splits, train=train)


def usual_rewards(task: Task, splits: Splits) -> Weights:
    """The rewards that check a task: those of its entry, or `FOR_PROGRAMS` where data has tests."""
    asks = any(example.tests for example in (*splits.train, *splits.test))
    return FOR_PROGRAMS if asks else task.rewards


def require_trainable(name: str, splits: Splits) -> None:
    """Refuses a task that has nothing to train on.

    Raises:
        RefusedError: it has only a test split, or no validation split could be cut.
    """
    if not splits.train:
        raise RefusedError(
            f"task {name!r} has only a test split: train on another task and test on this one"
        )
    if not splits.validation:
        raise DataError(f"{name}: too few questions to cut a validation split from")


def _split(
    name: str, rows: Mapping[str, list[Row]], train: int | None, validation: int, test: int
) -> Splits:
    if rows.keys() == {"train"}:
        rows = {"all": rows["train"]}
    held: dict[str, str] = {}
    shared: list[Row] = []
    parts: dict[str, list[Example]] = {"train": [], "validation": [], "test": []}
    # Test first: a question that it shares with train is no question to train on.
    for split in ("test", "validation", "train", "all"):
        for row in _distinct(rows.get(split, ())):
            key = normal(row.question, " ")
            if held.setdefault(key, split) != split:
                shared.append(row)
                continue
            place, part = bucket(key), split
            if split == "all":
                part = "train" if place < 80 else "validation" if place < 88 else "test"
            elif split == "train" and "validation" not in rows and place >= 92:
                part = "validation"
            parts[part].append(row.example(name))
    if shared:
        console.warn_once(
            f"{shared[0].where}: its question belongs to another split too; "
            f"{len(shared)} row(s) of that kind are left out"
        )
    if not parts["test"]:
        raise DataError(f"{name}: the test split is empty")
    if rows.get("train") and not parts["train"]:
        raise DataError(f"{name}: the train split is empty once the questions of test are left out")
    # A capped split is a sample, not the beginning of a file that may be sorted.
    validated, tested = (
        sorted(parts[split], key=lambda e: bucket(e.id)) for split in ("validation", "test")
    )
    spare = [] if "validation" in rows else validated[validation:]
    return Splits((parts["train"] + spare)[:train], validated[:validation], tested[:test])


def _tell(name: str, rows: Mapping[str, list[Row]], made: Splits) -> None:
    """Says what has become of the rows of somebody's data."""
    counts = {f.name: len(getattr(made, f.name)) for f in fields(made)}
    every = [row for part in rows.values() for row in part]
    repeated = len(every) - len({row.question for row in every})
    rest = len(every) - sum(counts.values()) - repeated
    said = f"{name}: {len(every)} rows: {', '.join(f'{n} {part}' for part, n in counts.items())}"
    if repeated:
        said += f"; {repeated} repeated question{'s' * (repeated > 1)} left out"
    if rest:
        said += f"; {rest} more left out or over --validation-size and --test-size"
    if len(rows) == 1:
        said += "; for splits of your own name a folder with train, validation and test.jsonl"
    console.note_once(said)


def _distinct(rows: Sequence[Row]) -> list[Row]:
    """The rows without repetitions, and without questions that have two reference answers."""
    first: dict[str, Row] = {}
    again: list[Row] = []
    disputed: dict[str, Row] = {}
    for row in rows:
        held = first.setdefault(row.question, row)
        if held.tests == row.tests and (bool(row.tests) or agree(held.answer, row.answer)):
            again += [row] if row is not held else []
        else:
            disputed.setdefault(row.question, row)
    if again:
        console.warn_once(
            f"{again[0].where} repeats {first[again[0].question].where}; {len(again)} of "
            f"{len(rows)} rows repeat one before and are left out"
        )
    if disputed:
        question, row = next(iter(disputed.items()))
        console.warn_once(
            f"{row.where} and {first[question].where} ask the same and are checked by other "
            f"answers or tests; {len(disputed)} question(s) of that kind are left out"
        )
    return [row for question, row in first.items() if question not in disputed]
