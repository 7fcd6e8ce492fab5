"""Configs of transformers: found by a file, a type or a card, checked, and completed with what they leave out."""
