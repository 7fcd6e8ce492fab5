"""Facts about a staircase: they stand in for those of a model, which an evaluator package has under this name."""

PAIRS: dict[str, tuple[str, str]] = {"num_cells": ("num_columns", "num_rows")}
"""What stands for two sizes where it is an axis of a grid."""
