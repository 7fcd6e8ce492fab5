"""Stages of a model through other counters of FLOPs, and the cause of each difference."""
