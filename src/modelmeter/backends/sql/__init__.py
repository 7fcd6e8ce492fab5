"""SQL: the evaluators of stages as queries over a table of workloads."""
