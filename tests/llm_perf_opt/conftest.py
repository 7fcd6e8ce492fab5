"""The published model, compiled from the shipped module graph: no torch, and a second instead of ten."""

from __future__ import annotations

import pytest

from llm_perf_opt.commands.sources import architecture_of, read_graph
from modelmeter.compiler import CompiledModel, compile_model


@pytest.fixture(scope="session")
def compiled() -> CompiledModel:
    """The published model."""
    graph = read_graph(None)
    return compile_model(architecture_of(graph), graph)
