"""Predictions as tables, figures, claims and the report read them; the paper as data."""
