"""The config of a model of some of the layers of another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from transformers import PreTrainedConfig

from modelmeter.frontend.configs.config_fields import clip
from modelmeter.support.errors import ArchitectureError

_FIRST_LAYERS: Final = ("first_k_dense_replace", "num_dense_layers")
"""Keys that say how many of the first layers are dense."""


def cut_config(config: PreTrainedConfig, layers: Sequence[int]) -> PreTrainedConfig:
    """Return the config of a model of some of the ``layers``: lists of one entry for each layer are cut.

    So are mappings from the number of a layer to what it has of its own, and numbers of the first layers.

    Raises
    ------
    ArchitectureError
        If transformers refuses it, or the config says in another way how many layers it has.
    """
    fields = config.to_dict()
    text = fields["text_config"] if isinstance(fields.get("text_config"), dict) else fields
    key = config.get_text_config().attribute_map.get("num_hidden_layers", "num_hidden_layers")
    count = config.get_text_config().num_hidden_layers
    for name, value in text.items():
        if isinstance(value, list) and len(value) == count:
            text[name] = [value[layer] for layer in layers if layer < count]
        elif isinstance(value, dict) and value and all(str(layer).isdecimal() for layer in value):
            by_layer = {int(layer): (type(layer), own) for layer, own in value.items()}
            text[name] = {
                by_layer[layer][0](place): by_layer[layer][1] for place, layer in enumerate(layers) if layer in by_layer
            }
    for name in _FIRST_LAYERS:
        if type(text.get(name)) is int:
            text[name] = sum(layer < text[name] for layer in layers)
    for each in (key, "decoder_layers"):
        if each in text:
            text[each] = len(layers)
    try:
        cut = type(config).from_dict(fields)
    except Exception as error:  # each class of transformers checks its own config in its own way
        raise ArchitectureError(
            "transformers refuses a config of few layers", place=str(config.model_type), found=clip(error)
        ) from error
    if cut.get_text_config().num_hidden_layers != len(layers):
        raise ArchitectureError(
            "the config cannot be made one of fewer layers", place=str(config.model_type),
            expected=f"{key} = {len(layers)}", found=cut.get_text_config().num_hidden_layers,
        )  # fmt: skip
    return cut
