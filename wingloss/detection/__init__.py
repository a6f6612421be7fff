"""Landmarks in pictures: the detector, its files, and where faces are."""
