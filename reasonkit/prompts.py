"""What is sent beside a question: system prompts, wordings for step-by-step work, solved examples.

Every recipe measures the untrained model with each wording, which is appended to a question, and
with a few solved examples before it: a prompt is the cheapest rival that training has (Kojima et
al., arXiv:2205.11916; Brown et al., arXiv:2005.14165). Leaves out examples that show work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reasonkit.errors import UnknownNameError
from reasonkit.types import Example, Message

THINK_FIRST = (
    "Work the problem out before you answer. Put your reasoning between <think> and </think>, then "
    "give only the final answer between <answer> and </answer>."
)
"""Asks for DeepSeek-R1-Zero's format (arXiv:2501.12948, table 1)."""

WORDINGS = {
    "step-by-step": "Think step by step.",
    "lets-think": "Let's think step by step.",
    "show-work": "Show your work.",
    "explain": "Explain your answer.",
    "deep-breath": "Take a deep breath.",
}
"""From the one that helps most to the one that helps least."""


def require_known(wording: str | None) -> None:
    """Refuses the name of no wording; None asks for none.

    Raises:
        UnknownNameError: there is no such wording.
    """
    if wording is not None and wording not in WORDINGS:
        raise UnknownNameError("wording", wording, WORDINGS)


def ask(example: Example, wording: str) -> Example:
    """The example with a wording appended to its last user message."""
    *before, last = example.messages
    asked = {**last, "content": f"{last['content']} {WORDINGS[wording]}"}
    return replace(example, messages=(*before, asked))


def after_examples(example: Example, solved: Sequence[Example]) -> Example:
    """The example behind turns in which others are asked and answered with their references."""
    turns: list[Message] = []
    for other in solved:
        turns += [other.messages[-1], {"role": "assistant", "content": other.answer}]
    *before, last = example.messages
    return replace(example, messages=(*before, *turns, last))


def baselines(
    examples: Sequence[Example], train: Sequence[Example], shots: Sequence[int]
) -> dict[str, list[Example]]:
    """The examples as an untrained model is asked them, by the name of the prompt.

    In each wording, and after each number in ``shots`` of solved ones.
    """
    asked = {name: [ask(example, name) for example in examples] for name in WORDINGS}
    for count in shots:
        solved = train[:count]
        asked[f"{count}-examples"] = [after_examples(example, solved) for example in examples]
    return asked


def in_words(baseline: str) -> str:
    """What a prompt of `baselines` adds."""
    return WORDINGS.get(baseline) or f"{baseline.replace('-', ' solved ')} first"


def led_by(system_prompt: str | None, examples: Sequence[Example]) -> list[Example]:
    """The examples with this system prompt, or none, in the place of any that they have."""
    said = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [
        replace(e, messages=(*said, *(m for m in e.messages if m["role"] != "system")))
        for e in examples
    ]
