"""Formulas as pages that people read."""
