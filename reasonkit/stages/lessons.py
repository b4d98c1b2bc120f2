"""What a student is taught: traces, sampled or given, filtered, as the tokens that are trained on.

Leaves out training: `reasonkit.stages.supervision`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reasonkit import console
from reasonkit.config import DistillConfig
from reasonkit.errors import DataError, RunError
from reasonkit.models.chat import end_of_turn
from reasonkit.plan import Plan, led_by
from reasonkit.report import results
from reasonkit.runs import Run
from reasonkit.stages import filtering, traces
from reasonkit.stages.filtering import OVERLONG, Sifted, Step
from reasonkit.stages.teacher import Teacher, sampling
from reasonkit.tasks import recorded
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
        engine = traces.pool(run, source.engine(config), source.origin(config))
        sampled = traces.sample(run, engine, examples, asked, config.samples, sampling(config))
        groups: Sequence[Group] = sampled.groups
        tokens, seconds = sampled.tokens, sampled.seconds
    else:
        groups = source
    rows, sifted = fitting(filtering.sift(plan, groups), plan, tokenizer)
    lost = results.filters(sifted.rows())
    console.err.print(console.table(lost.title, lost.heads, lost.rows))
    run.update(filters=sifted.rows())
    if not rows:
        raise RunError(sifted.complaint)
    if config.general is not None:
        chats = general(config.general, plan, tokenizer)
        console.note(f"{len(chats)} general chats are learned beside {len(rows)} traces")
        rows += chats
    traces.write_kept(run, sifted.traces)
    return Lessons(rows, sifted, tokens, seconds)


def general(path: str, plan: Plan[DistillConfig], tokenizer: PreTrainedTokenizerBase) -> list[Row]:
    """The chats of a file as the student learns them: as they are, but for a system prompt.

    Raises:
        DataError: the file can't be read, or one of its chats can't be learned whole.
    """
    from reasonkit.training import encoding

    config = plan.config
    assert config.max_completion_tokens
    groups = recorded.read(Path(path), (), [end_of_turn(tokenizer)])
    examples = _under(config.system_prompt, [group.example for group in groups])
    chats = [
        Trace(example, completion)
        for group, example in zip(groups, examples, strict=True)
        for completion in group.completions
    ]
    rows = []
    for chat, row in zip(chats, encoding.encode(tokenizer, chats), strict=True):
        if (
            row is None
            or len(row.learned) > config.max_completion_tokens
            or row.prompt > config.max_prompt_tokens
        ):
            raise DataError(
                f"{path}: the student can't write this answer, or not within "
                f"{config.max_completion_tokens} tokens after {config.max_prompt_tokens} of the "
                f"prompt: {chat.completion.text[:80]!r}"
            )
        rows.append(row)
    return rows


def _under(system_prompt: str | None, examples: Sequence[Example]) -> list[Example]:
    """The examples under the student's system prompt, as it will be asked.

    Several of their own are part of what was asked, and are kept; a single one was the teacher's.
    """
    own = [next((m for m in e.messages if m["role"] == "system"), None) for e in examples]
    led = led_by(system_prompt, examples)
    if len({said and said["content"] for said in own}) < 2:
        return led
    return [e if said else other for e, said, other in zip(examples, own, led, strict=True)]


def fitting(
    sifted: Sifted, plan: Plan[DistillConfig], tokenizer: PreTrainedTokenizerBase
) -> tuple[list[Row], Sifted]:
    """The traces as the student is trained on them; those that don't fit are dropped and counted.

    Returns:
        The rows, and what was sifted with the losses of this step.
    """
    from reasonkit.training import encoding

    config = plan.config
    assert config.max_completion_tokens
    if not sifted.traces:
        return [], sifted
    examples = _under(config.system_prompt, [trace.example for trace in sifted.traces])
    asked = [
        Trace(example, trace.completion)
        for trace, example in zip(sifted.traces, examples, strict=True)
    ]
    encoded = encoding.encode(tokenizer, asked)
    written = [(trace, row) for trace, row in zip(sifted.traces, encoded, strict=True) if row]
    longest, longest_prompt = config.max_completion_tokens, config.max_prompt_tokens
    kept = [
        (trace, row)
        for trace, row in written
        if len(row.learned) <= longest and row.prompt <= longest_prompt
    ]
    what = (
        "a character that the student's tokenizer lacks, or no thought where its prompt opens one",
        f"more than {longest} tokens, or {longest_prompt} of the prompt",
    )
    counts = (len(encoded), len(written), len(kept))
    steps = list(sifted.steps)
    for name, line, part, before in zip(
        ("unwritable", OVERLONG), what, (written, kept), counts, strict=False
    ):
        questions = len({trace.example.id for trace, _ in part})
        steps.append(Step(name, line, before - len(part), len(part), questions))
    return [row for _, row in kept], replace(
        sifted, traces=[trace for trace, _ in kept], steps=steps
    )
