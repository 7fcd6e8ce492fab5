"""Evaluators without a language: what a generated function takes, checks and computes. Backends print them."""
