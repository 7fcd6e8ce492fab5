"""Activation modules of ``torch.nn``."""

from __future__ import annotations

from attrs import field, frozen

from modelmeter.dimensions.symbols import symbol
from modelmeter.layers.base import BaseLayer, Shape, multiply
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops


def _row_shape() -> Shape:
    return (symbol("num_tokens"), symbol("hidden_size"))


@frozen(kw_only=True, slots=False)
class Activation(BaseLayer):
    """Base class of activation modules: one output element for each input element, ``shape`` of them."""

    shape: Shape = field(metadata={"canonical": _row_shape})

    @classmethod
    def function_name(cls) -> str:
        return cls.__name__.lower()

    @property
    def output_shape(self) -> Shape:
        return self.shape

    def operators(self) -> tuple[Operator, ...]:
        elements, function = multiply(self.shape), self.torch_class().lower()
        return (
            Operator(
                name=function,
                cuda_core_flops=vector_flops(function, elements),
                reads=Elements(activation=elements),
                writes=Elements(activation=elements),
                backward_cuda_core_flops=vector_flops(f"{function}_backward", elements),
            ),
        )


@frozen(kw_only=True, slots=False)
class GELU(Activation):
    """``x Phi(x)`` with the error function (``torch.nn.functional.gelu``)."""


@frozen(kw_only=True, slots=False)
class SiLU(Activation):
    """``x / (1 + exp(-x))`` (``torch.nn.functional.silu``)."""
