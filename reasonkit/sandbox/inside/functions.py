"""The program under test: its functions are called as the tests ask, and their results sent.

What is equal to itself alone stays here, under a number: the tests can ask for its attributes and
items, call it and iterate over it. They never ask it to compare anything, nor to calculate with
what they expect.
"""

from __future__ import annotations

import itertools
import operator
import types
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from . import errors, frames, values

ABILITIES = ("__call__", "__iter__", "__next__", "__len__", "__getitem__", "__setitem__",
             "__bool__")  # fmt: skip

_OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda function, *arguments, **keywords: function(*arguments, **keywords),
    "attribute": getattr,
    "set": setattr,
    "item": operator.getitem,
    "set item": operator.setitem,
    "iter": iter,
    "next": next,
    "len": len,
    "bool": bool,
    "str": str,
    "repr": repr,
}


class Functions:
    """Serves a loaded program.

    Args:
        program: its module.
        pipe: where the tests ask.
    """

    def __init__(self, program: types.ModuleType, pipe: int) -> None:
        self._program, self._pipe = program, pipe
        self._kept: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._counter = itertools.count()

    def serve(self) -> dict[str, Any]:
        """Does what it is asked until it is told what a function of the tests has returned."""
        while True:
            message = frames.read(self._pipe)
            if isinstance(message, dict):
                return message
            frames.write(self._pipe, self._reply(*message))

    def _reply(self, target: Any, name: str, arguments: Any, keywords: Any) -> dict[str, Any]:
        try:
            positional, named = self._decoded(arguments), self._decoded(keywords)
            given = [positional, named]
            result = _OPERATIONS[name](self._found(target), *positional, **named)
            reply = {"value": values.encode(result, self._other)}
            if result is None and name == "call":
                reply["changed"] = self._changed(given)
        except values.UnplainError as error:
            return {"error": ["TypeError", f"returned {error}"]}
        except BaseException as error:
            return {"error": errors.description(error)}
        return reply

    def _found(self, target: Any) -> Any:
        """A kept object, a global, or a method of ``Solution``, as LeetCode has it."""
        if isinstance(target, int):
            return self._kept[target]
        found = self._program.__dict__.get(target)
        if found is None and "Solution" in self._program.__dict__:
            found = getattr(self._program.__dict__["Solution"](), target, None)
        if found is None:
            raise NameError(f"name '{target}' is not defined")
        return found

    def _changed(self, given: list[Any]) -> Any:
        """The arguments as a function left them, where they have an encoding."""
        try:
            return values.encode(given, self._other)
        except values.UnplainError:
            return None

    def _decoded(self, data: Any) -> Any:
        return values.decode(data, self._known)

    def _known(self, kind: str, content: Any) -> Any:
        if kind == "kept":
            return self._found(content)
        if kind == "iterator":
            return iter(self._decoded(content))
        if kind == "function":
            return self._function(content)
        raise ValueError(f"no such type: {kind}")

    def _function(self, number: int) -> Callable[..., Any]:
        """A function of the tests."""

        def function(*arguments: Any, **keywords: Any) -> Any:
            given = [values.encode(part, self._other) for part in (list(arguments), keywords)]
            frames.write(self._pipe, {"function": [number, *given]})
            reply = self.serve()
            if "error" in reply:
                raise errors.exception(*reply["error"])
            return self._decoded(reply["value"])

        return function

    def _other(self, value: Any) -> dict[str, Any]:
        kind = type(value)
        if isinstance(value, BaseException):
            return {"exception": errors.description(value)}
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = next(self._counter)
            self._kept[number] = value
        names = [field.name for field in fields(value)] if values.is_dataclass(kind) else None
        abilities = [name for name in ABILITIES if hasattr(kind, name)]
        return {"object": [number, kind.__name__, abilities, names]}
