"""Runs of proofs."""
