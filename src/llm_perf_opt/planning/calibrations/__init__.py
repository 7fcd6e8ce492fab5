"""Shipped calibrations: a YAML file each, fitted on public measurements by ``make calibrations``."""
