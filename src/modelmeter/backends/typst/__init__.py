"""Formulas in Typst."""
