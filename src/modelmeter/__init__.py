"""A symbolic cost-model compiler: formulas, evaluators and pages from torch modules."""
