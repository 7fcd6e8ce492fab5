"""Limits of the sizes of a staircase: they stand in for those of a model, which a package has under this name."""

MINIMA: dict[str, int] = {"landings": 0, "num_columns": 0, "num_rows": 0}
"""The smallest value of each size where it is not 1."""

DERIVED: dict[str, tuple[str, str, int]] = {"kept_steps": ("steps", "", 0), "steps": ("1 + landings", "landings", 6)}
"""Sizes that may be left out: what each one is then, which other size it follows from, and the default of this."""

SOURCES = frozenset({"landings"})
"""Sizes from which others follow, so that they may be left out."""

INTERMEDIATES: dict[str, tuple[str, ...]] = {}
"""What rules speak of that is no size of a caller, with the sizes that it is made of."""

RULES: tuple[tuple[str | int, str, str], ...] = (("kept_steps", "at_most", "steps"),)
"""What holds between two sizes, in the order in which it is checked."""

ARCHITECTURE: dict[str, int] = {}
"""The sizes of the architecture that rules are about, where they are numbers in formulas."""
