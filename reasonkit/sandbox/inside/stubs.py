"""What stands in the tests for objects of the program: they ask, and compare by themselves.

No comparison and no arithmetic is left to the program: it could agree with everything, and would
be told what is expected. Objects are equal to themselves, those of a dataclass where their fields
are. For the same reason, a method that text, numbers or collections have is only called where the
tests made the object by calling a class, whose methods they test.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

from . import frames, values

_LONGEST_ITERATOR = 1 << 20

_METHODS = {
    name
    for kind in (str, bytes, int, float, complex, list, tuple, dict, set)
    for name in dir(kind)
    if callable(getattr(kind, name))
}


def _asking(operation: str) -> Callable[..., Any]:
    return lambda self, *given: self._link.ask(self, operation, *given)


class Stub:
    """Something of the program, by name or number; any method of one that is trusted is called."""

    def __init__(self, link: Link, target: str | int, trusted: bool = False) -> None:
        self.__dict__.update(_link=link, _target=target, _trusted=trusted)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._link.ask(self, "__getattr__", name)
        if isinstance(found, Stub) and callable(found):
            if name in _METHODS and not self._trusted:
                raise TypeError(f"{name} of an object of the program isn't called")
            found.__dict__["_trusted"] = self._trusted
        return found

    __setattr__, __repr__, __str__ = map(_asking, ("__setattr__", "__repr__", "__str__"))


def _call(self: Stub, *arguments: Any, **keywords: Any) -> Any:
    result = self._link.ask(self, "__call__", *arguments, **keywords)
    if isinstance(result, Stub) and isinstance(self._target, str) and self._target[:1].isupper():
        result.__dict__["_trusted"] = True
    return result


def _equal(self: Stub, other: Any) -> Any:
    """As dataclasses compare."""
    if type(self).__name__ != type(other).__name__ or not dataclasses.is_dataclass(other):
        return NotImplemented
    both: list[Any] = [self, other]
    names = [[field.name for field in dataclasses.fields(one)] for one in both]
    return names[0] == names[1] and all(
        getattr(self, name) == getattr(other, name) for name in names[0]
    )


class Named(Stub):
    """What a global of the program is called, as the tests have it."""

    __call__ = _call


_MEMBERS: dict[str, Any] = {
    name: _asking(name)
    for name in ("__iter__", "__len__", "__getitem__", "__setitem__", "__bool__")
}
_MEMBERS["__call__"] = _call
"""What a stub's class has where the object's own class has it."""


class Link:
    """The way to the program, and how often anything was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._objects: dict[int, Any] = {}
        self._functions: list[Callable[..., Any]] = []

    def named(self, name: str) -> Named:
        """What stands for a global of the program."""
        found = Named(self, name, name[:1].isupper())
        found.__dict__["__name__"] = name
        return found

    def ask(self, stub: Stub, operation: str, *arguments: Any, **keywords: Any) -> Any:
        """What the program gives.

        Raises:
            Exception: what it raised, or a TypeError where an argument can't be passed.
        """
        self.asked += 1
        target = stub._target
        try:
            given = values.encode([[*arguments], keywords], self._other)
        except values.UnplainError as error:
            raise TypeError(f"an argument of {error} can't be passed to {target}") from None
        frames.write({"ask": [target, operation, given]})
        while "function" in (reply := frames.read()):
            frames.write({"ask": self._answer(reply["function"])})
        if "error" in reply:
            name, text = reply["error"]
            ended = operation == "__next__" and name == "StopIteration"
            raise StopIteration if ended else values.exception(name, text)
        result = self._decoded(reply["value"], target)
        if result is None and (changed := self._decoded(reply.get("changed"), target)):
            _refilled([[*arguments], keywords], changed)
        return result

    def _answer(self, call: Any) -> dict[str, Any]:
        """What a function of the tests gives the program that calls it."""
        number, (arguments, keywords) = self._decoded(call, "the program")
        try:
            result = self._functions[number](*arguments, **keywords)
            return {"value": values.encode(result, self._other)}
        except values.UnplainError as error:
            return {"error": ["TypeError", f"returned {error}"]}
        except Exception as error:
            return {"error": values.described(error)}

    def _decoded(self, data: Any, target: str | int) -> Any:
        try:
            return values.decode(data, self._known)
        except (ValueError, RecursionError):
            # Raised, it could be what the tests expect.
            verdict = f"{target} returned no plain value"
            frames.write({"verdict": verdict, "asked": self.asked})
            os._exit(0)

    def _known(self, kind: str, content: Any) -> Any:
        if kind != "object":
            raise ValueError(f"no such type: {kind}")
        number, name, abilities, fields = content
        if number not in self._objects:
            self._objects[number] = self._object(number, name, abilities, fields)
        return self._objects[number]

    def _object(self, number: int, name: str, abilities: list[str], fields: Any) -> Any:
        members = {ability: _MEMBERS[ability] for ability in abilities if ability in _MEMBERS}
        if fields is not None:
            members |= {"__eq__": _equal, "__hash__": None}
            kind: Any = dataclasses.make_dataclass(
                name, fields, bases=(Stub,), namespace=members, eq=False, repr=False, init=False
            )
        else:
            kind = type(name, (Stub,), members)
        made = kind(self, int(number))
        return self._pulled(made) if "__next__" in abilities else made

    def _pulled(self, iterator: Stub) -> Iterator[Any]:
        while True:
            try:
                item = self.ask(iterator, "__next__")
            except StopIteration:
                return
            yield item

    def _other(self, value: Any) -> dict[str, Any]:
        if isinstance(value, Stub):
            return {"kept": value._target}
        if hasattr(type(value), "__next__"):
            items = list(itertools.islice(value, _LONGEST_ITERATOR))
            return {"iterator": values.encode(items, self._other)}
        if callable(value) and not isinstance(value, type):
            self._functions.append(value)
            return {"function": len(self._functions) - 1}
        raise values.UnplainError(f"type {type(value).__name__}")


def _refilled(old: Any, new: Any) -> Any:
    """The old list, dictionary or set with the new content in place; what else is new, as it is."""
    if type(old) is not type(new) or not isinstance(old, list | dict | set):
        return new
    if isinstance(old, list):
        old[:] = map(_refilled, old, new) if len(old) == len(new) else new
    elif isinstance(old, dict):
        items = {key: _refilled(old.get(key), value) for key, value in new.items()}
        old.clear()
        old.update(items)
    else:
        old.clear()
        old.update(new)
    return old
