"""A case of a layer: its symbols and their values, and a forward of the torch module at these."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from modelmeter.layers.base import BaseLayer
from modelmeter.models.deepseek_ocr import layers as vendor_layers
from modelmeter.models.deepseek_ocr import reference, reference_decoder, reference_vision
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS
from modelmeter.verify.tensor_kinds import Cache


def find_vendor_classes() -> dict[str, type[BaseLayer]]:
    """Return every layer class that is defined below ``models.deepseek_ocr.layers``, by name."""
    names = [module.name for module in pkgutil.walk_packages(vendor_layers.__path__, f"{vendor_layers.__name__}.")]
    return {
        found.__name__: found
        for name in names
        for _, found in inspect.getmembers(import_module(name), inspect.isclass)
        if issubclass(found, BaseLayer) and found.__module__ == name
    }


LAYERS = find_vendor_classes()
TORCH_CLASSES = {**vars(reference_vision), **vars(reference_decoder), **vars(reference), "LMHead": nn.Linear}

GROUPED = DeepSeekOCRArchitecture(
    hidden_size=42, intermediate_size=37, moe_intermediate_size=11, num_hidden_layers=4, first_k_dense_replace=1,
    # 3 query heads of 14 channels share 1 head of keys and values.
    num_attention_heads=3, num_key_value_heads=1, n_routed_experts=5, n_shared_experts=2, num_experts_per_tok=3,
    # 7 patches a side, and 3 pixels left over; CLIP has 3 positions a side, and 2 pixels left over.
    vocab_size=53, sam_image_size=38, sam_patch_size=5, sam_hidden_size=33, sam_num_hidden_layers=5,
    sam_global_attn_indexes=(1, 4), sam_num_attention_heads=3, sam_intermediate_size=29, sam_window_size=3,
    sam_neck_channels=13, sam_downsample_channels=17, clip_image_size=23, clip_patch_size=7, clip_hidden_size=55,
    clip_num_hidden_layers=2, clip_num_attention_heads=5, clip_intermediate_size=31,
)  # fmt: skip
UNGROUPED = DeepSeekOCRArchitecture(
    hidden_size=50, intermediate_size=61, moe_intermediate_size=19, num_hidden_layers=5, first_k_dense_replace=3,
    # As many heads of keys and values as of queries.
    num_attention_heads=5, num_key_value_heads=5, n_routed_experts=7, n_shared_experts=1, num_experts_per_tok=2,
    # 11 patches a side; CLIP has 5 positions a side.
    vocab_size=41, sam_image_size=46, sam_patch_size=4, sam_hidden_size=35, sam_num_hidden_layers=3,
    sam_global_attn_indexes=(2,), sam_num_attention_heads=7, sam_intermediate_size=43, sam_window_size=5,
    sam_neck_channels=11, sam_downsample_channels=23, clip_image_size=16, clip_patch_size=3, clip_hidden_size=39,
    clip_num_hidden_layers=3, clip_num_attention_heads=3, clip_intermediate_size=47,
)  # fmt: skip
ARCHITECTURES = (GROUPED, UNGROUPED)
COLOURS = 3


@frozen(kw_only=True)
class Case:
    """A layer in symbols, a value for each, and a forward of the torch module at these.

    Parameters
    ----------
    label
        For people.
    dtype
        What the module computes with; torch's own type while anything of the case runs.
    inputs
        What the caller hands to the module, and then holds to the end.
    held
        What the caller holds beside that: the module looks at it, but its layer does not name it.
    cache
        Returns the tensors that are the KV cache.
    stored
        The parameters that the layer holds, where these are not all of the module's.
    summed
        Paths of modules whose layers state an operator once for several calls of it.
    train
        The forward of a training step, which keeps no cache, where there is one.
    """

    label: str
    dtype: torch.dtype
    layer: BaseLayer
    sizes: dict[str, int]
    module: nn.Module
    forward: Callable[[], Any]
    inputs: tuple[Tensor, ...] = ()
    held: tuple[Tensor, ...] = ()
    cache: Cache = tuple
    stored: tuple[Tensor, ...] | None = None
    summed: tuple[str, ...] = ()
    train: Callable[[], Any] | None = None

    def __str__(self) -> str:
        return f"{type(self.layer).__name__}({self.label}, {str(self.dtype).removeprefix('torch.')})"


def meta(*shape: int) -> Tensor:
    """Return features, which want a gradient in a backward."""
    return torch.empty(shape, device="meta", requires_grad=True)


def image(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def make(
    name: str,
    arguments: tuple[Any, ...],
    inputs: tuple[Any, ...],
    *,
    options: dict[str, Any] | None = None,
    **sizes: Any,
) -> Case:
    """Return the case of the torch module ``name(*arguments, **options)`` that is given ``inputs``.

    ``sizes`` are the values of the canonical layer's symbols; what is no number replaces a field of that layer.
    Everything is of torch's own type at the time.
    """
    with torch.device("meta"):
        module = TORCH_CLASSES[name](*arguments, **(options or {})).eval()
    numbers = {key: size for key, size in sizes.items() if type(size) is int}
    layer = evolve(LAYERS[name].canonical(DIMENSIONS), **{key: sizes[key] for key in sizes.keys() - numbers.keys()})
    label = ", ".join(f"{key} {size}" for key, size in sizes.items() if key not in DeepSeekOCRArchitecture.__slots__)
    plain = [given.detach() if isinstance(given, Tensor) else given for given in inputs]
    tensors = tuple(each for each in plain if isinstance(each, Tensor))
    return Case(
        label=label,
        dtype=torch.get_default_dtype(),
        layer=layer,
        sizes=numbers,
        module=module,
        forward=lambda: module(*plain),
        inputs=tuple(each for each in tensors if each.is_floating_point()),
        held=tuple(each for each in tensors if not each.is_floating_point()),
        train=lambda: module(*inputs),
    )
