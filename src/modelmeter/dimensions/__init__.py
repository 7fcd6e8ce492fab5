"""The sizes of every formula: their names and symbols, integer functions, rules between them, and their evaluation."""
