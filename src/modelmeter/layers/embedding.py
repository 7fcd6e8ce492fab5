"""``torch.nn.Embedding``."""

from __future__ import annotations

from attrs import field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class Embedding(BaseLayer):
    """Table look-up (``torch.nn.functional.embedding``): reads the rows that it takes, not the table.

    Input: indices (*leading_shape); output (*leading_shape, embedding_dim).
    """

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    num_embeddings: Size
    embedding_dim: Size

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.embedding_dim)

    @property
    def own_parameters(self) -> Size:
        return self.num_embeddings * self.embedding_dim

    def operators(self) -> tuple[Operator, ...]:
        elements = multiply(self.output_shape)
        return (
            Operator(
                name="embedding",
                reads=Elements(weight=elements, index=multiply(self.leading_shape)),
                writes=Elements(activation=elements),
                backward_cuda_core_flops=vector_flops("embedding_dense_backward", elements),
            ),
        )
