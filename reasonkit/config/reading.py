"""From YAML and flags to a settings dataclass, and back."""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from reasonkit.config.base import CommonConfig
from reasonkit.config.foreign import answers
from reasonkit.errors import RefusedError, UnknownNameError

Config = TypeVar("Config", bound=CommonConfig)
Settings = TypeVar("Settings")


def field_types(config: type) -> dict[str, Any]:
    """Field name → its type."""
    hints = get_type_hints(config)
    return {field.name: hints[field.name] for field in dataclasses.fields(config)}


def from_mapping(config: type[Settings], values: Mapping[str, Any], where: str) -> Settings:
    """Settings, a dataclass of any kind, from YAML-like values.

    Raises:
        UnknownNameError: for a key that is no field.
        RefusedError: for another program's key, or a value of the wrong type or out of bounds.
    """
    types = field_types(config)
    bounds = {f.name: f.metadata for f in dataclasses.fields(config)}  # type: ignore[arg-type]
    require_known(values, types, where)
    read: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        read[name] = _read(value, types[name], bounds[name], f"{where}: {key}")
    return config(**read)


def require_known(given: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Refuses names that are no settings.

    Raises:
        RefusedError: another program calls settings so; all such names are answered with ours.
        UnknownNameError: nobody does.
    """
    strange = {key: value for key, value in given.items() if key.replace("-", "_") not in known}
    if told := list(answers(strange, known)):
        raise RefusedError(f"{where}: {'; '.join(told)}")
    for key in strange:
        raise UnknownNameError("setting", key, known, f"(in {where})")


def _read(value: Any, hint: Any, bounds: Mapping[str, Any], where: str) -> Any:
    if get_origin(hint) is UnionType:
        if value is None:
            return None
        hint = next(arg for arg in get_args(hint) if arg is not type(None))
    if get_origin(hint) is list:
        items = value if isinstance(value, list) else [value]
        return [_text(str(item), where) for item in items]
    if issubclass(hint, enum.StrEnum):
        if value not in list(hint):
            raise UnknownNameError("value", str(value), list(hint), f"({where})")
        return hint(value)
    if hint is float and isinstance(value, str):
        # YAML 1.1 takes 1e-3 for a text: a float needs a point there.
        with suppress(ValueError):
            value = float(value)
    fits = isinstance(value, (int, float) if hint is float else hint)
    if not fits or (isinstance(value, bool) and hint is not bool):
        raise RefusedError(f"{where}: expected {hint.__name__}, got {value!r}")
    if hint is str:
        return _text(value, where)
    if hint is float and not abs(value) <= sys.float_info.max:
        raise RefusedError(f"{where}: expected a finite number, got {value}")
    least, most = bounds.get("min"), bounds.get("max")
    if least is not None and value < least:
        raise RefusedError(f"{where}: {value} is below {least}")
    if most is not None and value > most:
        raise RefusedError(f"{where}: {value} is above {most}")
    return hint(value)


def _text(value: str, where: str) -> str:
    """The text, which files can hold: YAML spells halves of surrogate pairs too."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RefusedError(f"{where}: {value!r} is no Unicode text") from None
    return value


def read_assignment(spec: str) -> tuple[str, str, Any]:
    """What ``[PLACE.]SETTING=VALUE`` says: the place, empty where there is none, setting and value.

    The value is as in YAML.

    Raises:
        RefusedError: it says nothing of the kind.
    """
    name, equals, text = spec.partition("=")
    place, _, setting = name.strip().rpartition(".")
    if not equals or not setting:
        raise RefusedError(f"--set {spec}: expected PLACE.SETTING=VALUE, as in grpo.steps=40")
    try:
        return place, setting.replace("-", "_"), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise RefusedError(f"--set {spec}: {text!r} is no value") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        RefusedError: when it can't be read, or is no mapping.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror}") from error
    # Its numbers and dates may be none, and its lists nested too deeply.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise RefusedError(f"{path}:{mark.line + 1 if mark else 1}: not YAML") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise RefusedError(f"{path}: expected `setting: value` lines")
    return loaded


def to_mapping(config: CommonConfig) -> dict[str, Any]:
    """Plain values, as they stand in config.yaml."""
    values = dataclasses.asdict(config)
    return {k: str(v) if isinstance(v, enum.StrEnum) else v for k, v in values.items()}
