"""The front end for any causal decoder of transformers: from a config to formulas, without a layer library."""
