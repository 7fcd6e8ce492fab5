"""CLIP-L (vendor module ``deepencoder.VitModel``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.layer_norm import LayerNorm
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.models.deepseek_ocr.layers.vision.clip_vision_embeddings import CLIPVisionEmbeddings
from modelmeter.models.deepseek_ocr.layers.vision.notp_transformer import NoTPTransformer


@frozen(kw_only=True, slots=False)
class VitModel(BaseLayer):
    """Embeddings, a norm and the blocks, over SAM's features.

    Input: pixels, which are not used, and SAM's features (num_views, hidden_size, grid_size, grid_size); output
    (num_views, 1 + grid_size^2, hidden_size).
    """

    num_views: Size
    grid_size: Size
    pretrain_grid_size: Size
    num_layers: Size
    hidden_size: Size
    num_heads: Size
    intermediate_size: Size
    patch_size: Size
    image_channels: Size

    @property
    def output_shape(self) -> Shape:
        return (self.num_views, 1 + self.grid_size**2, self.hidden_size)

    def build_children(self) -> Mapping[str, Child]:
        num_queries = 1 + self.grid_size**2
        return {
            "embeddings": once(
                CLIPVisionEmbeddings(
                    num_views=self.num_views,
                    grid_size=self.grid_size,
                    pretrain_grid_size=self.pretrain_grid_size,
                    hidden_size=self.hidden_size,
                    patch_size=self.patch_size,
                    image_channels=self.image_channels,
                )
            ),
            "transformer": once(
                NoTPTransformer(
                    num_views=self.num_views,
                    num_queries=num_queries,
                    num_layers=self.num_layers,
                    hidden_size=self.hidden_size,
                    num_heads=self.num_heads,
                    intermediate_size=self.intermediate_size,
                )
            ),
            "pre_layrnorm": once(LayerNorm(leading_shape=(self.num_views, num_queries), hidden_size=self.hidden_size)),
        }

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        embeddings = tape.call(self, "embeddings", *inputs)
        output = tape.call(self, "transformer", tape.call(self, "pre_layrnorm", embeddings))
        tape.keep(embeddings)
        return (output,)
