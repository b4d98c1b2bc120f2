"""Python values as JSON and back: plain ones only, by their exact type.

``None``, ``bool``, ``int``, ``float``, ``str`` and ``list`` stand for themselves; all else is an
object of one key that names its type: ``{"tuple": [1, 2]}``, ``{"dict": [["key", 1]]}``. Objects
of any other type, subclasses included, have no encoding: what they do when compared is their own
choice. The exceptions are the dictionaries of ``collections``, which become a ``dict``.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from typing import Any

DEPTH = 100
"""Levels of nesting that an encoded value may have."""

_SEQUENCES: dict[type, str] = {tuple: "tuple", set: "set", frozenset: "frozenset"}
_DICTS = (dict, Counter, OrderedDict, defaultdict)
_SMALL = 1 << 63

# Held here, so that a program that replaces builtins is still judged by what it returns.
_type, _hex, _items = type, hex, dict.items


class UnplainError(Exception):
    """A value that has no encoding; the message names its type or says why."""


def encode(value: Any, depth: int = DEPTH) -> Any:
    """A value as what ``json.dumps`` takes.

    Raises:
        UnplainError: it is, or contains, something that isn't plain.
    """
    kind = _type(value)
    if value is None or kind is bool or kind is str or kind is float:
        return value
    if kind is int:
        # Decimal digits of a large number take quadratic time, and Python limits them.
        return value if -_SMALL <= value < _SMALL else {"int": _hex(value)}
    if kind is bytes:
        return {"bytes": value.hex()}
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if depth == 0:
        raise UnplainError(f"something nested more than {DEPTH} levels deep")
    if kind is list:
        return [encode(item, depth - 1) for item in value]
    if kind in _SEQUENCES:
        return {_SEQUENCES[kind]: [encode(item, depth - 1) for item in value]}
    if kind in _DICTS:
        return {
            "dict": [[encode(k, depth - 1), encode(v, depth - 1)] for k, v in _items(value)],
        }
    raise UnplainError(f"type {kind.__name__}")


def decode(data: Any) -> Any:
    """The value that was encoded, built of built-in types only.

    Raises:
        ValueError: nothing was encoded like that.
    """
    if type(data) is list:
        return [decode(item) for item in data]
    if type(data) is not dict:
        return data
    if len(data) != 1:
        raise ValueError("not a value")
    ((kind, content),) = data.items()
    try:
        return _decode_tagged(kind, content)
    except TypeError as error:
        raise ValueError(f"not a {kind}") from error


def matches(expected: Any, data: Any) -> bool:
    """Whether encoded data is the expected JSON value, by exact types.

    ``True`` isn't ``1``, and a float isn't an int; but an int is a float of the same value, as JSON
    writes 2.0 either way, and a tuple is a list. NaN is equal to nothing.

    The data is never decoded here: it may have been made to be slow to put into a set.
    """
    if type(data) is dict and len(data) == 1:
        ((kind, content),) = data.items()
        if kind == "tuple" and type(expected) is list:
            data = content
        elif kind == "int" and type(content) is str and type(expected) in (int, float):
            try:
                data = int(content, 16)
            except ValueError:
                return False
        elif kind == "dict" and type(expected) is dict:
            return _same_items(expected, content)
    if type(expected) is list:
        return (
            type(data) is list and len(data) == len(expected) and all(map(matches, expected, data))
        )
    if type(expected) is float:
        return type(data) in (int, float) and data == expected
    return type(expected) is not dict and type(data) is type(expected) and data == expected


def _same_items(expected: dict[str, Any], pairs: Any) -> bool:
    if type(pairs) is not list or len(pairs) != len(expected):
        return False
    if not all(type(pair) is list and len(pair) == 2 and type(pair[0]) is str for pair in pairs):
        return False
    given = dict(pairs)
    return given.keys() == expected.keys() and all(
        matches(value, given[key]) for key, value in expected.items()
    )


def _decode_tagged(kind: str, content: Any) -> Any:
    if kind == "int":
        return int(content, 16)
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "complex":
        real, imaginary = content
        return complex(real, imaginary)
    if type(content) is not list:
        raise ValueError(f"not a {kind}")
    if kind == "dict":
        result: Any = {decode(key): decode(value) for key, value in content}
    elif kind == "tuple":
        result = tuple(map(decode, content))
    elif kind == "set":
        result = set(map(decode, content))
    elif kind == "frozenset":
        result = frozenset(map(decode, content))
    else:
        raise ValueError(f"no such type: {kind}")
    if len(result) != len(content):
        raise ValueError(f"not a {kind}: duplicates")
    return result
