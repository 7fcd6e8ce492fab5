"""The coverage ledger: which layer models each class of a traced model, which needs none, and which has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import isabstract
from typing import Final, Literal

from attrs import frozen

from llm_perf_opt.data import OperatorSpec, TargetOperatorList
from modelmeter.layers.base import BaseLayer
from modelmeter.model.registry import find_model

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

_TORCH_MODULES: Final[Mapping[str, str]] = {
    "Linear": "linear", "Identity": "linear", "Conv2d": "conv", "Embedding": "sparse", "LayerNorm": "normalization",
    "GELU": "activation", "SiLU": "activation", "ModuleList": "container", "ModuleDict": "container",
    "Sequential": "container", "Dropout": "dropout", "Flatten": "flatten", "Unflatten": "flatten",
}  # fmt: skip
"""The modules of ``torch.nn.modules`` that bring them, and those that layers model."""

_VENDOR_MODULES: Final[Mapping[str, str]] = {
    "core": "modeling_deepseekocr", "decoder": "modeling_deepseekv2", "vision": "deepencoder",
}  # fmt: skip
"""The files of the vendor's remote code, by the folder of the layers that model their classes."""

_LLAMA: Final = "transformers.models.llama.modeling_llama"
_REMOTE: Final = "transformers_modules"
"""The package that transformers puts remote code into, below the name or the revision of a checkpoint."""

_REFERENCE: Final = "modelmeter.models.deepseek_ocr.reference"


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

    A class is modelled by its name and by the module that it is from: PyTorch's own, the vendor's remote code, whose
    package has another name on every machine, transformers' Llama, or our reference. A class of the same name from
    elsewhere is another class, and unmodelled.
    """
    layers: dict[str, list[type[BaseLayer]]] = {}
    definition = find_model()
    for tree in definition.build_layers(definition.symbolic_sizes()).values():
        for layer in _walk(tree):
            if type(layer) not in layers.setdefault(layer.torch_class(), []):
                layers[layer.torch_class()].append(type(layer))
    return tuple(_compare(operator, layers) for operator in operators.operators)


def _compare(operator: OperatorSpec, layers: Mapping[str, Sequence[type[BaseLayer]]]) -> CoverageEntry:
    if operator.class_name in _NEEDS_NONE and _is_from_torch(operator):
        return CoverageEntry(operator=operator, coverage="needs none", reason=_NEEDS_NONE[operator.class_name])
    for layer in layers.get(operator.class_name, ()):
        if _is_from_torch(operator) if _models_builtin(layer) else _is_from_model(operator, layer):
            reason = layer.__module__.removeprefix("modelmeter.")
            return CoverageEntry(operator=operator, coverage="modelled", reason=reason)
    return CoverageEntry(operator=operator, coverage="unmodelled", reason=operator.class_name_qualified)


def _is_from_torch(operator: OperatorSpec) -> bool:
    """Tell whether a class is the plain one of PyTorch, and not the quantised one of the same name, say."""
    module = f"torch.nn.modules.{_TORCH_MODULES.get(operator.class_name)}"
    return operator.is_pytorch_builtin and _module_of(operator) == module


def _is_from_model(operator: OperatorSpec, layer: type[BaseLayer]) -> bool:
    """Tell whether a class is from where the classes are from that the layers of this layer's folder model."""
    module, folder = _module_of(operator), layer.__module__.split(".")[-2]
    if operator.is_pytorch_builtin:
        return False
    if module.startswith(_REFERENCE):
        return True
    if folder == "llama":
        return module == _LLAMA
    package, _, file = module.rpartition(".")
    # Without a package: the vendor's files, run where they lie.
    return file == _VENDOR_MODULES[folder] and package.partition(".")[0] in (_REMOTE, "")


def _module_of(operator: OperatorSpec) -> str:
    return operator.class_name_qualified.rpartition(".")[0]


def _walk(layer: BaseLayer) -> Iterator[BaseLayer]:
    """Yield a layer and all below it, called or not."""
    yield layer
    for child in layer.children.values():
        yield from _walk(child.layer)


def _models_builtin(layer: type[BaseLayer]) -> bool:
    """Tell whether a layer models one of PyTorch's own classes: the primitives, and those made from them."""
    kinds = (kind for kind in layer.__mro__ if not isabstract(kind))  # a base class models nothing by itself
    return any(kind.__module__.startswith("modelmeter.layers.") for kind in kinds)
