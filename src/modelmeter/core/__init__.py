"""The words of every formula: sizes, integer functions, costs, the operator table, and their evaluation."""
