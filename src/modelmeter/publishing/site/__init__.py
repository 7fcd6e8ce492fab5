"""The formulas as a static site: the records of the pages, with one more set of templates."""
