"""The functions that people import: which models there are, a shipped one, and one of a config."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import sympy

from modelmeter.compiled_model import CompiledModel
from modelmeter.core.functions import INTEGER_FUNCTIONS
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.model.registry import DEFAULT, find_model, list_models
from modelmeter.support.errors import ArchitectureError
from modelmeter.support.extras import explain_missing_extra

FUNCTIONS: Final[dict[str, Callable[..., int]]] = {
    function.__name__: function.compute for function in INTEGER_FUNCTIONS
}
"""What formulas call besides arithmetic, by name, on Python integers: for ``sympy.lambdify(..., [FUNCTIONS, "math"])``.

FLOPs are then exact; of bytes the eighths are floats. :func:`modelmeter.evaluate` and the generated packages are always
exact.
"""


def symbol(name: str, model: str = DEFAULT) -> sympy.Symbol:
    """Return the symbol of a size in the formulas of a model, to be substituted.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered.
    FormulaError
        If the model has no size of this name.

    Examples
    --------
    >>> symbol("seq_len").is_positive
    True
    """
    return find_model(model).dimensions.symbol(name)


def models() -> tuple[str, ...]:
    """Return the names of the registered models.

    Examples
    --------
    >>> models()
    ('deepseek-ocr',)
    """
    return list_models()


def load(name: str = DEFAULT) -> CompiledModel:
    """Return a model from the module graph that its evaluators were compiled from; that needs no torch.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered.
    GraphError
        If its evaluators are not installed, or their module graph is damaged.

    Examples
    --------
    >>> load("deepseek-ocr").stages
    ('vision', 'projector', 'prefill', 'decode', 'request', 'training_step')
    """
    definition = find_model(name)
    return CompiledModel.open(definition, ModuleGraph.read_shipped(definition.package))


def compile(source: str | os.PathLike[str] = DEFAULT) -> CompiledModel:  # the name of what it does; see DESIGN
    """Return a model from a checkpoint's ``config.json``, or a registered one by name; needs the extra ``trace``.

    Raises
    ------
    UnknownNameError
        If ``source`` is neither a file nor the name of a model.
    ArchitectureError
        If the config is damaged, or describes no model that is registered.
    TraceError
        If torch or torchinfo is missing, or the modules cannot be traced.
    """
    from modelmeter.compiler import compile_model

    path = Path(source)
    is_file = path.suffix == ".json" or path.exists()
    definition = find_model(DEFAULT if is_file else str(source))
    if is_file and definition.read_config is None:
        raise ArchitectureError("this model reads no configs", place=definition.name, found=path)
    read = definition.read_config(path) if is_file and definition.read_config is not None else None
    architecture = definition.make_architecture() if read is None else read.architecture
    name = definition.choose_name(architecture, () if read is None else read.names)
    with explain_missing_extra():
        return compile_model(architecture, name=name)
