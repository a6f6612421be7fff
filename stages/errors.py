"""Errors that are the user's to mend."""


class UserError(Exception):
    """One line that names the file or key and says what to do; shown without a traceback."""
