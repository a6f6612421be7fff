"""One module per graph node: files in, files out. They don't import each other."""

import pipeline  # noqa: F401  # checks the environment before a node imports its packages
