"""Ways to ask for step-by-step work, from the one that helps most to the one that helps least.

They are appended to a question. Every recipe measures the untrained model with each of them, since
a prompt is the cheapest rival that training has (Kojima et al., arXiv:2205.11916).
"""

from __future__ import annotations

from dataclasses import replace

from reasonkit.errors import UnknownNameError
from reasonkit.types import Example

WORDINGS = {
    "step-by-step": "Think step by step.",
    "lets-think": "Let's think step by step.",
    "show-work": "Show your work.",
    "explain": "Explain your answer.",
    "deep-breath": "Take a deep breath.",
}


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
