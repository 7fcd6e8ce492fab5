"""The same stages through other counters of FLOPs, and the cause of each difference."""
