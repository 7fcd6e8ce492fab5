"""Lines of text for a terminal, from presentation trees."""
