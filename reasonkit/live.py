"""Training as it happens: a live view in a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reasonkit import console
from reasonkit.answers.reading import TAGS, pieces
from reasonkit.types import Scored

Record = Mapping[str, Any]
"""A line of ``metrics.jsonl``."""

PLAIN_EVERY = 10
"""Steps between two plain lines; each validation has one too."""

SPARK_WIDTH = 24
_BLOCKS = "▁▂▃▄▅▆▇█"
_TAG = re.compile(f"({'|'.join(TAGS)})")
_STYLES = {"think": "cyan", "answer": "bold", "plain": ""}

MEASURES = {
    "completion_tokens": ("tokens", ".0f"),
    "thinks": ("thinks", ".0%"),
    "truncated": ("cut off", ".0%"),
    "zero_spread": ("no spread", ".0%"),
    "clipped": ("clipped", ".0%"),
    "token_accuracy": ("token accuracy", ".0%"),
    "entropy": ("entropy", ".3f"),
    "kl": ("KL", ".3f"),
    "grad_norm": ("gradient norm", ".3f"),
    "loss": ("loss", ".3f"),
}
"""Field of a record → its words and its format; what isn't there is left out."""


class Training:
    """Shows the records of a training run as they come.

    Args:
        title: what is trained on what.
        steps: of the whole run, in its unit.
        unit: what a run is counted in: the record's ``step`` or ``epoch``.
    """

    def __init__(self, title: str, steps: int, unit: str = "step") -> None:
        self.title = title
        self.steps = steps
        self.unit = unit
        self._records: list[Record] = []
        self._shown: Scored | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if console.err.is_terminal:
            self._live = Live(self.view(), console=console.err, transient=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, record: Record, completions: Sequence[Scored] = ()) -> None:
        """Takes in a logged record and the completions it is about."""
        # A rollback brings the run to an earlier step.
        self._records = [r for r in self._records if r["step"] < record["step"]] + [record]
        if completions:
            self._shown = completions[int(record["step"]) % len(completions)]
        if self._live is not None:
            self._live.update(self.view(), refresh=True)
        elif "validation" in record or (self.unit == "step" and record["step"] % PLAIN_EVERY == 0):
            console.note(self.line(record))

    def line(self, record: Record) -> str:
        """A record in one plain line."""
        parts = [f"{self.unit} {record[self.unit]:.4g}/{self.steps}"]
        if "reward" in record:
            parts += [
                f"reward {record['reward']:.2f}",
                f"tokens {record['completion_tokens']:.0f}",
                f"thinks {record['thinks']:.0%}",
                f"no spread {record['zero_spread']:.0%}",
                f"entropy {record['entropy']:.2f}",
            ]
        elif "loss" in record:
            rate = f"trained {trained_rate(record):,.0f} tokens/s"
            parts += [f"loss {record['loss']:.3f}", rate]
        if "validation" in record:
            parts.append(f"validation {_validation(record)}")
        return "  ".join([*parts, f"{record['seconds']:.0f} s"])

    def view(self) -> RenderableType:
        """All that is known by now."""
        shown = [_completion(self._shown)] if self._shown is not None else []
        return Group(self._head(), self._measures(), *shown)

    def _head(self) -> RenderableType:
        done = self._records[-1][self.unit] if self._records else 0
        cells: list[RenderableType] = [
            Text(self.title, style="bold"),
            ProgressBar(total=self.steps, completed=done, width=24),
            Text(f"{self.unit} {done:.4g}/{self.steps}"),
        ]
        if done:
            seconds = self._records[-1]["seconds"]
            left = seconds / done * (self.steps - done)
            cells.append(Text(f"{_clock(seconds)}, about {_clock(left)} left", style="dim"))
        row = Table.grid(padding=(0, 2))
        row.add_row(*cells)
        return row

    def _measures(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", min_width=13)
        table.add_column(justify="right", min_width=20)
        table.add_column(style="blue", no_wrap=True)
        validated = [record for record in self._records if "validation" in record]
        if validated:
            course = sparkline([record["validation"] for record in validated])
            table.add_row("validation", _validation(validated[-1]), course)
        steps = [record for record in self._records if "grad_norm" in record]
        if not steps:
            return table
        last = steps[-1]
        rewards = {n: (n.replace("/", " "), ".2f") for n in last if n.partition("/")[0] == "reward"}
        for name, (words, form) in (rewards | MEASURES).items():
            if name in last and (name != "loss" or not rewards):
                table.add_row(words, format(last[name], form), sparkline([r[name] for r in steps]))
        if last["rollout_seconds"]:
            sampled = last["tokens_sampled"] / last["rollout_seconds"]
            table.add_row("sampled", f"{sampled:,.0f} tokens/s")
        if not rewards:
            table.add_row("trained", f"{trained_rate(last):,.0f} tokens/s")
        time = ", ".join(f"{share:.0%} {part}" for part, share in spent(last))
        return Group(table, Text.assemble(("time           ", "dim"), time))


def trained_rate(record: Record) -> float:
    """Tokens trained a second of updates."""
    updates = dict(spent(record))["updates"] * record["seconds"]
    return float(record["tokens_trained"] / updates) if updates else 0.0


def spent(record: Record) -> list[tuple[str, float]]:
    """Where the time of a run went by then, in shares of the whole."""
    names = {"rollouts": "rollout", "rewards": "reward", "validation": "validation"}
    parts = {part: record[f"{name}_seconds"] for part, name in names.items()}
    parts["updates"] = max(0.0, record["seconds"] - sum(parts.values()))
    return [(part, seconds / record["seconds"]) for part, seconds in parts.items()]


def sparkline(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """The newest values as blocks, from the lowest to the highest of them."""
    values = values[-width:]
    low, high = min(values), max(values)
    step = (len(_BLOCKS) - 1) / (high - low) if high > low else 0
    return "".join(_BLOCKS[round((value - low) * step)] for value in values)


def coloured(text: str, right: bool | None) -> Text:
    """A completion with its thinking and its answer told apart, the answer by its reward."""
    shown = Text()
    for kind, piece in pieces(text):
        style = _STYLES[kind]
        if kind == "answer" and right is not None:
            style += " green" if right else " red"
        for part in _TAG.split(piece):
            shown.append(part, style="dim" if part in TAGS else style)
    return shown


def _completion(scored: Scored) -> RenderableType:
    rewards = ", ".join(
        f"{name} {'–' if value is None else format(value, 'g')}"
        for name, value in scored.rewards.items()
    )
    return Panel(
        coloured(scored.text, scored.right),
        title=Text(scored.question.splitlines()[-1][:70]),
        title_align="left",
        subtitle=Text(rewards),
        subtitle_align="right",
        border_style="dim",
        height=6,
    )


def _validation(record: Record) -> str:
    low, high = record["validation_low"], record["validation_high"]
    return f"{record['validation']:.1%} ({low * 100:.1f}–{high * 100:.1f})"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
