"""What a person runs beside the graph: `python -m commands.<name>`."""

import pipeline  # noqa: F401  # checks the environment before a command imports its packages
