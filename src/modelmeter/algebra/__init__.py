"""Exact algebra over integer polynomials, from formulas to small integer programs."""
