"""Which models are traced, and which have layers of their own; nothing heavy is imported to tell."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelmeter.model.registry import find_model, list_models
from modelmeter.support.errors import ArchitectureError
from modelmeter.support.files import read_text
from modelmeter.support.strict_json import parse_object


def is_traced(source: str | os.PathLike[str] | Mapping[str, Any]) -> bool:
    """Tell whether a source is to be traced: no registered model, and no config of a registered family.

    Of a file that is no JSON object, the answer is no, and of the config of a folder yes: whoever reads it says what is
    wrong.
    """
    if isinstance(source, Mapping):
        return True
    path = find_config(source)
    if not path.endswith(".json") and not os.path.isfile(path):
        return str(source) not in list_models()
    try:
        model_type = parse_object(read_text(path)).get("model_type")
    except (OSError, ValueError):
        return path != os.fspath(source)
    return not isinstance(model_type, str) or not is_of_a_family(model_type)


def find_config(source: str | os.PathLike[str]) -> str:
    """Return the path of the ``config.json`` of a folder, and else the source as it is.

    A text that is the name of a model stands for that, also where a folder is called so: see :func:`describe_choice`.
    """
    path = os.fspath(source)
    file = os.path.join(path, "config.json")
    return file if os.path.isfile(file) and not (isinstance(source, str) and _is_name(source)) else path


def describe_choice(source: str) -> str:
    """Return the line that says what a source stands for where it is a name and a folder; nothing elsewhere."""
    if not os.path.isfile(os.path.join(source, "config.json")) or not _is_name(source):
        return ""
    return f"{source} stands for the model of this name; the folder is {os.path.join(os.curdir, source)}"


def _is_name(source: str) -> bool:
    """Tell whether a text is the name of a registered model, of a card or of a type of transformers."""
    if source in list_models():
        return True
    if not re.fullmatch(r"[\w.-]{1,100}", source) or not all(map(find_spec, ("torch", "transformers"))):
        return False
    # They take seconds, and only a source that is a folder with a config, too, gets here.
    from modelmeter.frontend.cards.shipped import CARDS
    from modelmeter.frontend.configs.classes import is_type

    return source in CARDS or is_type(source)


def check_name(name: str) -> None:
    """Check what someone wants to call a model.

    Raises
    ------
    ArchitectureError
        If it is no name: only letters, digits, spaces and ``-_.+()`` make one, and a letter or a digit comes first.
    """
    if not re.fullmatch(r"[^\W_][\w .+()-]{0,99}", name):
        raise ArchitectureError(
            "no model can have this name", place="name",
            expected="at most 100 letters, digits, spaces and -_.+(), of which a letter or digit is first", found=name,
        )  # fmt: skip


def has_modules(model_type: str) -> bool:
    """Tell whether transformers has modules of this type."""
    spec = find_spec("transformers")
    if spec is None or not spec.submodule_search_locations or not re.fullmatch(r"[\w-]{1,100}", model_type):
        return False
    return (Path(spec.submodule_search_locations[0]) / "models" / model_type.replace("-", "_")).is_dir()


def is_of_a_family(model_type: str) -> bool:
    """Tell whether a registered model reads configs of this type."""
    return any(model_type in find_model(name).model_types for name in list_models())
