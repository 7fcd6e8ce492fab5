"""The layer library: primitives with costs of their own, and the base class."""
