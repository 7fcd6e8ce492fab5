"""Models that the compiler describes."""
