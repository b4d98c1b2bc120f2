"""Training as it happens: a live view in a terminal or notebook, plain lines elsewhere, on stderr.

What it is in the midst of is told by `console.doing`, which whoever does it calls.
"""

from __future__ import annotations

import io
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from statistics import fmean
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
"""Steps between two plain lines; each validation has one too, and a step whose next would come
only after `console.SILENCE`."""

FORESEEN = 3
"""Steps after which it is told how long the rest takes; of the newest ones up to `RECENT` count."""

RECENT = 10
CLOSING = 3.0
"""Seconds that saving a model and drawing the page take."""

SPARK_WIDTH = 24
_BLOCKS = "▁▂▃▄▅▆▇█"
_TAG = re.compile(f"({'|'.join(TAGS)})")
_STYLES = {"think": "cyan", "answer": "bold", "plain": ""}

MEASURES = {
    "completion_tokens": ("tokens", ".0f", 0),
    "thinks": ("thinks", ".0%", 0),
    "truncated": ("cut off", ".0%", -1),
    "zero_spread": ("equal rewards", ".0%", -1),
    "clipped": ("clipped", ".0%", 0),
    "token_accuracy": ("token accuracy", ".0%", 1),
    "entropy": ("entropy", ".3f", 0),
    "kl": ("KL", ".3f", 0),
    "grad_norm": ("gradient norm", ".3f", 0),
    "loss": ("loss", ".3f", -1),
}
"""Field of a record → its words, its format and where it is good that it goes: up, down, or
neither; what isn't there, or was 0 all along, is left out."""


