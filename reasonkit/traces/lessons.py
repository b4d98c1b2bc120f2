"""What a student is taught: traces, sampled or given, filtered, as the tokens that are trained on.

Leaves out training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reasonkit import console, processes
from reasonkit.config import Config, DistillConfig
from reasonkit.errors import DataError, RunError
from reasonkit.generation.engine import drawn_by
from reasonkit.models.chat import end_of_turn
from reasonkit.models.loading import load_tokenizer
from reasonkit.plan import Plan
from reasonkit.prompts import led_by
from reasonkit.report import results
from reasonkit.runs import Run
from reasonkit.tasks import recorded
from reasonkit.traces import sampling
from reasonkit.traces.filters import OVERLONG, Sifted, sift
from reasonkit.traces.teacher import Teacher
from reasonkit.types import Example, Group, Trace

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from reasonkit.training.encoding import Row


@dataclass(frozen=True, slots=True)
class Lessons:
    """What the student learns, and what it cost.

    Attributes:
        rows: the traces that are left, as they are learned.
        sifted: the same traces, and what each filter took.
        tokens: that were sampled; 0 where the traces were there already.
        seconds: of the sampling.
    """

    rows: list[Row]
    sifted: Sifted
    tokens: int
    seconds: float


def gather(
    run: Run,
    plan: Plan[DistillConfig],
    tokenizer: PreTrainedTokenizerBase,
    source: Teacher | Sequence[Group],
) -> Lessons:
    """Samples a teacher, or takes what is given, and sifts it; shows and records what was lost.

    Args:
        tokenizer: the student's.

    Raises:
        RunError: no trace survives the filters, and which took them.
    """
    config = plan.config
    tokens, seconds = 0, 0.0
    if isinstance(source, Teacher):
        examples = plan.splits.train[: config.questions]
        asked = source.ask(examples, config.wording)
        engine = sampling.pool(run, source.engine(config), source.origin(config))
        groups, seconds = sampling.sample(
            run, engine, examples, asked, config.samples, drawn_by(config)
        )
        tokens = sum(c.tokens for group in groups for c in group.completions)
    else:
        groups = list(source)
    # Rewards that ask a server are paid for.
    sifted = processes.from_main(lambda: sift(plan, groups))
    rows, sifted = fitting(sifted, plan, tokenizer)
    lost = results.filters(sifted.rows())
    console.err.print(console.table(lost.title, lost.heads, lost.rows))
    run.update(filters=sifted.rows())
    if not rows:
        raise RunError(sifted.complaint)
    if config.general is not None:
        chats = general(config.general, plan, tokenizer)
        console.note(f"{len(chats)} general chats are learned beside {len(rows)} traces")
        rows += chats
    sampling.write_kept(run, sifted.traces)
    return Lessons(rows, sifted, tokens, seconds)


def given(path: Path, plan: Plan[Config], found: Teacher | None) -> list[Group]:
    """The traces of a file or of an earlier run."""
    if path.is_dir():
        return sampling.of_run(path)
    splits = plan.splits
    ends = [end_of_turn(load_tokenizer(plan.model)[0])]
    if found is not None and found.model is not None:
        ends.append(end_of_turn(found.tokenizer()))
    return recorded.read(path, (*splits.train, *splits.validation, *splits.test), ends)


def general(path: str, plan: Plan[DistillConfig], tokenizer: PreTrainedTokenizerBase) -> list[Row]:
    """The chats of a file as the student learns them: as they are, but for a system prompt.

    Raises:
        DataError: the file can't be read, or one of its chats can't be learned whole.
    """
    groups = recorded.read(Path(path), (), [end_of_turn(tokenizer)])
    chats = [Trace(group, i) for group in groups for i in range(len(group.completions))]
    rows = []
    for chat, row in zip(chats, _encoded(chats, plan, tokenizer), strict=True):
        if row is None or not _fits(row, plan):
            raise DataError(
                f"{path}: the student can't write this answer, or not within {plan.longest} tokens "
                f"after {plan.config.max_prompt_tokens} of the prompt: "
                f"{chat.completion.text[:80]!r}"
            )
        rows.append(row)
    return rows


def fitting(
    sifted: Sifted, plan: Plan[DistillConfig], tokenizer: PreTrainedTokenizerBase
) -> tuple[list[Row], Sifted]:
    """The traces as the student is trained on them; those that don't fit are dropped and counted.

    Returns:
        The rows, and what was sifted with the losses of this step.
    """
    if not sifted.traces:
        return [], sifted
    encoded = _encoded(sifted.traces, plan, tokenizer)
    written = [(trace, row) for trace, row in zip(sifted.traces, encoded, strict=True) if row]
    kept = [(trace, row) for trace, row in written if _fits(row, plan)]
    sifted = sifted.without(
        "unwritable",
        "a character that the student's tokenizer lacks, or no thought where its prompt opens one",
        [trace for trace, _ in written],
    ).without(
        OVERLONG,
        f"more than {plan.longest} tokens, or {plan.config.max_prompt_tokens} of the prompt",
        [trace for trace, _ in kept],
    )
    return [row for _, row in kept], sifted


def _encoded(
    traces: Sequence[Trace], plan: Plan[DistillConfig], tokenizer: PreTrainedTokenizerBase
) -> list[Row | None]:
    """Each trace as the student learns it; None where it can't write it."""
    from reasonkit.training import encoding

    examples = _under(plan.config.system_prompt, [trace.example for trace in traces])
    asked = [
        replace(trace, group=Group(example, trace.group.completions))
        for example, trace in zip(examples, traces, strict=True)
    ]
    return encoding.encode(tokenizer, asked)


def _fits(row: Row, plan: Plan[DistillConfig]) -> bool:
    return len(row.learned) <= plan.longest and row.prompt <= plan.config.max_prompt_tokens


def _under(system_prompt: str | None, examples: Sequence[Example]) -> list[Example]:
    """The examples under the student's system prompt, as it will be asked.

    Several of their own are part of what was asked, and are kept; a single one was the teacher's.
    """
    own = [next((m for m in e.messages if m["role"] == "system"), None) for e in examples]
    led = led_by(system_prompt, examples)
    if len({said and said["content"] for said in own}) < 2:
        return led
    return [e if said else other for e, said, other in zip(examples, own, led, strict=True)]
