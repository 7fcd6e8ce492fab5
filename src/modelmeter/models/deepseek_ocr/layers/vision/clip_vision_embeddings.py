"""CLIP's embeddings (vendor module ``deepencoder.CLIPVisionEmbeddings``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size, differs
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, never, once
from modelmeter.layers.conv2d import Conv2d
from modelmeter.layers.embedding import Embedding
from modelmeter.layers.operators import (
    apply_pointwise,
    concatenate,
    copy,
    narrow,
    resize_table,
    sum_over,
    widen,
)
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator


@frozen(kw_only=True, slots=False)
class CLIPVisionEmbeddings(BaseLayer):
    """SAM's features as patches, behind a class token, with positions added.

    Input: pixels, which are not used, and SAM's features (num_views, hidden_size, grid_size, grid_size); output
    (num_views, 1 + grid_size^2, hidden_size).
    The checkpoint stores CLIP's own patch convolution, which is never called.
    """

    num_views: Size
    grid_size: Size
    pretrain_grid_size: Size
    hidden_size: Size
    patch_size: Size
    image_channels: Size

    @property
    def output_shape(self) -> Shape:
        return (self.num_views, 1 + self.grid_size**2, self.hidden_size)

    @property
    def own_parameters(self) -> Size:
        return self.hidden_size

    def build_children(self) -> Mapping[str, Child]:
        pretrain_size = self.pretrain_grid_size * self.patch_size
        stored_positions = self.pretrain_grid_size**2 + 1
        return {
            "patch_embedding": never(
                Conv2d(
                    batch_size=self.num_views,
                    in_channels=self.image_channels,
                    out_channels=self.hidden_size,
                    height=pretrain_size,
                    width=pretrain_size,
                    kernel_size=self.patch_size,
                    stride=self.patch_size,
                    padding=0,
                    bias=False,
                )
            ),
            "position_embedding": once(
                Embedding(
                    leading_shape=(1, stored_positions),
                    num_embeddings=stored_positions,
                    embedding_dim=self.hidden_size,
                )
            ),
        }

    @property
    def own_accumulated(self) -> Elements:
        # A resize takes the stored positions apart, into that of the class token and those of the patches.
        needed = differs(self.grid_size, self.pretrain_grid_size)
        return Elements(activation=needed * (self.pretrain_grid_size**2 + 1) * self.hidden_size)

    def operators(self) -> tuple[Operator, ...]:
        hidden_size = self.hidden_size
        patches = self.grid_size**2 * hidden_size
        positions = patches + hidden_size
        needed = differs(self.grid_size, self.pretrain_grid_size)
        stored = self.pretrain_grid_size**2 * hidden_size
        return (
            # The class token is expanded over the views: one row is read.
            concatenate(
                self.num_views * positions,
                reads=Elements(activation=self.num_views * patches, weight=hidden_size),
                expanded=self.num_views * hidden_size,
            ),
            copy(stored).scale(needed * differs(self.pretrain_grid_size, 1)),
            widen(stored).scale(needed),
            resize_table("_upsample_bicubic2d_aa", source=stored, target=patches).scale(needed),
            narrow(patches).scale(needed),
            concatenate(positions).scale(needed),
            apply_pointwise(
                "add",
                self.num_views * positions,
                reads=Elements(activation=self.num_views * positions + positions),
                backward_cuda_core_flops=sum_over(self.num_views * positions, self.num_views),
            ),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        patches = inputs[-1]
        join_class_token, transpose, to_float32, resize, to_activations, join_position, add_positions = (
            self.own_operators
        )
        embeddings = tape.run(join_class_token, patches)
        positions = tape.call(self, "position_embedding")
        # Where nothing is resized, the stored positions are added: as many elements.
        with tape.only_if(differs(self.grid_size, self.pretrain_grid_size)):
            grid = tape.run(transpose, positions)
            resized = tape.cast(to_activations, tape.run(resize, tape.cast(to_float32, grid)))
            added = Elements(activation=(self.grid_size**2 + 1) * self.hidden_size)
            (joined,) = tape.run_all(join_position, (added,), positions, resized)
            tape.keep(grid)
        return (tape.run(add_positions, embeddings, joined),)
