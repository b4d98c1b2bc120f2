"""Python values as JSON and back: those that are compared in a known way.

``None``, ``bool``, ``int``, ``float``, ``str`` and ``list`` stand for themselves; all else is an
object of one key that names its type: ``{"tuple": [1, 2]}``, ``{"dict": [["key", 1]]}``, and for
most types of the standard library what they are made of: ``{"Fraction": [1, 2]}``. An object of a
subclass is sent as its nearest such type, a named tuple with its names, unless its class has an
``__eq__`` of its own: what such objects do when compared is their own choice, so they have no
encoding. What is left are objects that are equal to themselves alone (iterators, functions, most
classes of a program); who encodes says what becomes of them.
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
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from typing import Any

DEPTH = 100
"""Levels of nesting that an encoded value may have."""

_SEQUENCES: dict[type, str] = {tuple: "tuple", set: "set", frozenset: "frozenset"}
_SMALL = 1 << 63


def _named(name: str, fields: list[str], items: list[Any]) -> Any:
    return _named_class(name, tuple(fields))(*items)


@lru_cache(None)
def _named_class(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)  # type: ignore[misc]


def _member(kind: str, name: str, value: Any) -> Any:
    if type(value) not in (int, str):
        raise TypeError
    return _enumeration(kind, name, value)[name]


@lru_cache(None, typed=True)
def _enumeration(kind: str, name: str, value: Any) -> Any:
    base: Any = enum.IntEnum if type(value) is int else enum.StrEnum
    return base(kind, {name: value})


_Parts = Callable[[Any], list[Any]]
_MADE: dict[type, tuple[_Parts, Callable[..., Any]]] = {
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
    defaultdict: (lambda v: [_factory(v.default_factory), dict(v)], defaultdict),
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
}
"""By type: the parts of a value, and what makes it of them again."""

_MAKERS = {kind.__name__: make for kind, (_, make) in _MADE.items()}
_MAKERS |= {"namedtuple": _named, "enum": _member}

_WRAPPED = ("Counter", "OrderedDict", "defaultdict", "UserDict", "UserList", "UserString",
            "namedtuple", "enum")  # fmt: skip
"""Types whose last part is the plain value that they are equal to."""

_FUNCTIONS = (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)
"""Functions that are equal where they are bound to the same object: taken as if they were not."""

_BASES = {int, float, complex, str, bytes, list, dict, *_SEQUENCES, *_MADE}

_BUILT_IN = {name: value for name, value in vars(builtins).items() if not name.startswith("_")}
_NAMES = {id(value): name for name, value in _BUILT_IN.items()}

# Held here, so that a program that replaces builtins is still judged by what it returns.
_type, _hex, _items, _id, _tuple, _enum = type, hex, dict.items, id, tuple, enum.Enum


class UnplainError(Exception):
    """A value that has no encoding; the message names its type or says why."""


def _refuse(value: Any) -> Any:
    raise UnplainError(f"type {_type(value).__name__}")


def _unknown(kind: str, content: Any) -> Any:
    raise ValueError(f"no such type: {kind}")


def encode(value: Any, other: Callable[[Any], Any] = _refuse, depth: int = DEPTH) -> Any:
    """A value as what ``json.dumps`` takes.

    Args:
        value: anything.
        other: gives the encoding of an object that is equal to itself alone; raises as this does.
        depth: levels of nesting that are left.

    Raises:
        UnplainError: it is, or contains, something that has no encoding.
    """
    kind = _type(value)
    if value is None or kind is bool or kind is str or kind is float:
        return value
    if kind is int:
        # Decimal digits of a large number take quadratic time, and Python limits them.
        return value if -_SMALL <= value < _SMALL else {"int": _hex(value)}
    if depth == 0:
        raise UnplainError(f"something nested more than {DEPTH} levels deep")
    if name := _NAMES.get(_id(value)):
        return {"builtin": name}
    base = next((base for base in kind.__mro__ if base in _BASES), object)
    if kind in _FUNCTIONS or is_dataclass(kind):
        return other(value)
    if kind.__eq__ is not base.__eq__:
        return _refuse(value)
    if base is object:
        return other(value)

    def inner(item: Any) -> Any:
        return encode(item, other, depth - 1)

    if base in _MADE:
        return {base.__name__: [inner(part) for part in _MADE[base][0](value)]}
    if isinstance(value, _enum) and base in (int, str) and type(value.name) is str:
        return {"enum": [kind.__name__, value.name, inner(base(value.value))]}
    if base is int:
        return inner(int.__pos__(value))
    if base is float:
        return float.__float__(value)
    if base is str:
        return str.__str__(value)
    if base is bytes:
        return {"bytes": bytes.hex(value)}
    if base is complex:
        return {"complex": [value.real, value.imag]}
    if base is list:
        return [inner(item) for item in list.__iter__(value)]
    if base is dict:
        return {"dict": [[inner(k), inner(v)] for k, v in _items(value)]}
    items = [inner(item) for item in base.__iter__(value)]  # type: ignore[attr-defined]
    if base is _tuple and kind is not base and hasattr(kind, "_fields"):
        return {"namedtuple": [kind.__name__, list(kind._fields), items]}
    return {_SEQUENCES[base]: items}


def is_dataclass(kind: type) -> bool:
    """Whether objects of a class are equal where their fields are."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return bool(getattr(parameters, "eq", False))


