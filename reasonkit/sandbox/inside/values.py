"""Python values as JSON and back: those that are compared in a known way.

``None``, ``bool``, ``int``, ``float``, ``str`` and ``list`` stand for themselves; all else is an
object of one key that names its type, with the parts that it is made of: ``{"tuple": [1, 2]}``,
``{"dict": [["key", 1]]}``, ``{"Fraction": [1, 2]}``. An object of a subclass is sent as its nearest
such type, a named tuple with its names, unless its class has an ``__eq__`` of its own: what such
objects do when compared is their own choice, so they have no encoding. What is left are objects
that are equal to themselves alone (iterators, functions, most classes of a program); who encodes
says what becomes of them.
"""

from __future__ import annotations

import builtins
import datetime
import enum
import pathlib
import re
import time
import types
import uuid
from array import array
from collections import (
    ChainMap,
    Counter,
    OrderedDict,
    UserDict,
    UserList,
    UserString,
    defaultdict,
    deque,
    namedtuple,
)
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

# A program that replaces builtins is still judged by what it returns.
__builtins__ = dict(vars(builtins))  # type: ignore[assignment]

DEPTH = 200
"""Levels of nesting that an encoded value may have; a dictionary in another is two."""

_SMALL = 1 << 63

_BUILT_IN = {name: value for name, value in vars(builtins).items() if not name.startswith("_")}
_NAMES: dict[int, str] = {id(value): name for name, value in _BUILT_IN.items()}


def described(error: BaseException) -> list[str]:
    """The nearest built-in class of an exception, what it is to who only knows Python; its text."""
    built_in = (c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")
    try:
        text = str(error)[:200]
    except BaseException:
        text = ""
    return [next(built_in), text]


def exception(name: str, text: str) -> Exception:
    """An exception of that description."""
    kind = _BUILT_IN.get(name)
    # A StopIteration would end a loop of the tests as if all had been tried.
    stops = (StopIteration, StopAsyncIteration)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, stops):
        try:
            return kind(text)
        except TypeError:
            pass
    return RuntimeError(f"{name}: {text}")


@lru_cache(None)
def _tuple_class(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)  # type: ignore[misc]


@lru_cache(None, typed=True)
def _enumeration(kind: str, name: str, value: Any) -> Any:
    bases: dict[type, Any] = {int: enum.IntEnum, str: enum.StrEnum}
    return bases[type(value)](kind, {name: value})


_Parts = Callable[[Any], Any]
_TYPES: dict[type, tuple[_Parts, Callable[..., Any]]] = {
    # Decimal digits of a large number take quadratic time, and Python limits them.
    int: (lambda v: [hex(v)], lambda digits: int(digits, 16)),
    complex: (lambda v: [v.real, v.imag], complex),
    bytes: (lambda v: [bytes.hex(v)], bytes.fromhex),
    list: (list.__iter__, lambda *items: [*items]),
    tuple: (tuple.__iter__, lambda *items: items),
    set: (set.__iter__, lambda *items: {*items}),
    frozenset: (frozenset.__iter__, lambda *items: frozenset(items)),
    dict: (lambda v: map(list, dict.items(v)), lambda *pairs: dict(pairs)),
    range: (lambda v: [v.start, v.stop, v.step], range),
    slice: (lambda v: [v.start, v.stop, v.step], slice),
    bytearray: (lambda v: [bytes(v)], bytearray),
    memoryview: (lambda v: [bytes(v)], memoryview),
    array: (lambda v: [v.typecode, v.tolist()], array),
    deque: (lambda v: [list(v), v.maxlen], deque),
    type({}.keys()): (lambda v: [list(v)], lambda keys: dict.fromkeys(keys).keys()),
    type({}.values()): (lambda v: [list(v)], lambda values: dict(enumerate(values)).values()),
    type({}.items()): (lambda v: [list(v)], lambda items: dict(items).items()),
    Counter: (lambda v: [dict(v)], Counter),
    OrderedDict: (lambda v: [dict(v)], OrderedDict),
    # What makes a default stays with the program, unless it is built in.
    defaultdict: (
        lambda v: [v.default_factory if id(v.default_factory) in _NAMES else None, dict(v)],
        defaultdict,
    ),
    UserDict: (lambda v: [v.data], UserDict),
    UserList: (lambda v: [v.data], UserList),
    UserString: (lambda v: [v.data], UserString),
    ChainMap: (lambda v: v.maps, ChainMap),
    Fraction: (lambda v: [v.numerator, v.denominator], Fraction),
    Decimal: (lambda v: [str(v)], Decimal),
    datetime.date: (lambda v: [v.isoformat()], datetime.date.fromisoformat),
    datetime.time: (lambda v: [v.isoformat()], datetime.time.fromisoformat),
    datetime.datetime: (lambda v: [v.isoformat()], datetime.datetime.fromisoformat),
    datetime.timedelta: (lambda v: [v.days, v.seconds, v.microseconds], datetime.timedelta),
    time.struct_time: (lambda v: [tuple(v)], time.struct_time),
    types.SimpleNamespace: (lambda v: [vars(v)], lambda items: types.SimpleNamespace(**items)),
    re.Pattern: (lambda v: [v.pattern, v.flags], re.compile),
    uuid.UUID: (lambda v: [str(v)], uuid.UUID),
    pathlib.PurePath: (lambda v: [str(v)], pathlib.Path),
    BaseException: (described, exception),
}
"""By type: the parts of a value, and what makes it of them again."""

