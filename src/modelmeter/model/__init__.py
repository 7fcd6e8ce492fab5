"""What general code knows of a model: one record, found in a registry."""
