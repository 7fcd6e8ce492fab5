"""SAM's block (vendor module ``deepencoder.Block``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size, are_several, ceil_div, differs
from modelmeter.layers.base import Shape, multiply
from modelmeter.layers.child import Child, once
from modelmeter.layers.layer_norm import LayerNorm
from modelmeter.layers.operators import copy
from modelmeter.layers.residual import ResidualBlock
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.models.deepseek_ocr.layers.vision.attention import Attention
from modelmeter.models.deepseek_ocr.layers.vision.mlp_block import MLPBlock


@frozen(kw_only=True, slots=False)
class Block(ResidualBlock):
    """Attention in windows and an MLP, each behind a norm and with a residual add.

    Input and output (num_views, grid_size, grid_size, hidden_size). The grid is padded to
    ceil(grid_size / window_size) whole windows a side. A block with global attention is the same with
    ``window_size = grid_size`` and the relative positions of the whole pretraining grid.
    """

    branches = (("norm1", "attn"), ("norm2", "mlp"))

    num_views: Size
    grid_size: Size
    window_size: Size
    pretrain_grid_size: Size
    hidden_size: Size
    num_heads: Size
    intermediate_size: Size

    @property
    def output_shape(self) -> Shape:
        return (self.num_views, self.grid_size, self.grid_size, self.hidden_size)

    @property
    def padded_size(self) -> Size:
        """Side of the grid in whole windows."""
        return ceil_div(self.grid_size, self.window_size) * self.window_size

    def build_children(self) -> Mapping[str, Child]:
        leading_shape = (self.num_views, self.grid_size, self.grid_size)
        windows_per_side = ceil_div(self.grid_size, self.window_size)
        norm = LayerNorm(leading_shape=leading_shape, hidden_size=self.hidden_size)
        return {
            # The norm's output is partitioned into windows, so attention sees windows as its batch.
            "norm1": once(norm),
            "attn": once(
                Attention(
                    num_windows=self.num_views * windows_per_side**2,
                    window_size=self.window_size,
                    pretrain_grid_size=self.pretrain_grid_size,
                    hidden_size=self.hidden_size,
                    num_heads=self.num_heads,
                )
            ),
            "norm2": once(norm),
            "mlp": once(
                MLPBlock(
                    leading_shape=leading_shape,
                    hidden_size=self.hidden_size,
                    intermediate_size=self.intermediate_size,
                )
            ),
        }

    @property
    def _is_partitioned(self) -> Size:
        """1 where the grid is copied window by window: one window, or windows of one patch, are a view."""
        windows_per_side = ceil_div(self.grid_size, self.window_size)
        return differs(windows_per_side, 1) * differs(self.window_size, 1)

    @property
    def _is_padded(self) -> Size:
        return differs(self.padded_size, self.grid_size)

    @property
    def _is_cut(self) -> Size:
        """1 where cutting the padding off copies the grid: one patch of one view is a view."""
        return self._is_padded * are_several(self.grid_size, self.num_views)

    @property
    def _padded_elements(self) -> Size:
        return self.num_views * self.padded_size**2 * self.hidden_size

    def operators(self) -> tuple[Operator, ...]:
        elements, padded = multiply(self.output_shape), self._padded_elements
        pad = Operator(name="constant_pad_nd", reads=Elements(activation=elements), writes=Elements(activation=padded))
        partition = copy(padded).scale(self._is_partitioned)
        cut = copy(elements).scale(self._is_cut)
        return (pad.scale(self._is_padded), partition, partition, cut, *super().operators())

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (features,) = inputs
        pad, partition, join, cut, add_attention, add_mlp = self.own_operators
        normed = tape.call(self, "norm1", features)
        whole = (Elements(activation=self._padded_elements),)
        # Where nothing is padded, partitioned or cut, what comes out is what goes in: as many elements.
        with tape.only_if(self._is_padded):
            (padded,) = tape.run_all(pad, whole, normed)
        with tape.only_if(self._is_partitioned):
            (windows,) = tape.run_all(partition, whole, padded)
        tape.keep(normed.only_if(self._is_padded * self._is_partitioned))
        attended = tape.call(self, "attn", windows)
        with tape.only_if(self._is_partitioned):
            (joined,) = tape.run_all(join, whole, attended)
        with tape.only_if(self._is_cut):
            (grid,) = tape.run_all(cut, (Elements(activation=multiply(self.output_shape)),), joined)
        tape.keep(attended.only_if(self._is_partitioned * self._is_cut))
        features = tape.run(add_attention, features, grid)
        return (tape.run(add_mlp, features, tape.call(self, "mlp", tape.call(self, "norm2", features))),)
