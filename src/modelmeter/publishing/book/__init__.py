"""The formulas as a book: LaTeX from the records of the pages, and the PDF that TeX makes of it."""
