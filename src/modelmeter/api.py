"""The functions that people import: which models there are, a shipped one, and one of a config."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import sympy

from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.functions import INTEGER_FUNCTIONS
from modelmeter.frontend.compiled_folder import is_folder, open_folder
from modelmeter.frontend.configs.sources import find_config, is_traced
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.model.registry import DEFAULT, find_model, list_models
from modelmeter.support.errors import ArchitectureError
from modelmeter.support.extras import INSTALL_TRANSFORMERS, explain_missing_extra

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


def load(name: str | os.PathLike[str] = DEFAULT) -> CompiledModel:
    """Return a model from the module graph that its evaluators were compiled from; that needs no torch.

    Parameters
    ----------
    name
        A registered name, or a folder that ``modelmeter compile`` wrote of any model.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered.
    FolderError
        If the folder holds no compiled model.
    GraphError
        If its evaluators are not installed, or their module graph is damaged.

    Examples
    --------
    >>> load("deepseek-ocr").stages
    ('vision', 'projector', 'prefill', 'decode', 'request', 'training_step')
    """
    name = os.fspath(name)
    definition = find_model(open_folder(name) if is_folder(name) else name)
    return CompiledModel.open(definition, ModuleGraph.read_shipped(definition.package))


def compile(  # the name of what it does; see DESIGN
    source: str | os.PathLike[str] | Mapping[str, Any] = DEFAULT,
    *,
    name: str | None = None,
    general: bool = False,
    training: bool = False,
) -> CompiledModel:
    """Return a model from a config, or a registered one by name; needs the extra ``trace``.

    A config of a registered family goes to its layers. That of any other causal decoder of transformers, or one of its
    model types, which stands for its default config, is traced; that needs the extra ``transformers``. The model is
    then registered in this process.

    Parameters
    ----------
    source
        A ``config.json``, the folder of one, its fields, a registered name, a model type of transformers, or the name
        of a model card. A text that is such a name stands for that, also where a folder is called so: that is
        ``./llama``, or a ``Path``.
    name
        What the model is called; else as its config says.
    general
        Whether the sizes of the config of a decoder that is traced become symbols, as those of a registered model
        always are; it takes longer. Where that cannot be done, the conventions of its definition say why.
    training
        Whether a text decoder that is traced gets a training step, as a registered model may have; it takes longer.
        Where that cannot be done, the conventions say why.

    Raises
    ------
    UnknownNameError
        If ``source`` is neither a file nor the name of a model.
    ArchitectureError
        If ``source`` is none of these, or the config is damaged, contradicts itself, or describes no such model.
    TraceError
        If torch, torchinfo or transformers is missing, or the modules cannot be traced.
    CountError
        If a formula cannot be made exactly: the message names the operator, or the size that a trace pins.

    Examples
    --------
    >>> model = compile({"model_type": "llama"}, name="Tiny")  # doctest: +SKIP
    >>> model.evaluate("prefill", seq_len=913).kv_cache_bytes  # doctest: +SKIP
    478674944
    """
    if not isinstance(source, str | os.PathLike | Mapping):
        raise ArchitectureError(
            "a model is not made of this", place="source", found=repr(source),
            expected="a config.json, the folder of one, its fields as a mapping, a registered name, a model type of "
            "transformers, or the name of a model card",
        )  # fmt: skip
    from modelmeter.compiler import compile_model

    if is_traced(source):
        with explain_missing_extra(
            "tracing any model", "torch, torchinfo and transformers", remedy=INSTALL_TRANSFORMERS
        ):
            from modelmeter.frontend.compile import compile_config
        return compile_config(source, name=name, general=general, training=training).compiled
    path = Path(find_config(cast("str | os.PathLike[str]", source)))
    is_file = path.suffix == ".json" or (path.exists() and source not in list_models())
    definition = find_model(DEFAULT if is_file else str(source))
    if is_file and definition.read_config is None:
        raise ArchitectureError("this model reads no configs", place=definition.name, found=path)
    read = definition.read_config(path) if is_file and definition.read_config is not None else None
    architecture = definition.make_architecture() if read is None else read.architecture
    chosen = definition.choose_name(architecture, () if read is None else read.names, chosen=name)
    with explain_missing_extra():
        return compile_model(architecture, name=chosen)
