"""Errors that the user can fix."""

from wingloss.datasets.names import printable


class UserError(Exception):
    """One line that names the file or key and says what to do; shown without a traceback.

    A page that says where to get something may follow, as more lines.
    """

    def __init__(self, message: str, *more: str) -> None:
        super().__init__("\n".join(printable(line) for line in (message, *more)))
