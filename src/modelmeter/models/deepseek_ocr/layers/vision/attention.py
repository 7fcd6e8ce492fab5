"""SAM's attention with decomposed relative positions (vendor module ``deepencoder.Attention``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from modelmeter.dimensions.functions import Size, are_several, differs, equals, floor_div
from modelmeter.layers.base import BaseLayer, Shape, multiply
from modelmeter.layers.child import Child, once
from modelmeter.layers.linear import Linear
from modelmeter.layers.operators import (
    apply_pointwise,
    attend,
    copy,
    gather_rows,
    narrow,
    read_table,
    resize_table,
    sum_over,
    widen_weights,
)
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator


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

    @property
    def _has_windows(self) -> Size:
        """1 where queries, keys and values are copied, head by head: one window's heads are a view."""
        return differs(self.num_windows, 1) * differs(self.num_heads, 1)

    @property
    def _has_sequences(self) -> Size:
        """1 where there is more than one window or head, over more than one position a side."""
        return are_several(self.num_windows, self.num_heads) * differs(self.window_size, 1)

    def operators(self) -> tuple[Operator, ...]:
        positions = self.num_windows * self.window_size**2
        features, scores = positions * self.hidden_size, positions * self.num_heads * self.window_size**2
        terms = positions * self.num_heads * self.window_size
        is_wide = differs(self.window_size, 1)
        copy_columns = equals(self.num_windows, 1) * differs(self.num_heads, 1) * is_wide
        return (
            copy(3 * features).scale(self._has_windows),
            *self._pick_relative_positions(),
            *self._pick_relative_positions(),
            # A product for each row: its queries have to be beside each other.
            copy(features).scale(self._has_sequences),
            self._multiply_relative_positions(),
            copy(features).scale(copy_columns),
            self._multiply_relative_positions(),
            # The terms come out row by row, and column by column.
            copy(terms).scale(self._has_sequences),
            copy(terms).scale(is_wide),
            apply_pointwise(
                "add",
                scores,
                reads=Elements(activation=2 * terms),
                # A row term is broadcast over the columns of the keys, a column term over their rows.
                backward_cuda_core_flops=2 * sum_over(scores, self.window_size),
            ),
            attend(
                sequences=self.num_windows,
                queries=self.window_size**2,
                keys=self.window_size**2,
                num_heads=self.num_heads,
                query_width=self.hidden_size,
                key_width=self.hidden_size,
                has_bias=True,
            ),
        )

    def _pick_relative_positions(self) -> tuple[Operator, ...]:
        """Return what one axis takes: resize the table where it must, compute the offsets, pick their rows."""
        side = self.window_size
        needed = differs(side, self.pretrain_grid_size)
        pairs, picked, resized = side**2, side**2 * self.head_dim, (2 * side - 1) * self.head_dim
        # Coordinates are numbers for a moment, of the type of activations; they are not learned.
        coordinates = apply_pointwise("mul", side, reads=Elements(index=side))
        table = Elements(activation=pairs)
        return (
            widen_weights(self._table_elements).scale(needed),
            resize_table("upsample_linear1d", source=self._table_elements, target=resized).scale(needed),
            narrow(resized).scale(needed),
            coordinates,
            coordinates,
            apply_pointwise("sub", pairs, reads=Elements(activation=2 * side), gradients=Elements()),
            apply_pointwise("add", pairs, reads=table, gradients=Elements()),
            Operator(name="_to_copy", reads=table, writes=Elements(index=pairs), gradients=Elements()),
            gather_rows(
                picked, indices=pairs, reads=read_table(picked, side=side, pretrain_side=self.pretrain_grid_size)
            ),
        )

    def _multiply_relative_positions(self) -> Operator:
        """Return the product of the queries with the embeddings of one axis."""
        positions = self.num_windows * self.window_size**2
        product = 2 * positions * self.hidden_size * self.window_size
        picked = self.window_size**2 * self.head_dim
        return Operator(
            name="bmm",
            tensor_core_flops=product,
            reads=Elements(activation=positions * self.hidden_size + picked),
            writes=Elements(activation=positions * self.num_heads * self.window_size),
            backward_tensor_core_flops=2 * product,
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (features,) = inputs
        copy_heads, *rest = self.own_operators
        axis = len(self._pick_relative_positions())
        rows, columns, rest = rest[:axis], rest[axis : 2 * axis], rest[2 * axis :]
        copy_rows, multiply_rows, copy_columns, multiply_columns, join_rows, join_columns, add, attend_with_bias = rest
        projected = tape.call(self, "qkv", features)
        # What is projected stays alive beside its copy, which is empty where there is none.
        qkv = tape.run(copy_heads, projected)
        row_positions = self._replay_axis(tape, rows)
        column_positions = self._replay_axis(tape, columns)
        row_queries = tape.run(copy_rows, qkv, projected)
        row_terms = tape.run(multiply_rows, row_queries, qkv, projected, row_positions)
        column_queries = tape.run(copy_columns, qkv, projected)
        column_terms = tape.run(multiply_columns, column_queries, qkv, projected, column_positions)
        with tape.only_if(self._has_sequences):
            row_terms = self._replay_join(tape, join_rows, row_terms)
        with tape.only_if(differs(self.window_size, 1)):
            column_terms = self._replay_join(tape, join_columns, column_terms)
        tape.keep(row_positions, column_positions)
        bias = tape.run(add, row_terms, column_terms)
        attended = tape.run(attend_with_bias, qkv, projected, bias)
        output = tape.call(self, "proj", attended)
        tape.keep(projected, qkv, row_terms, column_terms, bias)
        return (output,)

    def _replay_axis(self, tape: Tape, operators: Sequence[Operator]) -> Buffer:
        """Record what one axis takes, and return the embeddings of all offsets."""
        to_float32, resize, to_activations, place_queries, place_keys, subtract, shift, to_indices, pick = operators
        needed = differs(self.window_size, self.pretrain_grid_size)
        with tape.only_if(needed):
            wide = tape.run(to_float32)
            resized = tape.run(resize, wide)
            table = tape.cast(to_activations, resized)
            tape.keep(wide)
        queries = tape.run(place_queries, Buffer(place_queries.reads))
        keys = tape.run(place_keys, Buffer(place_keys.reads))
        offsets = tape.run(to_indices, tape.run(shift, tape.run(subtract, queries, keys)))
        tape.keep(queries, keys)
        return tape.run(pick, offsets, table)

    def _replay_join(self, tape: Tape, join: Operator, terms: Buffer) -> Buffer:
        """Record the copy of terms into the order of the queries; where there is none, the terms are in it."""
        (joined,) = tape.run_all(join, (terms.elements,), terms)
        return joined
