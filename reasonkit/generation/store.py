"""The samples of a run, in an append-only file that survives a ``kill -9``.

``samples.jsonl`` begins with a line on where its samples are from; each further line is one sample.
The lines of a block, all but its last marked ``more``, are written together: an unfinished block
at the end of the file is dropped when it is opened again. A sample that failed has a line too, and
is wished for again when the file is opened again. In memory is where each sample stands; the text
is read when it is looked at, so that memory hardly grows with what is sampled. Leaves out deleting
and replacing.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from reasonkit.errors import DataError, RefusedError, RunError
from reasonkit.files import to_line
from reasonkit.generation.engine import Sampling
from reasonkit.generation.paid import Drawn
from reasonkit.types import Completion, Example


def key_of(example: Example, sampling: Sampling) -> str:
    """Tells the samples of one prompt, sampled in one way, from all others."""
    how = {name: getattr(sampling, name) for name in _HOW}
    described: list[object] = [example.id, example.messages, how]
    # What is called to think is asked in other words too, and was before it was called to.
    described += [False] if example.thinks is False else []
    return hashlib.sha256(_SORTED.encode(described).encode()).hexdigest()[:16]


_HOW = [each.name for each in fields(Sampling)]
_SORTED = json.JSONEncoder(sort_keys=True)


ABSENT = -1


class Line(NamedTuple):
    """Where the line of a sample begins, in bytes, and how many tokens it has; `ABSENT` of them
    where there is none."""

    start: int
    tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class Kept(Sequence[Completion]):
    """Completions that are read each time that they are looked at; pickled, they are a list.

    Attributes:
        read: the line that begins so many bytes after the beginning.
        starts: where the lines of the completions begin.
    """

    read: Callable[[int], bytes]
    starts: Sequence[int]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Kept(self.read, self.starts[place])
        return _completion(json.loads(self.read(self.starts[place])))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __reduce__(self) -> tuple[type, tuple[list[Completion]]]:
        return list, (list(self),)


@dataclass(slots=True)
class Content:
    """What the file of a store holds.

    Attributes:
        origin: where its samples are from; None where its first line isn't whole.
        held: where the samples under each key are, by their number.
        failures: why there is none, by key and number.
        size: bytes of the whole blocks, the first line included.
    """

    origin: Mapping[str, object] | None = None
    held: dict[str, dict[int, Line]] = field(default_factory=dict)
    failures: dict[tuple[str, int], str] = field(default_factory=dict)
    size: int = 0


def read(path: Path) -> Content:
    """The whole blocks of a store's file, which is left as it is.

    Raises:
        DataError: it is broken, elsewhere than at its end.
    """
    content = Content()
    size = 0
    block: list[tuple[str, int, int, Completion]] = []
    for number, line in enumerate(_lines(path), 1):
        if not line.endswith(b"\n"):
            break
        start, size = size, size + len(line)
        try:
            record = json.loads(line)
            if number == 1:
                content.origin, content.size = dict(record["origin"]), size
                continue
            block.append((record["key"], record["place"], start, _completion(record)))
        except (ValueError, TypeError, LookupError) as error:
            raise DataError(
                f"{path}:{number}: no sample of ours: take the line out, or pass another --run-dir"
            ) from error
        if not record.get("more"):
            for key, place, start, completion in block:
                if completion.finish_reason == "failed":
                    content.failures[key, place] = completion.failure
                else:
                    content.held.setdefault(key, {})[place] = Line(start, completion.tokens)
                    content.failures.pop((key, place), None)
            block, content.size = [], size
    return content


def line_at(path: Path, start: int) -> bytes:
    """The line of a file that begins so many bytes after its beginning."""
    with path.open("rb") as file:
        file.seek(start)
        return file.readline()


def _lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            yield from file


def count_failures(path: Path) -> dict[str, int]:
    """How many samples of a store's file there are none of, by kind of failure, most first.

    Raises:
        DataError: as of `read`.
    """
    kinds = Counter(why.partition(":")[0] for why in read(path).failures.values())
    return dict(kinds.most_common())


class Store:
    """The samples of a run; written by one process, from any of its threads.

    Args:
        path: made where there is none; None keeps the samples in memory alone.
        origin: plain values that settle what is sampled: the model and where it runs. Another
            prompt or way of sampling is told apart anyway.
        leads: whether this process writes the file; where another does, it is read once, and what
            is added is kept in memory.

    Raises:
        RefusedError: the file is of another origin.
        DataError: it is broken, elsewhere than at its end.
        RunError: it can't be written.
    """

    def __init__(self, path: Path | None, origin: Mapping[str, object], leads: bool = True) -> None:
        self.path, self._leads = path, leads
        self._lock = threading.Lock()
        self._failed: dict[str, int] = {}
        self._size, self._memory = 0, bytearray()
        if path is None:
            self._held: dict[str, dict[int, Line]] = {}
            return
        header: dict[str, Any] = {"origin": json.loads(json.dumps(dict(origin)))}
        content = read(path)
        there = header["origin"] if content.origin is None else content.origin
        for name in {**there, **header["origin"]}:
            held, asked = there.get(name), header["origin"].get(name)
            if held != asked:
                raise RefusedError(
                    f"{path} holds samples of {name} {held!r}, not {asked!r}: "
                    "pass another --run-dir"
                )
        self._held, self._size = content.held, content.size
        if leads and path.exists():
            os.truncate(path, self._size)
        if not self._size:
            self._append(to_line(header))

    def held(self, key: str) -> Mapping[int, Line]:
        """Where the samples under a key are, by their number."""
        return self._held.get(key, {})

    def completions(self, key: str, numbers: Iterable[int]) -> Kept:
        """Samples under a key, all of which are there."""
        held = self.held(key)
        return Kept(self._line, [held[number].start for number in numbers])

    def given(self, key: str, n: int) -> Kept:
        """Those of the first ``n`` samples under a key that didn't fail."""
        held = self.held(key)
        return self.completions(key, [i for i in range(n) if held[i].tokens != ABSENT])

    def tokens_from(self, first: Callable[[int], int]) -> int:
        """Of the samples that are there, but for the ``first`` of so many under a key."""
        return sum(
            max(0, line.tokens)
            for held in self._held.values()
            for number, line in held.items()
            if number >= first(len(held))
        )

    @property
    def failed(self) -> Mapping[str, int]:
        """How many samples failed under each key since the file was opened; only where some did."""
        return self._failed

    @property
    def failed_share(self) -> float:
        """The share of the samples under a key that failed, in the mean over all keys."""
        shares = [count / len(self._held[key]) for key, count in self._failed.items()]
        return sum(shares) / max(1, len(self._held))

    def add(self, block: Sequence[Drawn], sampling: Sampling) -> None:
        """Writes a block, whole or not at all; samples whose place is taken are left out.

        Raises:
            RunError: it can't be written.
        """
        with self._lock:
            keyed = [(key_of(drawn.example, sampling), drawn) for drawn in block]
            new = [(key, drawn) for key, drawn in keyed if drawn.place not in self.held(key)]
            records = [_record(key, drawn) for key, drawn in new]
            for record in records[:-1]:
                record["more"] = True
            lines = [to_line(record) for record in records]
            starts = accumulate(map(len, lines), initial=self._size + len(self._memory))
            self._append(b"".join(lines))
            for (key, drawn), start in zip(new, starts, strict=False):
                failed = drawn.completion.finish_reason == "failed"
                tokens = ABSENT if failed else drawn.completion.tokens
                self._held.setdefault(key, {})[drawn.place] = Line(start, tokens)
                if failed:
                    self._failed[key] = self._failed.get(key, 0) + 1

    def beside(self, name: str, origin: Mapping[str, object]) -> Store:
        """Another store, in the same folder; in memory where this is."""
        return Store(self.path and self.path.with_name(name), origin)

    def _line(self, start: int) -> bytes:
        if self.path is not None and start < self._size:
            return line_at(self.path, start)
        start -= self._size
        return bytes(self._memory[start : self._memory.index(b"\n", start)])

    def _append(self, content: bytes) -> None:
        if self.path is None or not self._leads:
            self._memory += content
            return
        try:
            with self.path.open("ab") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                os.truncate(self.path, self._size)
            raise RunError(
                f"{self.path} can't be written ({error.strerror}): what it holds is kept"
            ) from error
        self._size += len(content)


def _record(key: str, drawn: Drawn) -> dict[str, Any]:
    completion = drawn.completion
    extra = {
        "token_ids": completion.token_ids,
        "failure": completion.failure,
        "confidences": completion.confidences,
        "certainty": completion.certainty,
    }
    return {
        "id": drawn.example.id,
        "key": key,
        "place": drawn.place,
        "text": completion.text,
        "tokens": completion.tokens,
        "finish": completion.finish_reason,
        "logprob": completion.mean_logprob,
        **{name: value for name, value in extra.items() if value not in ((), "", None)},
    }


def _completion(record: Mapping[str, Any]) -> Completion:
    ids = tuple(record.get("token_ids", ()))
    count = None if ids else int(record["tokens"])
    told = record["text"], ids, record["finish"], record["logprob"], count
    return Completion(
        *told,
        record.get("failure", ""),
        confidences=tuple(record.get("confidences", ())),
        certainty=record.get("certainty"),
    )
