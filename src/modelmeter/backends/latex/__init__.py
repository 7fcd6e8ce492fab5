"""LaTeX from presentation trees."""
