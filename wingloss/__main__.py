"""`python -m wingloss` is the command `wingloss`."""

import sys

from wingloss.cli.main import main

sys.exit(main())
