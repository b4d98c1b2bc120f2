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
import types
from collections.abc import Callable, Iterator
from typing import Any

from . import errors, frames, values

_LONGEST_ITERATOR = 1 << 20
_NO_ENCODING = (ValueError, TypeError, KeyError, RecursionError, MemoryError)

_METHODS = {
    name
    for kind in (str, bytes, int, float, complex, list, tuple, dict, set)
    for name in dir(kind)
    if callable(getattr(kind, name))
}


class Asked:
    """Something of the program, by its name or its number.

    Args:
        link: how it is asked.
        target: its name or number.
        trusted: whether any of its methods may be called.
    """

    def __init__(self, link: Link, target: str | int, trusted: bool) -> None:
        self.__dict__.update(_link=link, _target=target, _trusted=trusted)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        link: Link = self.__dict__["_link"]
        found = link.ask(self, "attribute", name)
        if isinstance(found, Asked) and "__call__" in dir(type(found)):
            if name in _METHODS and not self.__dict__["_trusted"]:
                raise TypeError(f"{name} of an object of the program isn't called")
            found.__dict__["_trusted"] = self.__dict__["_trusted"]
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        self._link.ask(self, "set", name, value)

    def __repr__(self) -> str:
        return str(self._link.ask(self, "repr"))

    def __str__(self) -> str:
        return str(self._link.ask(self, "str"))


def _call(self: Asked, *arguments: Any, **keywords: Any) -> Any:
    link, target = self._link, self._target
    result = link.ask(self, "call", *arguments, **keywords)
    if isinstance(result, Asked) and isinstance(target, str) and target[:1].isupper():
        result.__dict__["_trusted"] = True
    return result


def _equal(self: Asked, other: Any) -> Any:
    """As dataclasses compare."""
    if type(self).__name__ != type(other).__name__ or not dataclasses.is_dataclass(other):
        return NotImplemented
    both: list[Any] = [self, other]
    names = [[field.name for field in dataclasses.fields(one)] for one in both]
    return names[0] == names[1] and all(
        getattr(self, name) == getattr(other, name) for name in names[0]
    )


_ASKED: dict[str, Callable[..., Any]] = {
    "__call__": _call,
    "__iter__": lambda self: self._link.ask(self, "iter"),
    "__len__": lambda self: self._link.ask(self, "len"),
    "__getitem__": lambda self, key: self._link.ask(self, "item", key),
    "__setitem__": lambda self, key, value: self._link.ask(self, "set item", key, value),
    "__bool__": lambda self: self._link.ask(self, "bool"),
}


class Named(Asked):
    """What a global of the program is called, as the tests have it."""

    __call__ = _call


class Link:
    """The way to the program.

    Attributes:
        asked: how often anything was.
    """

    def __init__(self, pipe: int) -> None:
        self.asked = 0
        self._pipe = pipe
        self._objects: dict[int, Any] = {}
        self._functions: dict[int, Callable[..., Any]] = {}
        self._counter = itertools.count()

    def named(self, name: str) -> Named:
        """What stands for a global of the program."""
        found = Named(self, name, name[:1].isupper())
        found.__dict__["__name__"] = name
        return found

    def ask(self, asked: Asked, operation: str, *arguments: Any, **keywords: Any) -> Any:
        """What the program gives.

        Raises:
            Exception: what it raised, or a TypeError where an argument can't be passed.
        """
        self.asked += 1
        target = asked.__dict__["_target"]
        try:
            given = [values.encode(part, self._other) for part in (list(arguments), keywords)]
        except values.UnplainError as error:
            raise TypeError(f"an argument of {error} can't be passed to {target}") from None
        frames.write(self._pipe, {"ask": [target, operation, *given]})
        while "function" in (reply := frames.read(self._pipe)):
            frames.write(self._pipe, {"ask": self._answer(reply["function"])})
        if "error" in reply:
            raise (
                StopIteration
                if operation == "next" and reply["error"][0] == "StopIteration"
                else errors.exception(*reply["error"])
            )
        result = self._decoded(reply["value"], target)
        if result is None and (changed := self._decoded(reply.get("changed"), target)):
            _refill([list(arguments), keywords], changed)
        return result

    def _answer(self, call: Any) -> dict[str, Any]:
        """What a function of the tests gives the program that calls it."""
        number, arguments, keywords = self._decoded(call, "the program")
        try:
            result = self._functions[number](*arguments, **keywords)
            return {"value": values.encode(result, self._other)}
        except values.UnplainError as error:
            return {"error": ["TypeError", f"returned {error}"]}
        except Exception as error:
            return {"error": errors.description(error)}

    def _decoded(self, data: Any, target: str | int) -> Any:
        try:
            return values.decode(data, self._known)
        except _NO_ENCODING:
            # Raised, it could be what the tests expect.
            verdict = f"{target} returned no plain value"
            frames.write(self._pipe, {"verdict": verdict, "asked": self.asked})
            os._exit(0)

    def _known(self, kind: str, content: Any) -> Any:
        if kind == "exception":
            return errors.exception(*content)
        if kind != "object":
            raise ValueError(f"no such type: {kind}")
        number, name, abilities, fields = content
        if number not in self._objects:
            self._objects[number] = self._object(number, name, abilities, fields)
        return self._objects[number]

    def _object(self, number: int, name: str, abilities: list[str], fields: Any) -> Any:
        members: dict[str, Any] = {
            ability: _ASKED[ability] for ability in abilities if ability in _ASKED
        }
        if fields is not None:
            members |= {"__eq__": _equal, "__hash__": None}
            kind: Any = dataclasses.make_dataclass(
                name, fields, bases=(Asked,), namespace=members, eq=False, repr=False, init=False
            )
        else:
            kind = types.new_class(name, (Asked,), exec_body=lambda body: body.update(members))
        made = kind(self, int(number), False)
        return self._pulled(made) if "__next__" in abilities else made

    def _pulled(self, iterator: Asked) -> Iterator[Any]:
        while True:
            try:
                item = self.ask(iterator, "next")
            except StopIteration:
                return
            yield item

    def _other(self, value: Any) -> dict[str, Any]:
        if isinstance(value, Asked):
            return {"kept": value.__dict__["_target"]}
        if hasattr(type(value), "__next__"):
            items = list(itertools.islice(value, _LONGEST_ITERATOR))
            return {"iterator": values.encode(items, self._other)}
        if callable(value) and not isinstance(value, type):
            number = next(self._counter)
            self._functions[number] = value
            return {"function": number}
        raise values.UnplainError(f"type {type(value).__name__}")


def _refill(old: Any, new: Any) -> None:
    """Gives lists, dictionaries and sets the content of others, in place."""
    if type(old) is not type(new):
        return
    if isinstance(old, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            if _can_refill(one, other):
                _refill(one, other)
            else:
                old[i] = other
    elif isinstance(old, list):
        old[:] = new
    elif isinstance(old, dict):
        for key in new.keys() & old.keys():
            if _can_refill(old[key], new[key]):
                _refill(old[key], new[key])
                new[key] = old[key]
        old.clear()
        old.update(new)
    elif isinstance(old, set):
        old.clear()
        old.update(new)


def _can_refill(old: Any, new: Any) -> bool:
    return type(old) is type(new) and isinstance(old, list | dict | set)
