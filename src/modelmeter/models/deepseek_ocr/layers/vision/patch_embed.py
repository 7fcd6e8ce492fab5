"""SAM's patch embedding (vendor module ``deepencoder.PatchEmbed``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.conv2d import Conv2d, convolved_size
from modelmeter.layers.tape import Buffer, Tape


@frozen(kw_only=True, slots=False)
class PatchEmbed(BaseLayer):
    """One embedding for each patch of a square view.

    Input (num_views, image_channels, view_size, view_size); output channels-last
    (num_views, g, g, hidden_size) with g = floor(view_size / patch_size).
    """

    num_views: Size
    view_size: Size
    patch_size: Size
    image_channels: Size
    hidden_size: Size

    @property
    def output_shape(self) -> Shape:
        grid_size = convolved_size(self.view_size, kernel_size=self.patch_size, stride=self.patch_size, padding=0)
        return (self.num_views, grid_size, grid_size, self.hidden_size)

    def build_children(self) -> Mapping[str, Child]:
        return {
            "proj": once(
                Conv2d(
                    batch_size=self.num_views,
                    in_channels=self.image_channels,
                    out_channels=self.hidden_size,
                    height=self.view_size,
                    width=self.view_size,
                    kernel_size=self.patch_size,
                    stride=self.patch_size,
                    padding=0,
                    input_is_data=True,
                )
            )
        }

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        return tape.call_in_turn(self, ("proj",), *inputs)