def decode(data: Any, other: Callable[[str, Any], Any] = _unknown) -> Any:
    """The value that was encoded, built of types of the standard library only.

    Args:
        data: an encoding, or anything.
        other: gives what the ``other`` of the encoder encoded; raises as this does.

    Raises:
        ValueError: nothing was encoded like that.
    """
    if type(data) is list:
        return [decode(item, other) for item in data]
    if type(data) is not dict:
        return data
    if len(data) != 1:
        raise ValueError("not a value")
    ((kind, content),) = data.items()
    try:
        return _decode_tagged(kind, content, other)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"not a {kind}") from error


def matches(expected: Any, data: Any) -> bool:
    """Whether encoded data is the expected JSON value, by exact types.

    ``True`` isn't ``1``, and a float isn't an int; but an int is a float of the same value, as JSON
    writes 2.0 either way, a tuple is a list, and a Fraction or a Decimal is the number it is equal
    to. NaN is equal to nothing.

    The data is never decoded here: it may have been made to be slow to put into a set.
    """
    if type(data) is dict and len(data) == 1:
        ((kind, content),) = data.items()
        if kind in _WRAPPED and type(content) is list and content:
            return matches(expected, content[-1])
        if kind == "tuple" and type(expected) is list:
            data = content
        elif type(expected) in (int, float):
            return _same_number(expected, kind, content)
        elif kind == "dict" and type(expected) is dict:
            return _same_items(expected, content)
    if type(expected) is list:
        return (
            type(data) is list and len(data) == len(expected) and all(map(matches, expected, data))
        )
    if type(expected) is float:
        return type(data) in (int, float) and data == expected
    return type(expected) is not dict and type(data) is type(expected) and data == expected


def _same_number(expected: float, kind: str, content: Any) -> bool:
    try:
        if kind == "int" and type(content) is str:
            return int(content, 16) == expected
        if kind == "Decimal" and type(content) is list and type(content[0]) is str:
            return Decimal(content[0]) == expected
        if kind == "Fraction" and type(content) is list:
            return all(map(matches, expected.as_integer_ratio(), content)) and len(content) == 2
    except (ValueError, IndexError, OverflowError, InvalidOperation):
        pass
    return False


def _same_items(expected: dict[str, Any], pairs: Any) -> bool:
    if type(pairs) is not list or len(pairs) != len(expected):
        return False
    if not all(type(pair) is list and len(pair) == 2 for pair in pairs):
        return False
    pairs = [(_text(key), value) for key, value in pairs]
    if not all(type(key) is str for key, _ in pairs):
        return False
    given = dict(pairs)
    return given.keys() == expected.keys() and all(
        matches(value, given[key]) for key, value in expected.items()
    )


def _text(key: Any) -> Any:
    """A key without what wraps it: a member of an enumeration of strings is its string."""
    match key:
        case {"enum": [_, _, str(text)]}:
            return text
    return key


def _factory(factory: Any) -> Any:
    """What makes a default, where it is built in; the others stay with the program."""
    return factory if _id(factory) in _NAMES else None


def _decode_tagged(kind: str, content: Any, other: Callable[[str, Any], Any]) -> Any:
    if kind == "int":
        return int(content, 16)
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "complex":
        real, imaginary = content
        return complex(real, imaginary)
    if kind == "builtin":
        return _BUILT_IN[content]
    if kind in _MAKERS:
        return _MAKERS[kind](*[decode(part, other) for part in content])
    if kind not in (*_SEQUENCES.values(), "dict"):
        return other(kind, content)
    if type(content) is not list:
        raise ValueError(f"not a {kind}")
    if kind == "dict":
        result: Any = {decode(key, other): decode(value, other) for key, value in content}
    else:
        made = {"tuple": tuple, "set": set, "frozenset": frozenset}[kind]
        result = made([decode(item, other) for item in content])
    if len(result) != len(content):
        raise ValueError(f"not a {kind}: duplicates")
    return result
