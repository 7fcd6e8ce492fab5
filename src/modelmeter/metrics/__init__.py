"""What is counted: the metrics, the cost of an operator, and the table that weighs operators."""
