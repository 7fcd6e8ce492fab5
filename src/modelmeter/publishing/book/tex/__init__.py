"""The book in LaTeX, and the PDF that TeX makes of it."""
