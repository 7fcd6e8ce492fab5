"""Which functions are the formulas of a staircase: it stands in for a model, which a package has under these names."""

HOLDERS: dict[str, tuple[str, ...]] = {"_stages": ("bricks", "gravel", "bricks_peak_activation_bytes")}
"""The functions by the module that holds them."""

REFUSED: dict[str, str] = {}
"""Why there is no such stage, and nothing that is made of it."""

COSTS = ("bricks", "gravel")
"""The functions that return the six metrics of one cost."""
