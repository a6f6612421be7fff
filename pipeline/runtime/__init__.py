"""How a stage runs: command line, locks, progress, provenance, the machine."""
