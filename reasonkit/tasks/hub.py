"""Reads data sets of the Hugging Face hub, from its cache where there is no network."""

from __future__ import annotations

from collections.abc import Mapping

from reasonkit.errors import DataError, OfflineError
from reasonkit.offline import reachable
from reasonkit.tasks.rows import Row, read


def rows(
    dataset: str, splits: Mapping[str, str], wanted: Mapping[str, str]
) -> dict[str, list[Row]]:
    """Split → its rows.

    Args:
        dataset: hub id, and the configuration after a colon.
        splits: the hub's split for each of ours; its own names where empty.

    Raises:
        OfflineError: it isn't in the cache and the hub can't be reached.
        DataError: it can't be read or used.
    """
    import datasets

    name, _, configuration = dataset.partition(":")
    offline = datasets.config.HF_HUB_OFFLINE or not reachable()
    datasets.config.HF_HUB_OFFLINE = offline
    try:
        loaded = datasets.load_dataset(name, configuration or None)
    except Exception as error:
        if offline:
            raise OfflineError(
                f"data set {name!r} is not in the cache and the hub can't be reached: "
                "pass a local .jsonl, .csv or .parquet file to --task instead"
            ) from error
        raise DataError(f"data set {name!r}: {' '.join(str(error).split())}") from error
    names = splits or {s: s for s in ("train", "validation", "test") if s in loaded}
    made = {}
    for ours, theirs in names.items():
        if theirs not in loaded:
            raise DataError(f"data set {name!r} has no split {theirs!r}: it has {list(loaded)}")
        records = ((f"{name} {theirs}: row {n}", row) for n, row in enumerate(loaded[theirs], 1))
        made[ours] = read(records, wanted, name)
    return made
