"""Coefficients from measurements: fitted with bounds, left out in turn, and only as many as the data determines."""
