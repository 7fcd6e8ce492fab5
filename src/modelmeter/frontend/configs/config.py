"""Configs of models: read from a file, a mapping or the defaults of a model type, and checked before they are used."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen
from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from modelmeter.frontend.cards.card import DEFAULT_CLASS
from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.frontend.configs.assumed import are_defaults, find_misspelt, list_assumed, list_missing
from modelmeter.frontend.configs.classes import COMPILED_TYPES, check_classes, check_sections, find_types
from modelmeter.frontend.configs.config_fields import check_depth, check_fields, clip, read_fields
from modelmeter.frontend.configs.contradictions import check_sizes, check_tower, check_width
from modelmeter.frontend.configs.quiet import quiet
from modelmeter.frontend.configs.sources import find_config
from modelmeter.frontend.configs.values import find_value
from modelmeter.model.registry import list_models
from modelmeter.support.errors import ArchitectureError
from modelmeter.support.suggestions import unknown_name

_REMOTE: Final = "auto_map"

_LACKS_SIZES: Final = "the config lacks sizes that have no sensible default"

_VALIDATOR: Final = re.compile(r"^(Class v|V)alidation error for (validator|field) '\w+':\s*(\w+Error: )?")
"""What transformers begins the words with that say what it refuses."""


@frozen(kw_only=True)
class ModelConfig:
    """A config, what the model is called, and what costs depend on that its source did not say.

    Its modules are of ``class_name``, if that is not the class that transformers has for causal decoders of the type.
    ``misspelt`` are keys of the source that nothing reads, with the key that each comes close to.
    """

    config: PreTrainedConfig
    name: str
    assumed: Mapping[str, Any] = field(factory=dict)
    class_name: str = DEFAULT_CLASS
    misspelt: Mapping[str, str] = field(factory=dict)


def read_model_config(source: str | os.PathLike[str] | Mapping[str, Any], *, name: str | None = None) -> ModelConfig:
    """Return the config in a file or a mapping, or the defaults of a model type of transformers.

    Nothing is downloaded, and no code but that of transformers is run.

    Raises
    ------
    UnknownNameError
        If it is neither a file nor a model type.
    ArchitectureError
        If the config is damaged, contradicts itself, or is of a model that has no causal decoder.
    """
    if isinstance(source, Mapping):
        return make_config(dict(source), name or "", place="config")
    path = find_config(source)
    if os.path.isdir(path) and path not in CONFIG_MAPPING:
        raise ArchitectureError(
            "the folder has no config.json", place=path, remedy="name a folder that has one, the file, or a model type"
        )
    if path.endswith(".json") or os.path.isfile(path):
        fields = read_fields(path)
        chosen = name or _find_name(fields) or Path(path).resolve().parent.name
        return make_config(fields, chosen, place=path, is_whole=True)
    model_type = path
    if os.sep in path and path not in CARDS:
        raise ArchitectureError(
            "there is no such file or folder",
            place=path,
            remedy="name a config.json, the folder of one, or a model type",
        )
    if model_type not in CONFIG_MAPPING:
        names = sorted({*list_models(), *CARDS, *COMPILED_TYPES})
        raise unknown_name("model", model_type, names, meant=_find_near(model_type, names))
    return make_config({"model_type": model_type}, name or model_type, place=model_type)


def _find_near(name: str, names: Sequence[str]) -> list[str]:
    """Return names that come close, and cards of the same family: ``qwen3-vl-4b`` for ``qwen99``."""
    family = "".join(takewhile(str.isalpha, name))
    cards = [card for card in CARDS if len(family) > 2 and card.startswith(family)]
    return list(dict.fromkeys([*get_close_matches(name, names), *cards[:3]]))


def _find_name(fields: Mapping[str, Any]) -> str:
    found = fields.get("_name_or_path")
    return found if isinstance(found, str) else ""


def make_config(
    fields: dict[str, Any], name: str, *, place: str, is_carded: bool = False, is_whole: bool = False
) -> ModelConfig:
    """Return the config of these fields.

    ``is_carded`` says that its model needs to be no causal decoder, and ``is_whole`` that the fields are those of a
    file, which has all sizes.

    Raises
    ------
    ArchitectureError
        As :func:`read_model_config`.
    """
    check_fields(fields, place)
    with quiet():
        return _make_config(fields, name, place=place, is_carded=is_carded, is_whole=is_whole)


def _make_config(fields: dict[str, Any], name: str, *, place: str, is_carded: bool, is_whole: bool) -> ModelConfig:
    model_type = str(fields["model_type"])
    if model_type not in CONFIG_MAPPING:
        raise ArchitectureError(
            "transformers has no model of this type", place=f"{place}: model_type", found=clip(model_type),
            remedy=_suggest_type(fields, model_type),
        )  # fmt: skip
    if model_type not in COMPILED_TYPES and not is_carded:
        raise ArchitectureError(
            "models of this type neither are causal decoders nor have one behind a tower",
            place=f"{place}: model_type", found=model_type, remedy="a model of other stages needs a card",
        )  # fmt: skip
    if not is_carded:
        check_classes(fields, model_type, place)
    given = {key: value for key, value in fields.items() if key not in (_REMOTE, "model_type", "torch_dtype", "dtype")}
    config_class = CONFIG_MAPPING[model_type]
    missing = list_missing(fields, config_class)
    try:
        config = config_class.from_dict({**copy.deepcopy(given), "model_type": model_type})
    except Exception as error:  # each class of transformers checks its own config in its own way
        if "validate_architecture" in str(error):
            check_width(fields.get("hidden_size"), fields.get("num_attention_heads"), place)
        unsaid = ", ".join(f"{key} = {value}" for key, value in missing.items())
        found = clip(_VALIDATOR.sub("", str(error)))
        if is_whole and missing:
            raise ArchitectureError(
                _LACKS_SIZES, place=place, expected=", ".join(missing), found=found, remedy="add them"
            ) from error
        raise ArchitectureError(
            "transformers refuses the config", place=place, found=found,
            remedy=f"the config does not say, so that the defaults hold: {unsaid}" if unsaid else "",
        ) from error  # fmt: skip
    try:
        if is_whole:
            _refuse_missing(config, missing, place)
        _check_config(config, fields, place)
    except ArchitectureError:
        raise
    except Exception as error:  # some classes refuse to say a size that differs from layer to layer
        raise ArchitectureError("the config does not say a size", place=place, found=clip(error)) from error
    assumed = list_assumed(fields, config) if fields.keys() - {"model_type"} else {}
    class_name = DEFAULT_CLASS if is_carded or model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else _find_class(config)
    return ModelConfig(
        config=config, name=name or model_type, assumed=assumed, class_name=class_name,
        misspelt=find_misspelt(fields, config),
    )  # fmt: skip


def _suggest_type(fields: Mapping[str, Any], model_type: str) -> str:
    never = "remote code is never run" if _REMOTE in fields else ""
    types, close = find_types(fields), get_close_matches(model_type, COMPILED_TYPES)
    if meant := [each for each in close if each in types]:
        return "; ".join(filter(None, (never, f"did you mean {' or '.join(meant)}")))
    if types:
        named = f"architectures names the class of model_type = {' or '.join(types)}, which stands for its modules"
        return "; ".join(filter(None, (never, named)))
    return never or (f"did you mean {' or '.join(close)}" if close else "")


def _refuse_missing(config: PreTrainedConfig, missing: Mapping[str, int], place: str) -> None:
    left = [key for key, value in missing.items() if find_value(config, key) == value]
    if left:
        raise ArchitectureError(
            _LACKS_SIZES, place=place, expected=", ".join(left),
            remedy="add them; a model type alone, as llama, stands for all defaults",
        )  # fmt: skip


def _find_class(config: PreTrainedConfig) -> str:
    """Return the class of the modules of a model that sees."""
    found: str = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES[config.model_type]
    return found


def _check_config(config: PreTrainedConfig, fields: Mapping[str, Any], place: str) -> None:
    text = config.get_text_config(decoder=True)
    if getattr(config, "is_encoder_decoder", False) or getattr(text, "is_encoder_decoder", False):
        raise ArchitectureError(
            "an encoder stands beside the decoder, and each step reads what it made", place=place,
            expected="a causal decoder", found=str(config.model_type),
            remedy="" if config.sub_configs else "is_encoder_decoder = false in it stands for its decoder alone",
        )  # fmt: skip
    layers = find_value(text, "num_hidden_layers")
    if type(layers) is not int:
        raise ArchitectureError("the config has no number of layers", place=place, expected="num_hidden_layers")
    check_depth(layers, f"{place}: num_hidden_layers")
    check_sections(config, fields, place)
    check_tower(config, fields, place)
    section: Mapping[str, Any] = next((value for key, value in fields.items() if vars(config).get(key) is text), {})
    check_sizes(text, fields if text is config else section, place)
    heads, width = find_value(text, "num_attention_heads"), find_value(text, "hidden_size")
    is_own = are_defaults(type(text), {"hidden_size": width, "num_attention_heads": heads})
    if find_value(text, "head_dim") is None and not is_own:
        check_width(width, heads, place)
