"""Measurements that are run by hand; what they printed stands in the documentation."""

import sys


def arguments(usage: str | None, least: int = 1) -> list[str]:
    """The command line's arguments.

    Raises:
        SystemExit: there are fewer than ``least``, or help is asked for; it shows ``usage``.
    """
    given = sys.argv[1:]
    if len(given) < least or {"-h", "--help"} & set(given):
        raise SystemExit(usage)
    return given
