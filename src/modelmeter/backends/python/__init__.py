"""The evaluator package in Python."""
