"""A symbolic cost-model compiler: exact formulas of what a model costs, and evaluators and pages made of them.

>>> import modelmeter
>>> modelmeter.models()
('deepseek-ocr',)
>>> model = modelmeter.load("deepseek-ocr")  # from the module graph that is shipped: no torch
>>> model.evaluate("prefill", seq_len=913).io_bytes
13331632336
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # each is imported when it is asked for, so that reading one name takes no time for the others
    from modelmeter.api import FUNCTIONS, compile, load, models, symbol
    from modelmeter.compiled_model import CompiledModel
    from modelmeter.dimensions.evaluate import evaluate
    from modelmeter.frontend.page_sizes import page_sizes
    from modelmeter.metrics.cost import Cost
    from modelmeter.metrics.metric import Metric
    from modelmeter.support.errors import ModelMeterError

__all__ = [
    "FUNCTIONS",
    "CompiledModel",
    "Cost",
    "Metric",
    "ModelMeterError",
    "compile",
    "evaluate",
    "load",
    "models",
    "page_sizes",
    "symbol",
]

_PLACES = {
    "FUNCTIONS": "modelmeter.api",
    "CompiledModel": "modelmeter.compiled_model",
    "Cost": "modelmeter.metrics.cost",
    "Metric": "modelmeter.metrics.metric",
    "ModelMeterError": "modelmeter.support.errors",
    "compile": "modelmeter.api",
    "evaluate": "modelmeter.dimensions.evaluate",
    "load": "modelmeter.api",
    "page_sizes": "modelmeter.frontend.page_sizes",
    "symbol": "modelmeter.api",
}


def __getattr__(name: str) -> Any:
    if name in ("models", "scaling"):  # folders; that of the models is also the function that lists them
        return import_module(f"modelmeter.{name}")
    if name not in _PLACES:
        # With the module, Python names what comes close.
        problem = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(problem, name=name, obj=sys.modules[__name__])
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
