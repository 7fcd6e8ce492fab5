"""Both vision towers and the projector, over the views of a page: what the decoder sees of an image."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.cost import Elements, Operator
from modelmeter.functions import Size, exceeds, floor_div
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child
from modelmeter.layers.operators import concatenate
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.models.deepseek_ocr.layers.vision.image_encoder_vit import ImageEncoderViT
from modelmeter.models.deepseek_ocr.layers.vision.mlp_projector import MlpProjector
from modelmeter.models.deepseek_ocr.layers.vision.vit_model import VitModel
from modelmeter.models.deepseek_ocr.vision_tokens import global_view_tokens, grid_size, tile_tokens

IMAGE_CHANNELS = 3


@frozen(kw_only=True, slots=False)
class VisionTower(BaseLayer):
    """SAM, CLIP and the projector on the tiles and on the global view of each page.

    Not a torch module of its own: its children are attributes of ``DeepseekOCRModel``. Each tower is
    called once for all tiles (where a page has more than one) and once for all global views.

    Output: image tokens (batch_size, tokens, hidden_size), written over the embeddings of the prompt.
    """

    batch_size: Size
    base_size: Size
    image_size: Size
    num_width_tiles: Size
    num_height_tiles: Size
    hidden_size: Size
    sam_image_size: Size
    sam_patch_size: Size
    sam_hidden_size: Size
    sam_num_hidden_layers: Size
    sam_num_global_layers: Size
    sam_num_attention_heads: Size
    sam_intermediate_size: Size
    sam_window_size: Size
    sam_neck_channels: Size
    sam_downsample_channels: Size
    clip_image_size: Size
    clip_patch_size: Size
    clip_hidden_size: Size
    clip_num_hidden_layers: Size
    clip_num_attention_heads: Size
    clip_intermediate_size: Size

    @property
    def has_tiles(self) -> Size:
        """1 where the page is cut into tiles, else 0."""
        return exceeds(self.num_width_tiles * self.num_height_tiles, 1)

    @property
    def num_tile_views(self) -> Size:
        """Tiles of all pages."""
        return self.batch_size * self.num_width_tiles * self.num_height_tiles

    def side(self, view_size: Size) -> Size:
        """Return the side of the feature grid of a view."""
        return grid_size(view_size, self.sam_patch_size)

    @property
    def global_tokens(self) -> Size:
        """Tokens of the global view with its newlines and its separator."""
        return global_view_tokens(self.base_size, self.sam_patch_size)

    @property
    def tile_tokens(self) -> Size:
        """Tokens of the tiles, joined into one grid with newlines; 0 without tiles."""
        return tile_tokens(self.image_size, self.num_width_tiles, self.num_height_tiles, self.sam_patch_size)

    @property
    def image_tokens(self) -> Size:
        """Tokens of the page: tiles, global view and separator."""
        return self.tile_tokens + self.global_tokens

    @property
    def output_shape(self) -> Shape:
        return (self.batch_size, self.image_tokens, self.hidden_size)

    @property
    def own_parameters(self) -> Size:
        # The newline and the separator embedding.
        return 2 * self.hidden_size

    def _sam(self, num_views: Size, view_size: Size) -> ImageEncoderViT:
        return ImageEncoderViT(
            num_views=num_views,
            view_size=view_size,
            image_channels=IMAGE_CHANNELS,
            patch_size=self.sam_patch_size,
            pretrain_grid_size=floor_div(self.sam_image_size, self.sam_patch_size),
            hidden_size=self.sam_hidden_size,
            num_layers=self.sam_num_hidden_layers,
            num_global_layers=self.sam_num_global_layers,
            num_heads=self.sam_num_attention_heads,
            intermediate_size=self.sam_intermediate_size,
            window_size=self.sam_window_size,
            neck_channels=self.sam_neck_channels,
            downsample_channels=self.sam_downsample_channels,
            out_channels=self.clip_hidden_size,
        )

    def _clip(self, num_views: Size, view_size: Size) -> VitModel:
        return VitModel(
            num_views=num_views,
            grid_size=self.side(view_size),
            pretrain_grid_size=floor_div(self.clip_image_size, self.clip_patch_size),
            num_layers=self.clip_num_hidden_layers,
            hidden_size=self.clip_hidden_size,
            num_heads=self.clip_num_attention_heads,
            intermediate_size=self.clip_intermediate_size,
            patch_size=self.clip_patch_size,
            image_channels=IMAGE_CHANNELS,
        )

    def _projector(self, num_views: Size, view_size: Size) -> MlpProjector:
        return MlpProjector(
            leading_shape=(num_views, self.side(view_size) ** 2),
            in_features=2 * self.clip_hidden_size,
            out_features=self.hidden_size,
        )

    def build_children(self) -> Mapping[str, Child]:
        tiles = (self.num_tile_views, self.image_size)
        global_views = (self.batch_size, self.base_size)
        return {
            name: Child(calls=((build(*tiles), self.has_tiles), (build(*global_views), 1)))
            for name, build in (
                ("sam_model", self._sam),
                ("vision_model", self._clip),
                ("projector", self._projector),
            )
        }

    @property
    def own_accumulated(self) -> Elements:
        # SAM's features go into CLIP and beside CLIP's; the newline ends rows of tiles and of the global view.
        tile_positions = self.has_tiles * self.num_tile_views * self.side(self.image_size) ** 2
        positions = tile_positions + self.batch_size * self.side(self.base_size) ** 2
        return Elements(activation=positions * self.clip_hidden_size, weight=self.has_tiles * self.hidden_size)

    def operators(self) -> tuple[Operator, ...]:
        has_tiles, newline = self.has_tiles, self.hidden_size
        tile_side, global_side = self.side(self.image_size), self.side(self.base_size)
        # SAM's and CLIP's features of a position, side by side.
        tile_features = has_tiles * self.num_tile_views * tile_side**2 * 2 * self.clip_hidden_size
        global_features = self.batch_size * global_side**2 * 2 * self.clip_hidden_size
        tile_channels = has_tiles * self.num_tile_views * tile_side**2 * self.hidden_size
        global_channels = self.batch_size * global_side**2 * self.hidden_size
        rows_of_tiles = self.batch_size * self.tile_tokens * self.hidden_size
        rows_of_global = self.batch_size * (self.global_tokens - 1) * self.hidden_size
        tokens = self.batch_size * self.image_tokens * self.hidden_size
        return (
            concatenate(tile_features),
            # The newline is expanded over all rows: it is read once.
            concatenate(
                rows_of_tiles,
                reads=Elements(activation=tile_channels, weight=has_tiles * newline),
                expanded=has_tiles * self.batch_size * self.num_height_tiles * tile_side * newline,
            ),
            concatenate(global_features),
            concatenate(
                rows_of_global,
                reads=Elements(activation=global_channels, weight=newline),
                expanded=self.batch_size * global_side * newline,
            ),
            concatenate(
                tokens,
                reads=Elements(activation=rows_of_tiles + rows_of_global, weight=self.hidden_size),
                expanded=self.batch_size * self.hidden_size,
            ),
            Operator(name="copy_", reads=Elements(activation=tokens), writes=Elements(activation=tokens)),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (prompt,) = inputs
        *_, join_views, _ = self.operators()
        with tape.only_if(self.has_tiles):
            tile_rows = self._replay_views(tape, self.num_tile_views, self.image_size, call=0)
        global_rows = self._replay_views(tape, self.batch_size, self.base_size, call=1)
        image_tokens = tape.run(join_views, tile_rows, global_rows)
        # Written over embeddings of the prompt.
        tape.run(0, prompt, image_tokens)
        return (prompt,)

    def _replay_views(self, tape: Tape, num_views: Size, view_size: Size, *, call: int) -> Buffer:
        """Record the towers and the projector on the views of one kind; return the rows of their tokens."""
        join_features, join_newlines = self.operators()[2 * call : 2 * call + 2]
        pixels = Buffer(num_views * IMAGE_CHANNELS * view_size**2)
        sam_features = tape.call(self, "sam_model", pixels, call=call)
        clip_features = tape.call(self, "vision_model", sam_features, call=call)
        features = tape.run(join_features, clip_features, sam_features)
        return tape.run(join_newlines, tape.call(self, "projector", features, call=call))
