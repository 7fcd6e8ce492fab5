"""Independent counts that the formulas must equal."""
