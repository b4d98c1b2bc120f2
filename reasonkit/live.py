"""Training as it happens: a live view in a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
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

SHARES = {
    "thinks": "thinks",
    "truncated": "cut off",
    "zero_spread": "no spread",
    "clipped": "clipped",
    "token_accuracy": "token accuracy",
}
NUMBERS = {"entropy": "entropy", "kl": "KL", "grad_norm": "gradient norm"}


class Training:
    """Shows the records of a training run as they come.

    Args:
        title: what is trained on what.
        steps: of the whole run, in its unit.
        target: where to draw; stderr unless given.
        unit: what a run is counted in: the record's ``step`` or ``epoch``.
    """

    def __init__(
        self, title: str, steps: int, target: Console | None = None, unit: str = "step"
    ) -> None:
        self.title = title
        self.steps = steps
        self.unit = unit
        self.console = target or console.err
        self._records: list[Record] = []
        self._shown: Scored | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(self.view(), console=self.console, transient=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
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
            parts += [
                f"loss {record['loss']:.3f}",
                f"trained {trained_rate(record):,.0f} tokens/s",
            ]
        if "validation" in record:
            parts.append(f"validation {_validation(record)}")
        return "  ".join([*parts, f"{record['seconds']:.0f} s"])

    def view(self) -> RenderableType:
        """All that is known by now."""
        parts: list[RenderableType] = [self._head(), self._measures()]
        if self._shown is not None:
            parts.append(_completion(self._shown))
        return Group(*parts)

    def _head(self) -> RenderableType:
        done = self._records[-1][self.unit] if self._records else 0
        row = Table.grid(padding=(0, 2))
        cells: list[RenderableType] = [
            Text(self.title, style="bold"),
            ProgressBar(total=self.steps, completed=done, width=24),
            Text(f"{self.unit} {done:.4g}/{self.steps}"),
        ]
        if done:
            seconds = self._records[-1]["seconds"]
            left = seconds / done * (self.steps - done)
            cells.append(Text(f"{_clock(seconds)}, about {_clock(left)} left", style="dim"))
        row.add_row(*cells)
        return row

    def _measures(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", min_width=13)
        table.add_column(justify="right", min_width=20)
        table.add_column(style="blue", no_wrap=True)
        steps = [record for record in self._records if "grad_norm" in record]
        validated = [record for record in self._records if "validation" in record]
        if validated:
            table.add_row(
                "validation",
                _validation(validated[-1]),
                sparkline([record["validation"] for record in validated]),
            )
        if not steps:
            return table
        last = steps[-1]
        rewards = [name for name in last if name.startswith("reward/")]
        rows = {name: (name.replace("/", " "), "{:.2f}") for name in ["reward", *rewards]}
        rows["completion_tokens"] = ("tokens", "{:.0f}")
        rows |= {name: (words, "{:.0%}") for name, words in SHARES.items()}
        rows |= {name: (words, "{:.3f}") for name, words in NUMBERS.items()}
        if "reward" not in last:
            rows["loss"] = ("loss", "{:.3f}")
        for name, (words, form) in rows.items():
            if name in last:
                table.add_row(words, form.format(last[name]), sparkline([r[name] for r in steps]))
        if last["rollout_seconds"]:
            sampled = last["tokens_sampled"] / last["rollout_seconds"]
            table.add_row("sampled", f"{sampled:,.0f} tokens/s")
        if "reward" not in last:
            table.add_row("trained", f"{trained_rate(last):,.0f} tokens/s")
        time = ", ".join(f"{share:.0%} {part}" for part, share in spent(last))
        return Group(table, Text.assemble(("time           ", "dim"), time))


def trained_rate(record: Record) -> float:
    """Tokens trained a second of updates."""
    updates = dict(spent(record))["updates"] * record["seconds"]
    return float(record["tokens_trained"] / updates) if updates else 0.0


def spent(record: Record) -> list[tuple[str, float]]:
    """Where the time of a run went by then, in shares of the whole."""
    parts = {
        part: record[f"{name}_seconds"]
        for part, name in (
            ("rollouts", "rollout"),
            ("rewards", "reward"),
            ("validation", "validation"),
        )
    }
    parts["updates"] = max(0.0, record["seconds"] - sum(parts.values()))
    return [(part, seconds / record["seconds"]) for part, seconds in parts.items()]


def sparkline(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """The newest values as blocks, from the lowest to the highest of them."""
    values = values[-width:]
    low, high = min(values), max(values)
    steps = len(_BLOCKS) - 1
    return "".join(
        _BLOCKS[round((v - low) / (high - low) * steps) if high > low else 0] for v in values
    )


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
