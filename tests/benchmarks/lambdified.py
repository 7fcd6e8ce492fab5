"""The formulas of the stages as sympy gives them to people who do not generate code: ``lambdify`` and ``subs``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import sympy

import deepseek_ocr_costs as costs
from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import compile_model
from modelmeter.dimensions.functions import INTEGER_FUNCTIONS
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import symbol

WORKLOAD = (
    *("batch_size", "base_size", "image_size", "num_width_tiles", "num_height_tiles"),
    *("seq_len", "logits_tokens", "decode_steps"),
)

_ARRAY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "CeilDiv": lambda a, b: -(-a // b),
    "FloorDiv": lambda a, b: a // b,
    "Differs": lambda a, b: 1 * (a != b),
    "Equals": lambda a, b: 1 * (a == b),
    "Exceeds": lambda a, b: 1 * (a > b),
    "Triangular": lambda n: n * (n + 1) // 2,
    # In floating point, as one writes it with NumPy: right to about 15 digits.
    "RoutedReads": lambda experts, chosen, tokens, weights: np.rint(
        experts * (1 - (1 - chosen / experts) ** tokens) * weights
    ),
}


@cache
def compile_formulas() -> CompiledModel:
    """Return the formulas of the published model."""
    graph = ModuleGraph.read(f"{costs.__path__[0]}/module_graph.json")
    return compile_model(DeepSeekOCRArchitecture(), graph)


def formulas_of(stages: tuple[str, ...]) -> list[sympy.Expr]:
    """Return all metrics of some stages in the sizes of the workload."""
    compiled = compile_formulas()
    formulas = [sympy.sympify(compiled.totals.by_stage[stage][metric]) for stage in stages for metric in METRICS]
    return [
        formula.xreplace(
            {
                size: sympy.Integer(compiled.defaults[size.name])
                for size in formula.free_symbols
                if size.name not in WORKLOAD
            }
        )
        for formula in formulas
    ]


def lambdify_stages(stages: tuple[str, ...], *, arrays: bool, cse: bool = True) -> Callable[..., Any]:
    """Return all metrics of some stages as one function of the sizes that differ from their defaults."""
    formulas = formulas_of(stages)
    names = sorted({size.name for formula in formulas for size in formula.free_symbols})
    scalar = {function.__name__: function.compute for function in INTEGER_FUNCTIONS}
    modules = [_ARRAY_FUNCTIONS, "numpy"] if arrays else [scalar, "math"]
    function = sympy.lambdify([symbol(name) for name in names], formulas, modules, cse=cse)
    defaults = {name: compile_formulas().defaults[name] for name in names}

    def evaluate(**sizes: Any) -> Any:
        if "logits_tokens" in defaults:
            sizes = {"logits_tokens": sizes.get("seq_len", defaults["seq_len"]), **sizes}
        return function(**(defaults | sizes))

    return evaluate
