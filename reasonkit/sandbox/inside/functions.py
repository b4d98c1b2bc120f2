"""The program under test: its functions are called as the tests ask, and their results sent.

What is equal to itself alone stays here, under a number: the tests can ask for its attributes and
items, call it and iterate over it. They never ask it to compare anything, nor to calculate with
what they expect.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from . import frames, values

_OPERATIONS: dict[str, Callable[..., Any]] = {
    "__call__": lambda function, *arguments, **keywords: function(*arguments, **keywords),
    "__getattr__": getattr,
    "__setattr__": setattr,
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__iter__": iter,
    "__next__": next,
    "__len__": len,
    "__bool__": bool,
    "__str__": str,
    "__repr__": repr,
}
"""What the tests may ask of an object, by the method that does it for one of theirs."""


class Functions:
    """Serves a loaded program, which is this module."""

    def __init__(self, program: types.ModuleType) -> None:
        self._program = program
        self._kept: list[Any] = []
        self._numbers: dict[int, int] = {}

    def serve(self) -> dict[str, Any]:
        """Does what it is asked until it is told what a function of the tests has returned."""
        while not isinstance(message := frames.read(), dict):
            frames.write(self._reply(*message))
        return message

    def _reply(self, target: Any, name: str, arguments: Any) -> dict[str, Any]:
        try:
            given = values.decode(arguments, self._known)
            result = _OPERATIONS[name](self._found(target), *given[0], **given[1])
            reply = {"value": values.encode(result, self._other)}
            if result is None and name == "__call__":
                reply["changed"] = self._changed(given)
        except values.UnplainError as error:
            return {"error": ["TypeError", f"returned {error}"]}
        except BaseException as error:
            return {"error": values.described(error)}
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

    def _known(self, kind: str, content: Any) -> Any:
        known = {"kept": self._found, "iterator": self._iterator, "function": self._function}
        return known[kind](content)

    def _iterator(self, items: Any) -> Any:
        return iter(values.decode(items, self._known))

    def _function(self, number: int) -> Callable[..., Any]:
        """A function of the tests."""

        def function(*arguments: Any, **keywords: Any) -> Any:
            given = values.encode([[*arguments], keywords], self._other)
            frames.write({"function": [number, given]})
            reply = self.serve()
            if "error" in reply:
                raise values.exception(*reply["error"])
            return values.decode(reply["value"], self._known)

        return function

    def _other(self, value: Any) -> dict[str, Any]:
        kind = type(value)
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._kept)
            self._kept.append(value)
        names = [field.name for field in fields(value)] if values.is_dataclass(kind) else None
        abilities = [name for name in _OPERATIONS if hasattr(kind, name)]
        return {"object": [self._numbers[id(value)], kind.__name__, abilities, names]}
