"""YAML files that people write, as plain data such as JSON has, in bounded time and memory.

PyYAML by itself takes the last of two entries with one key and says nothing, and a few hundred
bytes of aliases can stand for gigabytes.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer

LARGEST = 2**18  # bytes of a file
DEEPEST = 32  # tables and lists inside each other
DIGITS = 20  # of a whole number
LONGEST = 10**6  # characters and values, once every alias is what it stands for


class BadYaml(ValueError):
    """A file that can't be taken; one line, without its name."""


def read(path: Path) -> Any:
    """What stands in a YAML file, as plain data.

    Raises:
        FileNotFoundError: there is no such file.
        BadYaml: it can't be read, isn't YAML, has a key twice, or is too large.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadYaml(str(error.strerror)) from error
    if len(raw) > LARGEST:
        raise BadYaml(f"it has more than {LARGEST // 1024} KiB")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadYaml(f"line {line}: this is not UTF-8: save the file as UTF-8") from error
    try:
        return yaml.load(text, _Loader)
    except _Refused as error:
        raise BadYaml(f"line {error.line}: {error.problem}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise BadYaml(
            f"{where}this is not YAML: {_line(getattr(error, 'problem', None) or error)}"
        ) from error
    # a scalar that looks like a date or a number, and is none
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise BadYaml(f"this is not YAML: {_line(error)}") from error


def _line(error: object) -> str:
    """An error's words on one line."""
    return " ".join(str(error).split())[:200]


class _Refused(yaml.YAMLError):
    """It is YAML, and more of it than a person writes, or it isn't clear."""

    def __init__(self, problem: str, mark: yaml.Mark) -> None:
        self.problem, self.line = problem, mark.line + 1


class _Loader(Composer, yaml.CSafeLoader):
    """Plain data; each key once in a table; nothing larger than it may be.

    libyaml parses, several times as fast as Python; what is made of that is checked here.
    """

    def __init__(self, text: str) -> None:
        Composer.__init__(self)
        yaml.CSafeLoader.__init__(self, text)
        self.depth = 0
        self.sizes: dict[int, tuple[int, int]] = {}  # of finished nodes: characters, and depth

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()
        alias, mark = isinstance(event, yaml.AliasEvent), event.start_mark
        if not alias and getattr(event, "anchor", None) in self.anchors:
            raise yaml.MarkedYAMLError(
                problem=f"the anchor '{event.anchor[:60]}' is defined twice", problem_mark=mark
            )
        self.depth += 1
        if self.depth > DEEPEST:
            raise _Refused(f"tables and lists are nested more than {DEEPEST} deep", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if alias and id(node) not in self.sizes:
            raise _Refused("an alias refers to itself", mark)
        if node is not None and not alias:
            self._measure(node, mark)
        return node

    def _measure(self, node: yaml.Node, mark: yaml.Mark) -> None:
        """Takes down what a finished node holds, with what its aliases stand for."""
        if isinstance(node, yaml.ScalarNode):
            self.sizes[id(node)] = (1 + len(node.value), 1)
            return
        inside = [one for pair in node.value for one in (pair if type(pair) is tuple else (pair,))]
        known = [self.sizes[id(one)] for one in inside]
        size = 1 + sum(size for size, _ in known)
        depth = 1 + max((depth for _, depth in known), default=0)
        if size > LONGEST or depth > DEEPEST:
            raise _Refused("its aliases expand to too much", mark)
        self.sizes[id(node)] = (size, depth)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key '{key.value[:60]}' stands in one table twice",
                        problem_mark=key.start_mark,
                    )
                keys.add(key.value)
                if key.tag not in _NAMES:
                    raise _Refused(
                        f"YAML wants quotes round {key.value[:60]}, for a name is text",
                        key.start_mark,
                    )
        return node


def _date(loader: _Loader, node: yaml.ScalarNode) -> None:
    raise _Refused(
        f"{node.value[:60]} is a date; put it in quotes if it is text",
        node.start_mark,
    )


def _unknown(loader: _Loader, node: yaml.Node) -> None:
    """Refuses what JSON hasn't."""
    loader.construct_undefined(node)


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    if len(node.value) > DIGITS:
        raise _Refused(f"{node.value[:DIGITS]}... has {len(node.value)} digits", node.start_mark)
    _refuse_old(node)
    return loader.construct_yaml_int(node)


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    _refuse_old(node)
    return loader.construct_yaml_float(node)


def _refuse_old(node: yaml.ScalarNode) -> None:
    """Refuses an octal number and one to the base of 60: for DVC's YAML they are other values."""
    if re.search(r"^[-+]?0[0-9_]+$|:", node.value):
        raise _Refused(
            f"YAML's versions read {node.value[:60]} differently; write a plain decimal number, "
            "or put it in quotes if it is text",
            node.start_mark,
        )


_TAG = "tag:yaml.org,2002:"
_NAMES = (f"{_TAG}str", f"{_TAG}merge")
_Loader.add_constructor(f"{_TAG}int", _whole_number)
_Loader.add_constructor(f"{_TAG}float", _number)
_Loader.add_constructor(f"{_TAG}timestamp", _date)
for _kind in ("binary", "omap", "pairs", "set"):
    _Loader.add_constructor(f"{_TAG}{_kind}", _unknown)
