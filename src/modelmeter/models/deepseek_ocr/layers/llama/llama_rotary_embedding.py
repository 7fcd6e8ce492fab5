"""The rotary position embedding (vendor module ``LlamaRotaryEmbedding``)."""

from __future__ import annotations

from attrs import frozen

from modelmeter.cost import Elements, Operator
from modelmeter.functions import Size, divide
from modelmeter.layers.base import BaseLayer, Shape, multiply
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class LlamaRotaryEmbedding(BaseLayer):
    """Cosines and sines (arXiv:2104.09864) of the angles position x frequency.

    Output: two tensors (batch_size, num_queries, head_dim). The angles are a matrix product of
    head_dim / 2 frequencies with the positions of each sequence, in every decoder layer.
    """

    batch_size: Size
    num_queries: Size
    head_dim: Size

    @property
    def output_shape(self) -> Shape:
        return (self.batch_size, self.num_queries, self.head_dim)

    def operators(self) -> tuple[Operator, ...]:
        positions = self.batch_size * self.num_queries
        angles = positions * self.head_dim
        # Cosine, sine, and the product of each with the attention scaling.
        flops: Size = sum(vector_flops(name, angles) for name in ("cos", "sin", "mul", "mul"))
        return (
            Operator(
                name="LlamaRotaryEmbedding",
                # 2 FLOPs x (head_dim / 2) frequencies x positions; the inner size is 1.
                tensor_core_flops=angles,
                cuda_core_flops=flops,
                # One row of positions is expanded over the sequences: it is read once.
                reads=Elements(activation=divide(self.head_dim, 2), index=self.num_queries),
                writes=Elements(activation=2 * angles),
                gradients=Elements(),  # angles are not learned
            ),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        angles = multiply(self.output_shape)
        return tape.run_all((angles, angles), *inputs)
