"""Which classes of transformers the modules of a config are: those that its type has, or it contradicts itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    MODEL_FOR_PRETRAINING_MAPPING_NAMES,
)

from modelmeter.frontend.configs.config_fields import clip
from modelmeter.support.errors import ArchitectureError

COMPILED_TYPES: Final = frozenset({*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES})
"""The types that need no card: causal decoders, and models that see, of which the text part is compiled."""

_MAPPINGS: Final[tuple[Mapping[str, Any], ...]] = (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES, MODEL_FOR_PRETRAINING_MAPPING_NAMES,
)  # fmt: skip


def is_type(name: str) -> bool:
    """Tell whether transformers has models of a type."""
    return name in CONFIG_MAPPING


def check_classes(fields: Mapping[str, Any], model_type: str, place: str) -> None:
    """Refuse ``architectures`` that are not classes with a causal decoder of this type.

    Raises
    ------
    ArchitectureError
        If one is another: the modules that would be compiled are not those of the checkpoint.
    """
    named = fields.get("architectures")
    if named is None:
        return
    known: dict[str, None] = {}
    for mapping in _MAPPINGS:
        found = mapping.get(model_type, ())
        known |= dict.fromkeys([found] if isinstance(found, str) else found)
    names = named if isinstance(named, list) and all(isinstance(each, str) for each in named) else None
    if names is None or not known.keys() >= {*names}:
        raise ArchitectureError(
            "architectures contradicts model_type" if names is not None else "architectures is no list of names",
            place=f"{place}: architectures", expected=f"{' or '.join(known)}, of model_type = {model_type}",
            found=clip(", ".join(names) if names is not None else named),
            remedy="leave it out, and the causal decoder of the type is compiled",
        )  # fmt: skip


def find_types(fields: Mapping[str, Any]) -> list[str]:
    """Return the types whose modules are of a class that ``architectures`` names."""
    named = fields.get("architectures")
    names = [each for each in named if isinstance(each, str)] if isinstance(named, list) else []
    return sorted({model_type for mapping in _MAPPINGS for model_type, found in mapping.items() if found in names})


def check_sections(config: PreTrainedConfig, fields: Mapping[str, Any], place: str) -> None:
    """Refuse a section for the text that is of another known type than the text of the model.

    Raises
    ------
    ArchitectureError
        If it is.
    """
    text = config.get_text_config(decoder=True)
    for key, section in fields.items():
        if not isinstance(section, Mapping) or vars(config).get(key) is not text:
            continue
        found = section.get("model_type")
        if found in CONFIG_MAPPING and found not in (type(text).model_type, config.model_type):
            raise ArchitectureError(
                "the text is of another type than the model has", place=f"{place}: {key}: model_type",
                expected=type(text).model_type, found=found,
            )  # fmt: skip
