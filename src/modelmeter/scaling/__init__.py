"""Closed-form studies of the totals."""
