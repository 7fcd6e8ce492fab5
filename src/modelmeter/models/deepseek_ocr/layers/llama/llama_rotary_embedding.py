"""The rotary position embedding (vendor module ``LlamaRotaryEmbedding``)."""

from __future__ import annotations

from attrs import evolve, frozen

from modelmeter.dimensions.functions import Size, divide
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.operators import apply_pointwise, cast_indices, narrow
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator


@frozen(kw_only=True, slots=False)
class LlamaRotaryEmbedding(BaseLayer):
    """Cosines and sines (arXiv:2104.09864) of the angles position x frequency, in float32 until the end.

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
        half, angles = divide(positions * self.head_dim, 2), positions * self.head_dim
        wide, halves = Elements(float32=angles), Elements(float32=half)

        def apply(name: str) -> Operator:
            # Angles are not learned.
            return apply_pointwise(name, angles, reads=wide, writes=wide, gradients=Elements())

        return (
            # One row of positions is expanded over the sequences: it is read once.
            cast_indices(self.num_queries, positions),
            Operator(
                name="bmm",
                # 2 FLOPs x (head_dim / 2) frequencies x positions; the inner size is 1.
                tensor_core_flops=angles,
                reads=Elements(float32=divide(self.head_dim, 2) + positions),
                writes=halves,
                gradients=Elements(),
            ),
            # The same angles for both halves of a head.
            Operator(name="cat", reads=halves, writes=wide, gradients=Elements()),
            apply("cos"),
            apply("sin"),
            # The attention scaling.
            apply("mul"),
            apply("mul"),
            evolve(narrow(angles), gradients=Elements()),
            evolve(narrow(angles), gradients=Elements()),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        cast, multiply_angles, join, take_cos, take_sin, scale_cos, scale_sin, narrow_cos, narrow_sin = (
            self.own_operators
        )
        positions = tape.run(cast, *inputs)
        angles = tape.run(multiply_angles, positions)
        both_halves = tape.run(join, angles)
        raw_cos = tape.run(take_cos, both_halves)
        raw_sin = tape.run(take_sin, both_halves)
        cos = tape.run(scale_cos, raw_cos)
        sin = tape.run(scale_sin, raw_sin)
        outputs = (tape.cast(narrow_cos, cos), tape.cast(narrow_sin, sin))
        tape.keep(positions, angles, both_halves, cos, sin)
        return outputs
