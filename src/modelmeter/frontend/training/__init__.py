"""Training steps of traced models: a forward without a cache, and the backward of it, module by module."""
