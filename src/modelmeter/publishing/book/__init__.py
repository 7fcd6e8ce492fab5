"""The formulas as a book: one set of records and studies, and the typesetters that make a PDF of them."""
