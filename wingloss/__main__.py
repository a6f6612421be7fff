"""`python -m wingloss` is the command `wingloss`."""

import sys

from wingloss.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
