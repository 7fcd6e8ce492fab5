"""Limits of the sizes of a staircase: they stand in for those of a model, which a package has under this name."""

MINIMA: dict[str, int] = {"landings": 0, "num_columns": 0, "num_rows": 0}
"""The smallest value of each size where it is not 1."""

SOURCES = frozenset({"landings"})
"""Sizes from which others follow, so that they may be left out."""

RULES: tuple[tuple[str | int, str, str], ...] = (("kept_steps", "at_most", "steps"),)
"""What holds between two sizes, in the order in which it is checked."""

ARCHITECTURE: dict[str, int] = {}
"""The sizes of the architecture that rules are about, where they are numbers in formulas."""
