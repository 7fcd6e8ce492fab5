"""Sizes of a config as symbols: interpolated over counts of small models of the same family."""
