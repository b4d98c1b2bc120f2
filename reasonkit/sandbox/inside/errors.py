"""Exceptions as two texts and back: what they are, to who only knows Python, and what they say."""

from __future__ import annotations

import builtins


def description(error: BaseException) -> list[str]:
    """The nearest built-in class of an exception, and its text."""
    built_in = (c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")
    try:
        text = str(error)[:200]
    except BaseException:
        text = ""
    return [next(built_in), text]


def exception(name: str, text: str) -> Exception:
    """An exception of that description."""
    kind = getattr(builtins, name, None)
    # A StopIteration would end a loop of the tests as if all had been tried.
    stops = (StopIteration, StopAsyncIteration)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, stops):
        try:
            return kind(text)
        except TypeError:
            pass
    return RuntimeError(f"{name}: {text}")
