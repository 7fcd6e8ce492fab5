"""Placeholder until the compiler runs."""
