"""A user's own reward function, from a Python file or handed over by Python code.

Its first positional parameter is named ``group``: it is called with our signature. Otherwise it is
called as TRL calls one: ``f(completions, **kwargs)`` with, one entry a completion, ``prompts`` and
``completions`` (lists of messages), ``completion_ids`` and the example's ``answer``, ``tests`` and
``entry_point``; of these it gets the ones it takes.

It counts as reading the reference answer unless the function says otherwise:
``f.needs_answer = False``. What it is held to is ``f.claim``: "correctness", "form" or "shaping";
where it doesn't say, correctness if it reads the reference answer, else shaping. With
``f.waits = True`` it runs in a thread, beside the other rewards.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args

from reasonkit import functions
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.types import Claim, Group

_COLUMNS = frozenset({"prompts", "completions", "completion_ids", "answer", "tests", "entry_point"})


def load(path: str, function: str) -> dict[str, Any]:
    """A function of a file, and what it says of itself, as `reasonkit.rewards.Reward` takes it.

    Raises:
        UnknownNameError: the file has no such function.
        RefusedError: the file isn't there or raises when imported, or the function can't be called
            or claims something unknown.
    """
    found = functions.find(path, function, "reward")
    needs_answer = bool(getattr(found, "needs_answer", True))
    claim = getattr(found, "claim", "correctness" if needs_answer else "shaping")
    if claim not in get_args(Claim):
        hint = f"(of reward {path}:{function})"
        raise UnknownNameError("claim", str(claim), get_args(Claim), hint=hint)
    return {
        "score": _adapt(found, f"{path}:{function}"),
        "needs_answer": needs_answer,
        "claim": claim,
        "waits": bool(getattr(found, "waits", False)),
    }


def _adapt(function: Callable[..., Any], where: str) -> Callable[[Group], Any]:
    if inspect.iscoroutinefunction(function):
        raise RefusedError(f"reward {where} is async: make it a plain function")
    try:
        signature = inspect.signature(function)
        parameters = signature.parameters
        first = next(iter(parameters.values()), None)
        if first and first.name == "group" and first.kind <= first.POSITIONAL_OR_KEYWORD:
            signature.bind(None)
            return function
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        taken = [name for name in _COLUMNS if takes_all or name in parameters]
        signature.bind(**dict.fromkeys(taken))
    except (TypeError, ValueError):
        taken = []
    if "completions" not in taken:
        raise RefusedError(
            f"reward {where} has neither signature: write f(group), with group.completions[i].text "
            "and group.example.answer, or TRL's (completions, **kwargs), with "
            "completions[i][0]['content'] and answer[i]; one number a completion "
            "(reasonkit docs rewards)"
        )

    def call(group: Group) -> Any:
        columns = _columns(group)
        return function(**{name: columns[name] for name in taken})

    return call


def _columns(group: Group) -> dict[str, list[Any]]:
    example, completions = group.example, group.completions
    return {
        "prompts": [list(example.messages) for _ in completions],
        "completions": [[{"role": "assistant", "content": c.text}] for c in completions],
        "completion_ids": [list(c.token_ids) for c in completions],
        "answer": [example.answer for _ in completions],
        "tests": [example.tests for _ in completions],
        "entry_point": [example.entry_point for _ in completions],
    }
