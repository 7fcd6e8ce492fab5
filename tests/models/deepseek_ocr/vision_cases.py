"""Cases of the vision towers: their leaves, SAM and CLIP."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve
from layer_case import COLOURS, Case, image, make, meta

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture


def vision_leaves() -> Iterator[Case]:
    for views, side, patch, width in ((2, 38, 5, 33), (3, 56, 7, 11)):
        yield make(
            "PatchEmbed", (patch, width), (image(views, COLOURS, side, side),), num_views=views, view_size=side,
            patch_size=patch, image_channels=COLOURS, hidden_size=width,
        )  # fmt: skip
    # A mean over one channel is no sum.
    for views, channels, grid in ((2, 5, 7), (3, 11, 4), (5, 1, 3)):
        pixels = meta(views, channels, grid, grid)
        yield make("LayerNorm2d", (channels,), (pixels,), num_views=views, out_channels=channels, grid_size=grid)
    for tokens, inner, outer in ((6, 5, 7), (13, 11, 3)):
        rows, widths = (meta(tokens, inner),), {"num_tokens": tokens, "hidden_size": inner, "intermediate_size": outer}
        yield make("MLPBlock", (inner, outer), rows, **widths)
        yield make("NoTPFeedForward", (inner, outer), rows, **widths)
        yield make("MlpProjector", (inner, outer), rows, num_tokens=tokens, in_features=inner, out_features=outer)
    for views, queries, width, heads in ((2, 7, 15, 3), (3, 11, 10, 5)):
        yield make(
            "NoTPAttention", (width, heads), (meta(views, queries, width),), num_views=views, num_queries=queries,
            hidden_size=width, num_heads=heads,
        )  # fmt: skip
    # The window is what the table was trained at, or smaller, or larger: then the table is resized.
    for windows, side, trained, width, heads in (
        (2, 7, 7, 15, 3),
        (3, 5, 11, 14, 7),
        (1, 13, 4, 33, 11),
        (5, 1, 2, 9, 3),
        # One head: that of one window is in order as it is, and so is that of one position.
        (3, 5, 7, 10, 1),
        (1, 5, 9, 6, 1),
        (1, 1, 1, 4, 1),
    ):
        yield make(
            "Attention", (width, heads, trained), (meta(windows, side, side, width),), num_windows=windows,
            window_size=side, pretrain_grid_size=trained, hidden_size=width, num_heads=heads,
        )  # fmt: skip


def sam(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    width, window, patch = architecture.sam_hidden_size, architecture.sam_window_size, architecture.sam_patch_size
    trained = architecture.sam_image_size // patch
    sizes = {
        "hidden_size": width, "num_heads": architecture.sam_num_attention_heads,
        "intermediate_size": architecture.sam_intermediate_size,
    }  # fmt: skip
    single = evolve(architecture, sam_window_size=1)
    # A grid in one window with padding, in whole windows, in windows with padding, as it was trained, of one patch, and
    # in windows of one patch.
    for model, views, grid in (
        (architecture, 5, window - 1), (architecture, 3, 3 * window), (architecture, 2, 2 * window + 1),
        (architecture, 2, trained), (architecture, 1, 1), (architecture, 3, 1), (single, 2, 5),
    ):  # fmt: skip
        side = model.sam_window_size
        for is_global, window_size, table in ((False, side, side), (True, grid, trained)):
            yield make(
                "Block", (model,), (meta(views, grid, grid, width),), options={"is_global": is_global},
                num_views=views, grid_size=grid, window_size=window_size, pretrain_grid_size=table, **sizes,
            )  # fmt: skip
    for views, side in ((2, patch * trained + 1), (3, patch * (trained + 2)), (1, patch * 2 * trained - 1)):
        yield make(
            "ImageEncoderViT", (architecture,), (image(views, COLOURS, side, side),), num_views=views, view_size=side,
            image_channels=COLOURS, patch_size=patch, pretrain_grid_size=trained, window_size=window,
            num_layers=architecture.sam_num_hidden_layers, num_global_layers=architecture.sam_num_global_layers,
            neck_channels=architecture.sam_neck_channels, downsample_channels=architecture.sam_downsample_channels,
            out_channels=architecture.clip_hidden_size, **sizes,
        )  # fmt: skip


def clip(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    width, patch = architecture.clip_hidden_size, architecture.clip_patch_size
    trained = architecture.clip_image_size // patch
    stack = {
        "hidden_size": width, "num_heads": architecture.clip_num_attention_heads,
        "intermediate_size": architecture.clip_intermediate_size,
    }  # fmt: skip
    layers = architecture.clip_num_hidden_layers
    for views, queries in ((2, 7), (3, 10)):
        features, shape = (meta(views, queries, width),), {"num_views": views, "num_queries": queries}
        yield make("NoTPTransformerBlock", (architecture,), features, **shape, **stack)
        yield make("NoTPTransformer", (architecture,), features, **shape, **stack, num_layers=layers)
    # As it was trained, then other grids, whose positions are resized; and where it was trained at one position.
    narrow = evolve(architecture, clip_image_size=patch + 1)
    for model, side, views, grid in (
        (architecture, trained, 2, trained), (architecture, trained, 3, trained + 2),
        (architecture, trained, 1, trained - 1), (narrow, 1, 3, 1), (narrow, 1, 2, 3),
    ):  # fmt: skip
        # The pixels are handed on and held, but nothing looks at them.
        inputs = (image(views, COLOURS, 8, 8), meta(views, width, grid, grid))
        sizes = {
            "num_views": views, "grid_size": grid, "pretrain_grid_size": side, "patch_size": patch,
            "image_channels": COLOURS,
        }  # fmt: skip
        yield make("CLIPVisionEmbeddings", (model,), inputs, hidden_size=width, **sizes)
        yield make("VitModel", (model,), inputs, **sizes, **stack, num_layers=layers)
