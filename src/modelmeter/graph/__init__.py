"""The module graph: what TorchInfo saw of torch modules, with alike siblings merged."""
