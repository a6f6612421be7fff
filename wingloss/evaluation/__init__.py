"""Errors, their significance, baselines, and near-duplicate pictures."""
