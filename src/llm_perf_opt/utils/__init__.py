"""Paths and loaders."""
