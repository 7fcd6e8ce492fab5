"""Analytic data models."""
