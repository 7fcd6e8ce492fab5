"""Both vision towers and the projector, over the views of a page: what the decoder sees of an image."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size, differs, exceeds, floor_div
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child
from modelmeter.layers.operators import concatenate, copy
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops
from modelmeter.models.deepseek_ocr.layers.vision.image_encoder_vit import ImageEncoderViT
from modelmeter.models.deepseek_ocr.layers.vision.mlp_projector import MlpProjector
from modelmeter.models.deepseek_ocr.layers.vision.vit_model import VitModel
from modelmeter.models.deepseek_ocr.vision_tokens import global_view_tokens, grid_size, tile_tokens

IMAGE_CHANNELS = 3


@frozen(kw_only=True, slots=False)
class VisionTower(BaseLayer):
    """SAM, CLIP and the projector on the tiles and on the global view of each page.

    Not a torch module of its own: its children are attributes of ``DeepseekOCRModel``. One page of each of
    ``vision_batch_size`` prompts shares a call, of which there are ``images_per_prompt batch_size /
    vision_batch_size``: each tower runs once for the tiles of these pages (where a page has more than one) and once for
    their global views.

    Output: image tokens (batch_size, tokens, hidden_size), written over the embeddings of the prompt.
    """

    batch_size: Size
    images_per_prompt: Size
    vision_batch_size: Size
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
    def num_calls(self) -> Size:
        """Calls of the towers until every image has had its turn, one of ``vision_batch_size`` prompts in each."""
        return self.images_per_prompt * floor_div(self.batch_size, self.vision_batch_size)

    @property
    def tile_views(self) -> Size:
        """Tiles of the pages of one call."""
        return self.vision_batch_size * self.num_width_tiles * self.num_height_tiles

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
        tiles = (self.tile_views, self.image_size)
        global_views = (self.vision_batch_size, self.base_size)
        calls = self.num_calls
        return {
            name: Child(calls=((build(*tiles), calls * self.has_tiles), (build(*global_views), calls)))
            for name, build in (
                ("sam_model", self._sam),
                ("vision_model", self._clip),
                ("projector", self._projector),
            )
        }

    @property
    def own_accumulated(self) -> Elements:
        # SAM's features go into CLIP and beside CLIP's; the newline ends rows of tiles and of global views, and
        # it and the separator are used in every call.
        tile_positions = self.has_tiles * self.tile_views * self.side(self.image_size) ** 2
        positions = tile_positions + self.vision_batch_size * self.side(self.base_size) ** 2
        uses = self.num_calls * (self.has_tiles + 2) - 2
        return Elements(activation=self.num_calls * positions * self.clip_hidden_size, weight=uses * self.hidden_size)

    def operators(self) -> tuple[Operator, ...]:
        return (self._check_first_page(), *(operator.scale(self.num_calls) for operator in self._call_operators()))

    def _call_operators(self) -> tuple[Operator, ...]:
        """Return the operators of one call: those of its tiles, of its global views, and what joins them."""
        pages, hidden_size = self.vision_batch_size, self.hidden_size
        tile_side = self.side(self.image_size)
        tile_channels = self.tile_views * tile_side**2 * hidden_size
        # A row of tiles is a view where there is one tile a row, or one position a tile.
        is_copied = differs(self.num_width_tiles, 1) * differs(tile_side, 1)
        tile_operators = (
            _check_pixels(_count_pixels(self.tile_views, self.image_size)),
            self._join_features(self.tile_views, self.image_size),
            copy(tile_channels).scale(is_copied),
            self._end_rows(tile_channels, rows=pages * self.num_height_tiles * tile_side),
        )
        global_side = self.side(self.base_size)
        tokens = pages * self.image_tokens * hidden_size
        return (
            *(operator.scale(self.has_tiles) for operator in tile_operators),
            self._join_features(pages, self.base_size),
            self._end_rows(pages * global_side**2 * hidden_size, rows=pages * global_side),
            concatenate(
                tokens,
                reads=Elements(activation=tokens - pages * hidden_size, weight=hidden_size),
                expanded=pages * hidden_size,
            ),
            concatenate(tokens),
            Operator(
                name="index_put_",
                reads=Elements(activation=2 * tokens, index=self.image_tokens),
                writes=Elements(activation=tokens),
                # What the image tokens are written over gets no gradient there: it becomes 0.
                backward_cuda_core_flops=vector_flops("index_put", tokens),
            ),
        )

    def _check_first_page(self) -> Operator:
        return _check_pixels(_count_pixels(1, self.base_size))

    def _join_features(self, num_views: Size, view_size: Size) -> Operator:
        """Return what puts SAM's and CLIP's features of a position side by side."""
        return concatenate(num_views * self.side(view_size) ** 2 * 2 * self.clip_hidden_size)

    def _end_rows(self, channels: Size, *, rows: Size) -> Operator:
        """Return what ends rows of ``channels`` elements in all with the newline, which is expanded: read once."""
        newlines = rows * self.hidden_size
        return concatenate(
            channels + newlines, reads=Elements(activation=channels, weight=self.hidden_size), expanded=newlines
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        """Record one call: alike calls do alike, and of one only the pixels, those of all images, outlive it."""
        (prompt,) = inputs
        check_tiles, *tiles, join_global, end_global_rows, join_parts, join_images, write = self._call_operators()
        join_tiles, copy_tiles, end_tile_rows = tiles
        num_images = self.images_per_prompt * self.batch_size
        num_tiles = num_images * self.num_width_tiles * self.num_height_tiles
        global_pixels = Buffer(Elements(activation=_count_pixels(num_images, self.base_size)))
        tile_pixels = Buffer(Elements(activation=_count_pixels(num_tiles, self.image_size))).only_if(self.has_tiles)
        tape.reserve(tile_pixels, global_pixels)
        tape.run(self._check_first_page(), global_pixels)
        with tape.only_if(self.has_tiles):
            tape.run(check_tiles, tile_pixels)
            tile_channels = self._replay_views(tape, join_tiles, tile_pixels, call=0)
            # The features of the tiles stay alive beside their copy, which is empty where there is none.
            tile_rows = tape.run(copy_tiles, tile_channels)
            ended_tiles = tape.run(end_tile_rows, tile_rows, tile_channels)
        # Without tiles, what is held of them is empty.
        tile_channels = tile_channels.only_if(self.has_tiles)
        tape.reserve(tile_channels)
        global_rows = self._replay_views(tape, join_global, global_pixels, call=1)
        tape.keep(tile_rows, tile_channels)
        ended_global = tape.run(end_global_rows, global_rows)
        image_tokens = tape.run(join_parts, ended_tiles, ended_global)
        tape.keep(tile_channels, global_rows)
        images = tape.run(join_images, image_tokens)
        # Written over embeddings of the prompt.
        tape.change(write, prompt, images, Buffer(Elements(index=self.image_tokens)))
        tape.keep(image_tokens, tile_pixels, global_pixels)
        return (prompt,)

    def _replay_views(self, tape: Tape, join: Operator, pixels: Buffer, *, call: int) -> Buffer:
        """Record the towers and the projector on the views of one kind; return what the projector writes."""
        sam_features = tape.call(self, "sam_model", pixels, call=call)
        clip_features = tape.call(self, "vision_model", pixels, sam_features, call=call)
        features = tape.run(join, clip_features, sam_features)
        projected = tape.call(self, "projector", features, call=call)
        tape.keep(sam_features, clip_features)
        return projected


def _count_pixels(num_views: Size, view_size: Size) -> Size:
    return num_views * IMAGE_CHANNELS * view_size**2


def _check_pixels(pixels: Size) -> Operator:
    """Return the sum by which the vendor sees whether an image is blank; pixels have no gradient."""
    return Operator(
        name="sum",
        cuda_core_flops=vector_flops("sum", pixels),
        reads=Elements(activation=pixels),
        writes=Elements(activation=1),
        gradients=Elements(),
        differentiated=Elements(),
    )
