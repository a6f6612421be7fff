"""One training: what it is, how it is run, and the store of finished ones."""
