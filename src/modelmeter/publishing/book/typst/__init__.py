"""The book in Typst, and the PDF that Typst makes of it, where TeX is missing."""
