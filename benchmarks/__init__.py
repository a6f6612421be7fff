"""Measurements that are run by hand; what they printed stands in the documentation."""
