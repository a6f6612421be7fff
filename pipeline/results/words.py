"""Words that tables, claims and studies say alike."""


def counted(number: int, what: str) -> str:
    """So many of something, such as '1 run' and '3 runs'."""
    return f"{number} {what}{'s' * (number != 1)}"


def table_cell(text: str) -> str:
    """Text that stays in its cell of a Markdown table."""
    return line(text).replace("|", "\\|")


def line(text: str) -> str:
    """Text that stays on its line of Markdown, and is no HTML."""
    return " ".join(text.split()).replace("<", "&lt;")
