"""Read the sizes of a DeepSeek-OCR checkpoint from its ``config.json``, and refuse what the layers do not model.

Every key of a config is one of three: it is read, it is known to cost nothing, or it is named to the user. A key that
changes a cost in a way that the layers do not model is refused by name.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from attrs import frozen

from modelmeter.models.deepseek_ocr.hf_checks import check_decoder, check_groups, list_unknown_keys
from modelmeter.models.deepseek_ocr.hf_layout import UNLIMITED, Layout
from modelmeter.models.deepseek_ocr.hf_sizes import read_sizes
from modelmeter.models.deepseek_ocr.hf_transformers_layout import TRANSFORMERS
from modelmeter.models.deepseek_ocr.hf_values import show
from modelmeter.models.deepseek_ocr.hf_vendor_layout import VENDOR
from modelmeter.support.errors import ArchitectureError

MAX_CONFIG_BYTES: Final = 2**20
"""Longest file that is read. A checkpoint's config has a few thousand bytes."""


@frozen(kw_only=True)
class ParsedConfig:
    """What a config says.

    Parameters
    ----------
    sizes
        By field of the architecture.
    paths
        The path of the key of each of these sizes.
    unknown_keys
        Paths of the keys of which nobody knows whether a cost depends on them.
    names
        What the config calls its model, the most particular name first.
    is_transformers
        Whether it has the layout of transformers, whose CLIP has no patch convolution.
    """

    sizes: Mapping[str, Any]
    paths: Mapping[str, str]
    unknown_keys: tuple[str, ...]
    names: tuple[str, ...]
    is_transformers: bool


def load_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object from a file, strictly: no duplicate keys, no NaN or infinity.

    Raises
    ------
    ArchitectureError
        If the file cannot be read, or it does not hold one JSON object in UTF-8.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise ArchitectureError("the file is too long for a config", expected=f"at most {MAX_CONFIG_BYTES} bytes")
        config = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
        )
    except OSError as error:
        raise ArchitectureError(f"the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ArchitectureError("the file is not UTF-8 text", place=f"byte {error.start}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise ArchitectureError(f"the file is not valid JSON: {error.msg}", place=place) from error
    except ValueError as error:  # a null character in the name, or a number of thousands of digits
        raise ArchitectureError(f"the file cannot be read: {error}") from error
    except RecursionError:
        raise ArchitectureError("the file nests too deeply") from None
    if not isinstance(config, dict):
        raise ArchitectureError("the file does not hold a JSON object", found=show(config))
    return config


def parse_config(config: dict[str, Any]) -> ParsedConfig:
    """Return what ``config`` says of the sizes of a model, and what of it is not understood.

    Raises
    ------
    ArchitectureError
        If a size is missing, no positive integer or absurd, two keys contradict each other, or a key says that
        the model is not one that the layers describe. The place is the path of the key.
    """
    layout = find_layout(config)
    # keys of which some values only are modelled
    check_groups(config, layout)
    sizes, paths = read_sizes(config, layout)
    # keys whose modelled value follows from others
    check_decoder(config, layout, sizes)
    return ParsedConfig(
        sizes=sizes,
        paths=paths,
        unknown_keys=tuple(list_unknown_keys(config, layout)),
        names=tuple(_list_names(config)),
        is_transformers=not layout.has_projector,
    )


def find_layout(config: Mapping[str, Any]) -> Layout:
    """Return how a config is laid out.

    Raises
    ------
    ArchitectureError
        If it has the decoder in both ways.
    """
    if "text_config" in config and "language_config" in config:
        raise ArchitectureError(
            "two keys hold a decoder", place="text_config", expected="text_config or language_config", found="both"
        )
    is_transformers = "text_config" in config or (
        config.get("model_type") == UNLIMITED[0] and "language_config" not in config
    )
    return TRANSFORMERS if is_transformers else VENDOR


def _list_names(config: Mapping[str, Any]) -> Iterator[str]:
    for key in ("_name_or_path", "model_type"):
        name = config.get(key)
        if isinstance(name, str) and name:
            yield name


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = Counter(key for key, _ in pairs)
    if len(keys) != len(pairs):
        raise ArchitectureError("a key appears twice", found=keys.most_common(1)[0][0])
    return dict(pairs)


def _refuse_constant(text: str) -> NoReturn:
    raise ArchitectureError("the file has a number that JSON does not have", found=text)
