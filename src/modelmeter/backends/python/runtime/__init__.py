"""What stands in every evaluator package as it is: arrays, grids, frozen evaluators, and the checks of arguments.

Each module here is copied behind a header, under its own name, into a package whose ``_formulas`` are those of a model;
the ones here are those of a staircase, so that all of it runs, and is checked, in place.
"""
