"""Programs that produce reports."""
