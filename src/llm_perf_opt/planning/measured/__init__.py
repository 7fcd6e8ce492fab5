"""Public measurements with their sources, what of them can be predicted, and the page that compares the two."""