_EXACT: dict[type, Callable[[Any], Any]] = {
    int: int.__pos__,
    float: float.__float__,
    str: str.__str__,
}
"""What gives the value itself, of an object of a subclass."""

_MAKERS: dict[str, Callable[..., Any]] = {kind.__name__: make for kind, (_, make) in _TYPES.items()}
_MAKERS |= {
    "builtin": _BUILT_IN.__getitem__,
    "namedtuple": lambda name, fields, items: _tuple_class(name, tuple(fields))(*items),
    "enum": lambda kind, name, value: _enumeration(kind, name, value)[name],
}

_WRAPPED = ("Counter", "OrderedDict", "defaultdict", "UserDict", "UserList", "UserString",
            "namedtuple", "enum")  # fmt: skip
"""Types whose last part is the plain value that they are equal to."""

_FUNCTIONS = (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)
"""Functions that are equal where they are bound to the same object: taken as if they were not."""


class UnplainError(Exception):
    """A value that has no encoding; the message names its type or says why."""


def _refuse(value: Any) -> Any:
    raise UnplainError(f"type {type(value).__name__}")


def encode(value: Any, other: Callable[[Any], Any] = _refuse, depth: int = DEPTH) -> Any:
    """A value as what ``json.dumps`` takes.

    ``other`` gives the encoding of an object that is equal to itself alone, or raises as this does.

    Raises:
        UnplainError: it is, or contains, something that has no encoding.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is float:
        return value
    if kind is int and -_SMALL <= value < _SMALL:
        return value
    if depth == 0:
        raise UnplainError(f"something nested more than {DEPTH} levels deep")
    if name := _NAMES.get(id(value)):
        return {"builtin": [name]}
    base = next((base for base in kind.__mro__ if base in _TYPES or base in _EXACT), object)
    if kind in _FUNCTIONS or is_dataclass(kind):
        return other(value)
    if kind.__eq__ is not base.__eq__:
        return _refuse(value)
    if base is object:
        return other(value)
    parts: Any
    if isinstance(value, enum.Enum) and base in (int, str) and type(value.name) is str:
        tag, parts = "enum", [kind.__name__, value.name, base(value.value)]
    elif base in _EXACT and kind is not base:
        return encode(_EXACT[base](value))
    elif base is tuple and hasattr(kind, "_fields"):
        tag, parts = "namedtuple", [kind.__name__, [*kind._fields], [*tuple.__iter__(value)]]
    else:
        tag, parts = base.__name__, _TYPES[base][0](value)
    encoded = [encode(part, other, depth - 1) for part in parts]
    return {tag: encoded} if base is not list else encoded


def is_dataclass(kind: type) -> bool:
    """Whether objects of a class are equal where their fields are."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return bool(getattr(parameters, "eq", False))


def decode(data: Any, other: Callable[[str, Any], Any]) -> Any:
    """The value that was encoded, built of types of the standard library only.

    ``other`` gives what that of the encoder encoded, by its key, and raises for all else.

    Raises:
        ValueError: nothing was encoded like that.
    """
    if type(data) is list:
        return [decode(item, other) for item in data]
    if type(data) is not dict:
        return data
    try:
        ((kind, content),) = data.items()
        return _MAKERS[kind](*decode(content, other)) if kind in _MAKERS else other(kind, content)
    except Exception as error:
        raise ValueError("not a value") from error


def matches(expected: Any, data: Any) -> bool:
    """Whether encoded data is the expected JSON value, by exact types.

    ``True`` isn't ``1``, and a float isn't an int; but an int is a float of the same value, as JSON
    writes 2.0 either way, a tuple is a list, and a Fraction or a Decimal is the number it is equal
    to. NaN is equal to nothing.

    The data is never decoded here: it may have been made to be slow to put into a set.
    """
    kind, parts = ("list", data) if type(data) is list else ("", [])
    if type(data) is dict and len(data) == 1:
        ((kind, parts),) = data.items()
        if type(parts) is not list:
            return False
    if kind in _WRAPPED and parts:
        return matches(expected, parts[-1])
    match expected:
        case list():
            same_length = kind in ("list", "tuple") and len(parts) == len(expected)
            return same_length and all(map(matches, expected, parts))
        case dict():
            return kind == "dict" and _same_items(expected, parts)
        case int() | float() if kind and type(expected) is not bool:
            return _same_number(expected, kind, parts)
    one_type = type(data) is type(expected) or (type(expected), type(data)) == (float, int)
    return one_type and bool(data == expected)


def _same_number(expected: float, kind: str, parts: list[Any]) -> bool:
    try:
        match kind, parts:
            case "int", [str(digits)]:
                return int(digits, 16) == expected
            case "Decimal", [str(digits)]:
                return Decimal(digits) == expected
            case "Fraction", _:
                return matches([*expected.as_integer_ratio()], parts)
    except (ValueError, ArithmeticError):
        pass
    return False


def _same_items(expected: dict[str, Any], pairs: list[Any]) -> bool:
    given = {}
    for pair in pairs:
        match pair:
            # A member of an enumeration of strings is its string.
            case [str(key), value] | [{"enum": [_, _, str(key)]}, value]:
                given[key] = value
            case _:
                return False
    return len(pairs) == len(expected) == len(given) and all(
        key in given and matches(value, given[key]) for key, value in expected.items()
    )
