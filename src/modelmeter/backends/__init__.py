"""Evaluators as code, one folder for each language."""
