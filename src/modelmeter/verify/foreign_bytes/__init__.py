"""Bytes and live storages of two implementations of one model, and the causes of their differences."""
