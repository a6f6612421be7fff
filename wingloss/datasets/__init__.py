"""Readers and writers of the data sets' raw formats."""
