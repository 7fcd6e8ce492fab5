"""The mixture-of-experts decoder."""
