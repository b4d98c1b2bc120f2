"""A run as Python code sees it: what it has found, as numbers and tables, and its model to ask."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonkit import runs
from reasonkit.errors import RefusedError

if TYPE_CHECKING:
    import pandas as pd

    from reasonkit.chatting import Chat


class Result(os.PathLike[str]):
    """A run. Wherever a model or a path is asked for, it stands for its directory.

    Attributes:
        path: of the run directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._chat: Chat | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        run = runs.Run(self.path)
        told = "{command} of {model} on {task}".format(**run.names)
        if run.status != "finished":
            return f"<{told}: {run.status}, in {self.path}>"
        found = [self.summary[key] for key in ("before", "after") if key in self.summary]
        rates = " → ".join(f"{one['accuracy']:.1%}" for one in found)
        return f"<{told}{': ' * bool(rates)}{rates}, in {self.path}>"

    @property
    def summary(self) -> dict[str, Any]:
        """What ``summary.json`` says: accuracy before and after with intervals, costs, and more.

        Raises:
            RefusedError: the run isn't finished.
        """
        try:
            return runs.Run(self.path).summary()
        except FileNotFoundError:
            raise RefusedError(f"{self.path} isn't finished: it has no summary yet") from None

    @property
    def config(self) -> dict[str, Any]:
        """Its settings, fully resolved."""
        return runs.Run(self.path).config

    @property
    def stages(self) -> dict[str, Result]:
        """The runs that it is made of, by name; empty but for ``sft-rl``."""
        made = sorted(runs.Run(self.path).stages.glob("*/run.json"))
        return {path.parent.name: Result(path.parent) for path in made}

    @property
    def report(self) -> Path:
        """Its page, for a browser."""
        return self.path / "report.html"

    def metrics(self) -> pd.DataFrame:
        """A row for each logged step."""
        return _frame(list(runs.Run(self.path).metrics()))

    def evaluations(self) -> pd.DataFrame:
        """A row for each answer that was judged, with the ``evaluation`` it was judged in.

        ``before`` and ``after`` are those on test; ``correct`` is what accuracy is the mean of.
        """
        rows = []
        for path in sorted(runs.Run(self.path).evaluations.glob("*.json")):
            held = json.loads(path.read_text(encoding="utf-8"))
            rows += [{"evaluation": path.stem, **one} for one in held.get("verdicts", [])]
        return _frame(rows)

    def chat(self, question: str) -> str:
        """The answer of the run's model to a question, greedily; of a vote the model voted with.

        The model is loaded by the first call and kept as long as this result is.

        Raises:
            RefusedError: the run has made no model that answers.
        """
        self._chat = self._chat or self._open()
        return "".join(self._chat.answer(question))

    def _open(self) -> Chat:
        from reasonkit import answering, chatting
        from reasonkit.config import VoteConfig, from_mapping

        made, command = self.config, runs.Run(self.path).record["command"]
        if command != "verifier" and (self.path / "final").exists():
            made["model"] = str(self.path)
        elif command != "vote" or made["completions"] or made["endpoint"]:
            raise RefusedError(f"{self.path} has no model that answers: {command} has made none")
        names = ("model", *answering.AS_ASKED, "device", "dtype")
        kept = {name: made[name] for name in names}
        opened = chatting.open_chat(from_mapping(VoteConfig, kept, str(self.path)), None, 0.0)
        opened.remembers = False
        return opened


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError:
        raise RefusedError("a table needs pandas: pip install pandas") from None
    return pd.DataFrame(rows)
