"""Markdown with formulas in it, from presentation trees."""
