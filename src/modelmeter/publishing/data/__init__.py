"""The formulas as data, for people and programs that know nothing of this library."""
