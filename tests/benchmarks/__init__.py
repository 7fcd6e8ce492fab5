"""Benchmarks: ratios and parts, never asserted by a test. Run them with ``make bench``."""
