"""SAM's attention with decomposed relative positions (vendor module ``deepencoder.Attention``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.cost import Elements, Operator
from modelmeter.functions import Size, differs, floor_div
from modelmeter.layers.base import BaseLayer, Shape, multiply
from modelmeter.layers.child import Child, once
from modelmeter.layers.linear import Linear
from modelmeter.layers.operators import gather_rows, read_table, resize_table, sum_over
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class Attention(BaseLayer):
    """Attention inside ``num_windows`` square windows of ``window_size`` x ``window_size`` patches.

    Input and output (num_windows, window_size, window_size, hidden_size). The bias of a score is the
    sum of a row term and a column term (decomposed relative positions, MViTv2, arXiv:2112.01526):
    two products of the queries with tables of 2 ``pretrain_grid_size`` - 1 offsets, which are resized
    where the window has another side. Global attention is one window over the whole grid.
    """

    num_windows: Size
    window_size: Size
    pretrain_grid_size: Size
    hidden_size: Size
    num_heads: Size

    @property
    def output_shape(self) -> Shape:
        return (self.num_windows, self.window_size, self.window_size, self.hidden_size)

    @property
    def head_dim(self) -> Size:
        """Channels of one head."""
        return floor_div(self.hidden_size, self.num_heads)

    @property
    def own_parameters(self) -> Size:
        return 2 * self._table_elements

    @property
    def _table_elements(self) -> Size:
        """Elements of one relative-position table: an embedding for each offset."""
        return (2 * self.pretrain_grid_size - 1) * self.head_dim

    def build_children(self) -> Mapping[str, Child]:
        leading_shape = (self.num_windows, self.window_size, self.window_size)
        return {
            "qkv": once(
                Linear(leading_shape=leading_shape, in_features=self.hidden_size, out_features=3 * self.hidden_size)
            ),
            "proj": once(
                Linear(leading_shape=leading_shape, in_features=self.hidden_size, out_features=self.hidden_size)
            ),
        }

    @property
    def own_accumulated(self) -> Elements:
        # The queries go into the two products of relative positions, and into the attention.
        return Elements(activation=2 * multiply(self.output_shape))

    def operators(self) -> tuple[Operator, ...]:
        return (*self._relative_products(), *self._relative_products(), self._attend())

    def _relative_products(self) -> tuple[Operator, ...]:
        """Return what one axis takes: resize the table, pick the offsets, multiply with the queries."""
        side = self.window_size
        needed = differs(side, self.pretrain_grid_size)
        positions = self.num_windows * side**2
        picked = side**2 * self.head_dim
        terms = positions * self.num_heads * side
        product = 2 * positions * self.hidden_size * side
        return (
            resize_table(
                "upsample_linear1d",
                source=self._table_elements,
                target=(2 * side - 1) * self.head_dim,
                needed=needed,
                reads=Elements(weight=self._table_elements),
            ),
            gather_rows(
                picked,
                indices=side**2,
                reads=read_table(picked, side=side, pretrain_side=self.pretrain_grid_size, needed=needed),
            ),
            Operator(
                name="einsum",
                tensor_core_flops=product,
                reads=Elements(activation=positions * self.hidden_size + picked),
                writes=Elements(activation=terms),
                backward_tensor_core_flops=2 * product,
            ),
        )

    def _attend(self) -> Operator:
        """Return the fused attention: row term + column term + scaled product, softmax, weighted sum."""
        positions = self.num_windows * self.window_size**2
        scores = positions * self.num_heads * self.window_size**2
        bias_terms = 2 * positions * self.num_heads * self.window_size
        products = 4 * positions * self.window_size**2 * self.hidden_size
        return Operator(
            name="decomposed_relative_attention",
            tensor_core_flops=products,
            cuda_core_flops=vector_flops("add", scores)
            + vector_flops("scaled_dot_product_attention", scores)
            + vector_flops("scaled_dot_product_attention_bias", scores),
            reads=Elements(activation=3 * positions * self.hidden_size + bias_terms),
            writes=Elements(activation=positions * self.hidden_size),
            backward_tensor_core_flops=2 * products,
            # A row term is broadcast over the columns of the keys, a column term over their rows.
            backward_cuda_core_flops=vector_flops("scaled_dot_product_attention_backward", scores)
            + 2 * sum_over(scores, self.window_size),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (features,) = inputs
        resize_rows, pick_rows, multiply_rows, resize_columns, pick_columns, multiply_columns, attend = self.operators()
        qkv = tape.call(self, "qkv", features)
        row_terms = tape.run(multiply_rows, qkv, tape.run(pick_rows, tape.run(resize_rows)))
        column_terms = tape.run(multiply_columns, qkv, tape.run(pick_columns, tape.run(resize_columns)))
        attended = tape.run(attend, qkv, row_terms, column_terms)
        return (tape.call(self, "proj", attended),)