class Training:
    """Shows the records of a training run as they come.

    Args:
        title: what is trained on what.
        steps: of the whole run, in its unit.
        unit: what a run is counted in: the record's ``step`` or ``epoch``.
        every: units between validations, and one at the end; 0 for none.
        ending: seconds of what is measured once training has ended, by the untrained model.
    """

    def __init__(
        self, title: str, steps: int, unit: str = "step", every: int = 1, ending: float = 0.0
    ) -> None:
        self.title = title
        self.steps = steps
        self.unit = unit
        self.every = every
        self.ending = ending
        self._stack = ExitStack()
        self._told = self._lined = time.monotonic()
        self._records: list[Record] = []
        self._shown: Scored | None = None
        self._live: Live | Display | None = None

    def __enter__(self) -> Self:
        if console.err.is_terminal:
            self._stack.enter_context(console.viewed())
            self._live = Live(
                get_renderable=self.view,
                console=console.err,
                transient=True,
                refresh_per_second=2,
            )
            self._stack.enter_context(self._live)
        elif console.IN_NOTEBOOK:
            self._stack.enter_context(console.viewed(drawn=True))
            self._live = Display(self.view)
        self._stack.enter_context(console.doing("update"))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def update(self, record: Record, completions: Sequence[Scored] = ()) -> None:
        """Takes in a logged record and the completions it is about."""
        # A rollback brings the run to an earlier step.
        self._records = [r for r in self._records if r["step"] < record["step"]] + [record]
        now = time.monotonic()
        took, self._told = now - self._told, now
        if completions:
            self._shown = completions[int(record["step"]) % len(completions)]
        if self._live is not None:
            self._live.refresh()
        elif (
            "validation" in record
            or (self.unit == "step" and record["step"] % PLAIN_EVERY == 0)
            or now - self._lined + took >= console.SILENCE
        ):
            console.note(self.line(record))
            self._lined = now

    def line(self, record: Record) -> str:
        """A record in one plain line."""
        parts = [f"{self.unit} {record[self.unit]:.4g}/{self.steps}"]
        if "reward" in record:
            parts += [
                f"reward {record['reward']:.2f}",
                f"tokens {record['completion_tokens']:.0f}",
                f"thinks {record['thinks']:.0%}",
                f"equal rewards {record['zero_spread']:.0%}",
                f"entropy {record['entropy']:.2f}",
            ]
        elif "loss" in record:
            rate = f"trained {trained_rate(record):,.0f} tokens/s"
            parts += [f"loss {record['loss']:.3f}", rate]
        if "validation" in record:
            parts.append(f"validation {_validation(record)}")
        left = self.left()
        if left is not None:
            parts.append(f"about {console.clock(left)} left")
        return "  ".join([*parts, f"{record['seconds']:.0f} s"])

    def left(self) -> float | None:
        """Seconds until the run is done, what is measured at its end included.

        Steps are taken to go on as the newest ones did, validations as the newest one; what is
        measured at the end takes longer by as much as completions of a validation have grown.
        None where too little is known.
        """
        known = [r for r in self._records if "grad_norm" in r]
        if len(known) < FORESEEN or not (done := known[-1][self.unit]):
            return None
        first, last = known[-RECENT:][0], known[-1]
        pure = [r["seconds"] - r["validation_seconds"] for r in (first, last)]
        left = (pure[1] - pure[0]) / (done - first[self.unit]) * (self.steps - done)
        looks = [r for r in self._records if "validation" in r]
        grown = 1.0
        if looks:
            before = [r for r in self._records if r["step"] < looks[-1]["step"]]
            spent = before[-1]["validation_seconds"] if before else 0.0
            ahead = math.ceil(self.steps / self.every) - math.floor(done / self.every)
            left += ahead * (looks[-1]["validation_seconds"] - spent)
            grown = looks[-1]["validation_tokens"] / max(looks[0]["validation_tokens"], 1.0)
        since = time.monotonic() - self._told
        left += self.ending * max(grown, 1.0) + CLOSING - since
        return float(max(0.0, left))

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
        left = self.left()
        if left is not None:
            cells.append(Text(f"about {console.clock(left)} left", style="dim"))
        row = Table.grid(padding=(0, 2))
        row.add_row(*cells)
        return Group(row, Text.assemble(("now            ", "dim"), (console.now(), "yellow")))

    def _measures(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", min_width=13)
        table.add_column(justify="right", min_width=20)
        table.add_column(no_wrap=True)
        validated = [record for record in self._records if "validation" in record]
        if validated:
            course = _course([record["validation"] for record in validated], 1)
            table.add_row("validation", _validation(validated[-1]), course)
        steps = [record for record in self._records if "grad_norm" in record]
        if not steps:
            return table
        last = steps[-1]
        paid = [name for name in last if name.partition("/")[0] == "reward"]
        rewards = {name: (name.replace("/", " "), ".2f", 1) for name in paid}
        for name, (words, form, good) in (rewards | MEASURES).items():
            if any(r.get(name) for r in steps) and name in last and (name != "loss" or not rewards):
                course = _course([r[name] for r in steps], good)
                table.add_row(words, format(last[name], form), course)
        if last["rollout_seconds"]:
            sampled = last["tokens_sampled"] / last["rollout_seconds"]
            table.add_row("sampled", f"{sampled:,.0f} tokens/s")
        if not rewards:
            table.add_row("trained", f"{trained_rate(last):,.0f} tokens/s")
        time = ", ".join(f"{share:.0%} {part}" for part, share in spent(last))
        return Group(table, Text.assemble(("time           ", "dim"), time))


class Display:
    """A view in a notebook: one output below its cell, drawn anew."""

    def __init__(self, view: Callable[[], RenderableType]) -> None:
        from IPython.display import display  # type: ignore[import-not-found]

        self._view = view
        self._shown = display(self._drawn(), display_id=True)

    def refresh(self) -> None:
        """Draws it as it is now."""
        self._shown.update(self._drawn())

    def _drawn(self) -> Any:
        from IPython.display import HTML  # type: ignore[import-not-found]

        target = Console(file=io.StringIO(), record=True, width=100, force_jupyter=False)
        target.print(self._view())
        drawn = '<pre style="line-height: 1.2">{code}</pre>'
        return HTML(target.export_html(code_format=drawn, inline_styles=True))


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


def _course(values: Sequence[float], good: int) -> Text:
    """A sparkline, and an arrow where it goes; green if that is good, red if it isn't.

    Args:
        good: 1 where up is good, -1 where down is, 0 where neither.
    """
    quarter = max(1, len(values) // 4)
    change = fmean(values[-quarter:]) - fmean(values[:quarter])
    arrow = "▲" if change > 0 else "▼" if change < 0 else " "
    style = "blue" if not good * change else "green" if good * change > 0 else "red"
    return Text(f"{sparkline(values)} {arrow}", style=style)


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
