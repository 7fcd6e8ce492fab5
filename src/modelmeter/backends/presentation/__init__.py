"""Formulas as they are shown: one tree, which every language that people read is printed from."""
