"""Formulas of a whole model: bound modules, totals, peaks, the catalogue of layers, and evidence."""
