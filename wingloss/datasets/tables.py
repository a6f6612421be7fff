"""CSV tables with a header, read with their line numbers."""

import csv
from pathlib import Path

from wingloss.datasets.record import BadSample


def rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file, each with its line number.

    Raises:
        BadSample: no such file, not a CSV file, a column that is missing or there twice, or a
            row that is short or long.
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
            found = [(reader.line_num, row) for row in reader]
    except FileNotFoundError:
        raise BadSample(f"{path}: no such file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadSample(f"{path}: not a CSV file in UTF-8 ({error})") from error
    for line, row in found:
        if any(row[name] is None for name in columns):
            raise BadSample(f"{path}:{line}: too few columns")
        if None in row:  # such as of decimal commas, which would shift all that follows
            raise BadSample(f"{path}:{line}: more cells than columns")
    return found


def numbers(row: dict[str, str], columns: list[str], where: str) -> list[float]:
    """The numbers of a row's ``columns``.

    Raises:
        BadSample: one of them is no number.
    """
    values = []
    for name in columns:
        try:
            values.append(float(row[name]))
        except ValueError:
            raise BadSample(f"{where}: {name} is '{row[name]}', no number") from None
    return values
