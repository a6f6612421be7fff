"""Plain data to typed dataclasses and to a JSON schema; every refusal names key and allowed values.

Only the standard library: a training must start on a machine that has torch and little else.
Bounds stand in a field's metadata: ``minimum``, ``minimum_exclusive``, ``maximum``.
"""

import dataclasses
import difflib
import math
import reprlib
import types
import typing
from typing import Any


class Refused(ValueError):
    """A value that doesn't fit its type; the message is one line for the user."""


def build(kind: Any, value: Any, where: str = "", bounds: typing.Mapping[str, Any] = {}) -> Any:
    """``value`` as an instance of ``kind``: a dataclass, dict, list, tuple, Literal or scalar.

    Raises:
        Refused: names the key (``where``) and what is allowed there.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if origin is types.UnionType or origin is typing.Union:
        if value is None:
            return None
        return build(next(a for a in arguments if a is not types.NoneType), value, where, bounds)
    if origin is typing.Literal:
        if value not in arguments:
            raise Refused(
                f"{where}: {shown(value)} is not allowed; "
                f"{meant(value, arguments)}choose from {_names(arguments)}"
            )
        return value
    if origin is dict:
        if not isinstance(value, dict):
            raise Refused(f"{where}: {shown(value)} should be a table of names and values")
        key, item = arguments
        return {
            build(key, k, _join(where, k)): build(item, v, _join(where, k), bounds)
            for k, v in value.items()
        }
    if origin in (list, tuple):
        if not isinstance(value, list):
            raise Refused(f"{where}: {shown(value)} should be a list")
        return origin(build(arguments[0], v, f"{where}[{i}]", bounds) for i, v in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        hint = ""
        if kind is float and isinstance(value, str):
            hint = " (YAML wants a point in numbers such as 1.0e-3)"
        if kind is str and not isinstance(value, list | dict):
            hint = " (YAML wants quotes round text such as '007', 'no' and 'null')"
        raise Refused(f"{where}: {shown(value)} should be {_KINDS[kind]}{hint}")
    for word, (holds, text) in _BOUNDS.items():
        if word in bounds and not holds(value, bounds[word]):
            raise Refused(
                f"{where}: {shown(value)} is out of range; it must be {text} {bounds[word]}"
            )
    return value


def schema(kind: Any, bounds: typing.Mapping[str, Any] = {}) -> dict[str, Any]:
    """The JSON schema of what ``build`` takes for ``kind``."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)
        return {
            "type": "object",
            "additionalProperties": False,
            "required": [f.name for f in fields if not _has_default(f)],
            "properties": {f.name: schema(hints[f.name], f.metadata) for f in fields},
        }
    if origin is types.UnionType or origin is typing.Union:
        return {"anyOf": [schema(a, bounds) for a in arguments]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema(arguments[1], bounds)}
    if origin in (list, tuple):
        return {"type": "array", "items": schema(arguments[0], bounds)}
    if kind is types.NoneType:
        return {"type": "null"}
    words = {
        "minimum": "minimum",
        "maximum": "maximum",
        "minimum_exclusive": "exclusiveMinimum",
    }
    return {"type": _SCHEMA_TYPES[kind]} | {words[k]: v for k, v in bounds.items()}


def shown(value: object) -> str:
    """A value as Python writes it, in few words: a wrong one can be of any size."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    short.maxlevel = 2
    return short.repr(value)


def meant(name: object, known: typing.Iterable[object]) -> str:
    """A question whether ``name`` is a misspelling of one of ``known``; nothing if of none."""
    near = difflib.get_close_matches(str(name), [str(one) for one in known], n=1)
    return f"did you mean '{near[0]}'? " if near else ""


_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_SCHEMA_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean"}
_BOUNDS = {
    "minimum": (lambda value, bound: value >= bound, "at least"),
    "minimum_exclusive": (lambda value, bound: value > bound, "more than"),
    "maximum": (lambda value, bound: value <= bound, "at most"),
}


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise Refused(f"{where}: {shown(value)} should be a table of names and values")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in value:
        if key not in fields:
            raise Refused(
                f"{_join(where, key)}: no such key; {meant(key, fields)}allowed: {_names(fields)}"
            )
    for name, f in fields.items():
        if name not in value and not _has_default(f):
            raise Refused(f"{_join(where, name)}: this key is missing")
    try:
        return kind(
            **{
                name: build(hints[name], item, _join(where, name), fields[name].metadata)
                for name, item in value.items()
            }
        )
    except Refused:
        raise
    except ValueError as error:  # a dataclass's own check, across its fields
        raise Refused(f"{where}: {error}" if where else str(error)) from error


def _has_default(f: dataclasses.Field) -> bool:
    return f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING


def _join(where: str, key: object) -> str:
    name = str(key)
    name = name if name.isprintable() and len(name) <= 60 else shown(name)
    return f"{where}.{name}" if where else name


def _names(names: typing.Iterable[object]) -> str:
    return ", ".join(str(name) for name in names)
