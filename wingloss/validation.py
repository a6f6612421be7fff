"""Plain data, as YAML files hold it, to typed dataclasses by pydantic; every refusal is one line.

Data is checked as JSON, where pydantic's strictness takes a table for a dataclass and a list for a
tuple, but no text and no truth for a number, and no 1.0 for a 1.
"""

import dataclasses
import difflib
import json
import re
import reprlib
import types
import typing
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Refused(ValueError):
    """A value that doesn't fit its type; the message is one line for the user."""


def build(kind: Any, value: Any) -> Any:
    """``value``, plain data as ``yaml_files.read`` gives it, as an instance of ``kind``.

    Raises:
        Refused: names the key and what is allowed there.
    """
    try:
        return _adapter(kind).validate_json(json.dumps(value))
    except ValidationError as error:
        # An unknown key goes first: it may be the one that is missing, misspelt. Where names or a
        # table may stand, a table's own fault says more than that it is none of the names.
        found = sorted(error.errors(), key=lambda one: (_no_name(one), one["type"] != _UNKNOWN))
        raise Refused(_line(kind, found[0])) from error


def schema(kind: Any) -> dict[str, Any]:
    """The JSON schema of what ``build`` takes for ``kind``."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | _adapter(kind).json_schema()


def shown(value: object) -> str:
    """A value as Python writes it, in few words: a wrong one can be of any size."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    short.maxlevel = 2
    return short.repr(value)


def meant(name: object, known: Iterable[object]) -> str:
    """A question whether ``name`` is a misspelling of one of ``known``; nothing if of none."""
    folded = {str(one).casefold(): one for one in known}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1)
    return f"did you mean '{folded[near[0]]}'? " if near else ""


@cache
def _adapter(kind: Any) -> TypeAdapter:
    """The checks of a type; STRICT holds for the dataclasses inside it too."""
    own = dataclasses.is_dataclass(kind)  # pydantic takes the configuration of such from them alone
    return TypeAdapter(with_config(STRICT)(kind)) if own else TypeAdapter(kind, config=STRICT)


def _no_name(fault: Any) -> bool:
    """Whether a finding says of a table that it is none of some names."""
    return fault["type"] == "literal_error" and isinstance(fault["input"], dict)


_UNKNOWN = "unexpected_keyword_argument"
_KINDS = {
    **dict.fromkeys(("dataclass_type", "dict_type"), "a table of names and values"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("int_type", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "finite_number"), "a number"),
    "string_type": "text",
    "bool_type": "true or false",
}
_BOUNDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
_LENGTHS = {"min_length": "at least", "max_length": "at most"}


def _line(kind: Any, fault: Any) -> str:
    """One of pydantic's findings in the words of who wrote the file."""
    what, value, context = fault["type"], fault["input"], fault.get("ctx", {})
    place, _ = _walk(kind, [step for step in fault["loc"] if step != "[key]"])
    where = _path(place)
    if what.startswith("union_tag"):  # the key that chooses between dataclasses
        where = f"{where}.{context['discriminator'].strip(chr(39))}"
        if what == "union_tag_not_found":
            return f"{where}: this key is missing"
        names = re.findall("'(.*?)'", context["expected_tags"])
        tag, choices = context["tag"], ", ".join(names)
        return f"{where}: {shown(tag)} is not allowed; {meant(tag, names)}choose from {choices}"
    if what == _UNKNOWN:
        above = _walk(kind, fault["loc"][:-1])[1]
        names = [one.name for one in dataclasses.fields(above)]
        return f"{where}: no such key; {meant(place[-1], names)}allowed: {', '.join(names)}"
    if what == "missing":
        return f"{where}: this {'key' if isinstance(place[-1], str) else 'entry'} is missing"
    if what == "value_error":  # a dataclass's own check, across its fields
        return f"{where}: {context['error']}" if where else str(context["error"])
    said = f"{where}: {shown(value)}" if where else shown(value)
    if what == "literal_error":
        names = re.findall("'(.*?)'", context["expected"])
        return f"{said} is not allowed; {meant(value, names)}choose from {', '.join(names)}"
    for word, bound in context.items():
        if word in _BOUNDS:
            return f"{said} is out of range; it must be {_BOUNDS[word]} {bound:.12g}"
        if word in _LENGTHS:
            return f"{said} should have {_LENGTHS[word]} {bound} entries"
    if what == "string_pattern_mismatch":
        return f"{said} should look like {context['pattern']}"
    hint = ""
    if what == "float_type" and isinstance(value, str):
        hint = " (YAML wants a point in numbers such as 1.0e-3)"
    if what == "string_type" and not isinstance(value, list | dict):
        hint = " (YAML wants quotes round text such as '007', 'no' and 'null')"
    return f"{said} should be {_KINDS[what]}{hint}" if what in _KINDS else f"{said}: {fault['msg']}"


def _path(place: Iterable[str | int]) -> str:
    """A place in a file, as ``loss.wing.w`` or ``seeds[0]``."""
    path = ""
    for step in place:
        if isinstance(step, str):
            name = step if step.isprintable() and len(step) <= 60 else shown(step)
            path += f".{name}" if path else name
        else:
            path += f"[{step}]"
    return path


def _walk(kind: Any, steps: Sequence[str | int]) -> tuple[list[str | int], Any]:
    """The place in the file that pydantic's ``steps`` lead to, and the type that stands there.

    Where one of several types may stand, pydantic's steps name the choice too.
    """
    place: list[str | int] = []
    for step in steps:
        kind = _without_none(kind)
        if dataclasses.is_dataclass(kind):
            kind = typing.get_type_hints(kind, include_extras=True).get(str(step))
        elif choices := _choices(kind):
            kind = choices[step]
            continue
        elif options := _options(kind):
            kind = next((one for one in options if getattr(one, "__name__", "") == step), None)
            continue
        elif kind is not None:  # a table or a list; of what it holds
            held = [one for one in typing.get_args(kind) if one is not ...]
            kind = held[-1] if held else None
        place.append(step)
    return place, _without_none(kind)


def _choices(kind: Any) -> dict[Any, Any]:
    """The dataclasses of a union by their values of the key that tells them apart."""
    key = next((getattr(one, "discriminator", None) for one in _notes(kind)), None)
    if key is None:
        return {}
    members = typing.get_args(kind)[0]
    every = typing.get_args(members) or (members,)
    return {typing.get_args(typing.get_type_hints(one)[key])[0]: one for one in every}


def _options(kind: Any) -> tuple[Any, ...]:
    """The types of a union, where no key tells them apart."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if union else ()


def _notes(kind: Any) -> tuple[Any, ...]:
    """What ``Annotated`` says of a type."""
    return getattr(kind, "__metadata__", ())


def _without_none(kind: Any) -> Any:
    """A type without bounds and without None beside it."""
    while True:
        options = set(typing.get_args(kind)) - {type(None)}
        if _notes(kind) and not any(getattr(one, "discriminator", None) for one in _notes(kind)):
            kind = typing.get_args(kind)[0]
        elif type(None) in typing.get_args(kind) and len(options) == 1:
            (kind,) = options
        else:
            return kind
