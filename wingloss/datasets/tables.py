"""CSV tables with a header, read with their line numbers."""

import csv
from collections.abc import Iterable
from pathlib import Path

from wingloss.datasets.record import BadSample, number

Row = dict[str, str]


def rows(path: Path, columns: tuple[str, ...]) -> list[tuple[str, Row]]:
    """The rows of a CSV file, each with its file and line; :func:`check` them one by one.

    Raises:
        BadSample: no such file, not a CSV file, or a column that is missing or there twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or [])]
            if missing:
                raise BadSample(f"{path}: no column {', '.join(missing)}")
            names = reader.fieldnames or []
            if twice := [name for name in columns if names.count(name) > 1]:
                raise BadSample(f"{path}: two columns {', '.join(twice)}")
            return [(f"{path}:{reader.line_num}", row) for row in reader]
    except FileNotFoundError:
        raise BadSample(f"{path}: no such file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadSample(f"{path}: not a CSV file in UTF-8 ({error})") from error


def check(row: Row, columns: Iterable[str], where: str) -> None:
    """Whether a row has a cell for each of ``columns``, and none beyond the header's.

    Raises:
        BadSample: it is short or long.
    """
    if any(row[name] is None for name in columns):
        raise BadSample(f"{where}: too few columns")
    if None in row:  # such as of decimal commas, which would shift all that follows
        raise BadSample(f"{where}: more cells than columns")


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
            raise BadSample(f"{where}: {name} is '{row[name]}', no number") from None
    return values
