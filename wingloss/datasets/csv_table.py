"""CSV tables with a header, read with their line numbers.

Cells are parted by commas, semicolons or tabs, as the header has them. Capitals and blanks around
the header's words don't count, nor do the empty rows and columns that spreadsheets add.
"""

import csv
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from wingloss.datasets.face_record import BadSample, number, opened
from wingloss.datasets.names import some

Row = dict[str, str]

SEPARATORS = (",", ";", "\t", "|")
MOST_COLUMNS = 10_000
REST = "\n"  # the key of cells beyond the header's, whose names have no blanks around them


def rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """The rows of a CSV file, each with its file and line; :func:`check` them one by one.

    Raises:
        BadSample: no such file, not a CSV file, or a column that is missing or a duplicate.
    """
    with opened(path) as file:
        last = 1
        try:
            names, separator = _header(path, file.readline(), columns)
            reader = csv.reader(file, delimiter=separator)
            for cells in reader:
                first, last = last + 1, reader.line_num + 1
                if not any(cell.strip() for cell in cells):
                    continue
                row = dict(zip(names, cells, strict=False))
                if any(cell.strip() for cell in cells[len(names) :]):
                    row[REST] = separator.join(cells[len(names) :])
                # a quotation mark that isn't closed swallows the lines that follow
                yield f"{path}:{first}" + (f"-{last}" if last > first else ""), row
        except csv.Error as error:
            raise BadSample(f"{path}: not a CSV file from line {last + 1} on ({error})") from error


def check(row: Row, columns: Iterable[str], where: str) -> None:
    """Whether a row has a cell for each of ``columns``, and none beyond the header's.

    Raises:
        BadSample: it is short or long.
    """
    lines = where.rpartition(":")[2]
    swallowed = "; is a quotation mark not closed?" if "-" in lines else ""
    if any(name not in row for name in columns):
        raise BadSample(f"{where}: too few columns{swallowed}")
    if REST in row:  # decimal commas would shift all that follows
        cause = "are there decimal commas, or commas in a name without quotation marks?"
        raise BadSample(f"{where}: more cells than columns{swallowed or f'; {cause}'}")


def numbers(row: Row, columns: list[str], where: str) -> list[float]:
    """The numbers of a row's ``columns``.

    Raises:
        BadSample: one of them is no number.
    """
    values = []
    for name in columns:
        try:
            values.append(number(row[name]))
        except ValueError:
            word = row[name][:40]
            if re.fullmatch(r"\s*[-+]?\d+,\d+\s*", word):
                point = word.strip().replace(",", ".")
                raise BadSample(
                    f"{where}: {name} is '{word}': decimals need a point, as in {point}"
                ) from None
            raise BadSample(f"{where}: {name} is '{word}', no number") from None
    return values


def yaw(row: Row, where: str) -> float | None:
    """A row's ``yaw`` in degrees; None where it has no such column, or an empty cell there.

    Raises:
        BadSample: it is no finite number.
    """
    (value,) = numbers(row, ["yaw"], where) if row.get("yaw") else (None,)
    if value is not None and not math.isfinite(value):
        raise BadSample(f"{where}: the yaw is not finite")
    return value


def _header(path: Path, line: str, columns: tuple[str, ...]) -> tuple[list[str], str]:
    """The names of a table's columns, and what parts its cells."""

    def names(separator: str) -> list[str]:
        cells = next(csv.reader([line], delimiter=separator), [])
        return [name.strip().casefold() for name in cells]

    separator = max(SEPARATORS, key=lambda one: len(set(columns) & set(names(one))))
    found = names(separator)
    if len(found) > MOST_COLUMNS:
        raise BadSample(f"{path}: {len(found)} columns, and {len(columns)} are read")
    missing = [name for name in columns if name not in found]
    if missing:
        there = (
            f"its columns are {some(name[:40] for name in found)}"
            if any(found)
            else "its first line has no names"
        )
        raise BadSample(f"{path}: no column {some(missing)}; {there}")
    if twice := [name for name in dict.fromkeys(found) if name and found.count(name) > 1]:
        raise BadSample(f"{path}: two columns {some(name[:40] for name in twice)}")
    return found, separator
