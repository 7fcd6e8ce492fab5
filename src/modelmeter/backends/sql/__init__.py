"""SQL: the evaluators of stages and of layers as queries over a table of workloads."""
