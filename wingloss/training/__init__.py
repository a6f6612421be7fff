"""The training loop, and how a step runs on each device."""
