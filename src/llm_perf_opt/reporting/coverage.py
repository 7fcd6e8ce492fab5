"""The coverage ledger: which layer models each class of a traced model, which needs none, and which has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import isabstract
from typing import Final, Literal

from attrs import frozen

from llm_perf_opt.data import OperatorSpec, TargetOperatorList
from modelmeter.layers.base import BaseLayer
from modelmeter.models.deepseek_ocr.build import build_layers, symbolic_sizes

Coverage = Literal["modelled", "needs none", "unmodelled"]

_NEEDS_NONE: Final[Mapping[str, str]] = {
    "ModuleList": "only holds modules",
    "ModuleDict": "only holds modules",
    "Sequential": "only calls its modules one after the other",
    "Identity": "hands its input on",
    "Dropout": "hands its input on, in inference",
    "Flatten": "only changes the layout",
    "Unflatten": "only changes the layout",
}
"""PyTorch's classes without work of their own, and why they have none."""


@frozen(kw_only=True)
class CoverageEntry:
    """One class of a traced model.

    Parameters
    ----------
    operator
        The class.
    coverage
        Whether a layer models it.
    reason
        The module of ``modelmeter`` with the layer, or why none is needed, or the class that lacks one.
    """

    operator: OperatorSpec
    coverage: Coverage
    reason: str


def compare_with_layers(operators: TargetOperatorList) -> tuple[CoverageEntry, ...]:
    """Return an entry for every class, in the order of the list.

    Classes go by their names, since the vendor's remote code has another package on every machine. PyTorch's own
    are told from custom ones of the same name.
    """
    layers: dict[tuple[str, bool], type[BaseLayer]] = {}
    for tree in build_layers(symbolic_sizes()).values():
        for layer in _walk(tree):
            layers.setdefault((layer.torch_class(), _models_builtin(layer)), type(layer))
    return tuple(_compare(operator, layers) for operator in operators.operators)


def _compare(operator: OperatorSpec, layers: Mapping[tuple[str, bool], type[BaseLayer]]) -> CoverageEntry:
    if operator.is_pytorch_builtin and operator.class_name in _NEEDS_NONE:
        return CoverageEntry(operator=operator, coverage="needs none", reason=_NEEDS_NONE[operator.class_name])
    layer = layers.get((operator.class_name, operator.is_pytorch_builtin))
    if layer is None:
        return CoverageEntry(operator=operator, coverage="unmodelled", reason=operator.class_name_qualified)
    return CoverageEntry(operator=operator, coverage="modelled", reason=layer.__module__.removeprefix("modelmeter."))


def _walk(layer: BaseLayer) -> Iterator[BaseLayer]:
    """Yield a layer and all below it, called or not."""
    yield layer
    for child in layer.children.values():
        yield from _walk(child.layer)


def _models_builtin(layer: BaseLayer) -> bool:
    """Tell whether a layer models one of PyTorch's own classes: the primitives, and those made from them."""
    kinds = (kind for kind in type(layer).__mro__ if not isabstract(kind))  # a base class models nothing by itself
    return any(kind.__module__.startswith("modelmeter.layers.") for kind in kinds)
