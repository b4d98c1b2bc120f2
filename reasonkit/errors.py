"""The errors that a user can meet, drawn as a tree.

::

    ReasonkitError
    ├── RefusedError      wrong before anything was made: exit code 2
    │   ├── UnknownNameError   a name that no registry holds; nearest ones offered
    │   ├── DataError          a data set that can't be read or used
    │   └── OfflineError       something would have to be downloaded and can't be
    ├── RunError          failed while running, or faults were found: exit code 1
    │   └── NotFiniteError     what a model computes, or its weights, are no numbers any more
    └── StoppedError      stopped by the user: exit code 130

Everything else that is raised is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = 12
"""Names that a line has room for, at most."""


class ReasonkitError(Exception):
    """Base of every error that is shown as one line."""

    exit_code = 1


class RefusedError(ReasonkitError):
    """Refused before anything was made."""

    exit_code = 2


class UnknownNameError(RefusedError):
    """A name that no registry holds.

    Args:
        kind: what the name should have been, e.g. ``"task"``.
        name: what was given.
        known: the names there are.
        hint: what else would have been accepted.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        listed = ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
        offer = f"did you mean {' or '.join(near)}?" if near else f"known: {listed}"
        super().__init__(f"unknown {kind} {name!r}: {offer}{' ' + hint if hint else ''}")


class DataError(RefusedError):
    """A data set that can't be read or used."""


class OfflineError(RefusedError):
    """Something would have to be downloaded and can't be."""


class RunError(ReasonkitError):
    """Failed while running, or faults were found."""


class NotFiniteError(RunError):
    """What a model computes, or its weights, are infinite or no numbers at all."""


class StoppedError(ReasonkitError):
    """Stopped by the user: no error, and how to go on."""

    exit_code = 130
