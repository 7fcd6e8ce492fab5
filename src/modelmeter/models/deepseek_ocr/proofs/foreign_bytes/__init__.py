"""Bytes and live storages of the transformers implementation, and the cause of each difference from ours."""
