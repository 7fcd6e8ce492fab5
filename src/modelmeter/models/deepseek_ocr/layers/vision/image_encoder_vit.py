"""SAM ViT-B (vendor module ``deepencoder.ImageEncoderViT``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size, ceil_div, differs, floor_div
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once, repeat
from modelmeter.layers.container import ModuleList, Sequential
from modelmeter.layers.conv2d import Conv2d
from modelmeter.layers.operators import (
    apply_pointwise,
    copy,
    narrow,
    read_table,
    resize_table,
    sum_over,
    widen_weights,
)
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.models.deepseek_ocr.layers.vision.block import Block
from modelmeter.models.deepseek_ocr.layers.vision.layer_norm2d import LayerNorm2d
from modelmeter.models.deepseek_ocr.layers.vision.patch_embed import PatchEmbed


@frozen(kw_only=True, slots=False)
class ImageEncoderViT(BaseLayer):
    """Patches, blocks, a neck and two stride-2 convolutions.

    Input (num_views, image_channels, view_size, view_size); output (num_views, out_channels, s, s) with
    s = ceil(floor(view_size / patch_size) / 4).
    """

    num_views: Size
    view_size: Size
    image_channels: Size
    patch_size: Size
    pretrain_grid_size: Size
    hidden_size: Size
    num_layers: Size
    num_global_layers: Size
    num_heads: Size
    intermediate_size: Size
    window_size: Size
    neck_channels: Size
    downsample_channels: Size
    out_channels: Size

    @property
    def grid_size(self) -> Size:
        """Patches a side."""
        return floor_div(self.view_size, self.patch_size)

    @property
    def output_shape(self) -> Shape:
        side = ceil_div(ceil_div(self.grid_size, 2), 2)
        return (self.num_views, self.out_channels, side, side)

    @property
    def own_parameters(self) -> Size:
        return self.pretrain_grid_size**2 * self.hidden_size

    def _block(self, *, is_global: bool) -> Block:
        return Block(
            num_views=self.num_views,
            grid_size=self.grid_size,
            window_size=self.grid_size if is_global else self.window_size,
            pretrain_grid_size=self.pretrain_grid_size if is_global else self.window_size,
            hidden_size=self.hidden_size,
            num_heads=self.num_heads,
            intermediate_size=self.intermediate_size,
        )

    def _convolve(
        self, in_channels: Size, out_channels: Size, side: Size, *, kernel_size: int, stride: int = 1
    ) -> Conv2d:
        return Conv2d(
            batch_size=self.num_views,
            in_channels=in_channels,
            out_channels=out_channels,
            height=side,
            width=side,
            kernel_size=kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            bias=False,
        )

    def build_children(self) -> Mapping[str, Child]:
        grid_size = self.grid_size
        norm = LayerNorm2d(num_views=self.num_views, out_channels=self.neck_channels, grid_size=grid_size)
        return {
            "patch_embed": once(
                PatchEmbed(
                    num_views=self.num_views,
                    view_size=self.view_size,
                    patch_size=self.patch_size,
                    image_channels=self.image_channels,
                    hidden_size=self.hidden_size,
                )
            ),
            "blocks": once(
                ModuleList(
                    groups=(
                        repeat(self._block(is_global=False), self.num_layers - self.num_global_layers),
                        repeat(self._block(is_global=True), self.num_global_layers),
                    )
                )
            ),
            "neck": once(
                Sequential(
                    layers=(
                        self._convolve(self.hidden_size, self.neck_channels, grid_size, kernel_size=1),
                        norm,
                        self._convolve(self.neck_channels, self.neck_channels, grid_size, kernel_size=3),
                        norm,
                    )
                )
            ),
            "net_2": once(
                self._convolve(self.neck_channels, self.downsample_channels, grid_size, kernel_size=3, stride=2)
            ),
            "net_3": once(
                self._convolve(
                    self.downsample_channels, self.out_channels, ceil_div(grid_size, 2), kernel_size=3, stride=2
                )
            ),
        }

    def operators(self) -> tuple[Operator, ...]:
        table = self.pretrain_grid_size**2 * self.hidden_size
        positions = self.grid_size**2 * self.hidden_size
        needed = differs(self.grid_size, self.pretrain_grid_size)
        added = read_table(positions, side=self.grid_size, pretrain_side=self.pretrain_grid_size)
        halved = self.num_views * ceil_div(self.grid_size, 2) ** 2 * self.downsample_channels
        return (
            widen_weights(table).scale(needed),
            resize_table("_upsample_bicubic2d_aa", source=table, target=positions).scale(needed),
            narrow(positions).scale(needed),
            apply_pointwise(
                "add",
                self.num_views * positions,
                reads=Elements(activation=self.num_views * positions) + added,
                backward_cuda_core_flops=sum_over(self.num_views * positions, self.num_views),
            ),
            copy(halved),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (pixels,) = inputs
        to_float32, resize, to_activations, add_positions, copy_halved = self.own_operators
        features = tape.call(self, "patch_embed", pixels)
        positions = tape.cast(to_activations, tape.run(resize, tape.run(to_float32)))
        tape.keep(features)
        features = tape.run(add_positions, features, positions)
        (necked,) = tape.call_in_turn(self, ("blocks", "neck"), features)
        halved = tape.call(self, "net_2", necked)
        output = tape.call(self, "net_3", tape.run(copy_halved, halved))
        tape.keep(necked, halved)
        return (output,)
