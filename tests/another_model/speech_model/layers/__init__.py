"""The layers of the speech model."""
