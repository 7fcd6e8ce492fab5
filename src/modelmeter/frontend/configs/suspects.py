"""What of a config is in the way where the code of a model fails: looked at only then, so that no sound one is refused.

Rules here may be too strict for code that does not read a key: as long as modules run, nobody asks them.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from transformers import PreTrainedConfig
from transformers.activations import ACT2FN
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from modelmeter.frontend.configs.config_fields import clip
from modelmeter.support.errors import ArchitectureError, ModelMeterError

_ROPE_TYPES: Final = ("default", *ROPE_INIT_FUNCTIONS)
_ROPE, _FACTOR, _SECTIONS = "rope_parameters", "partial_rotary_factor", "mrope_section"
_VALUE_HEADS, _KEY_HEADS = "linear_num_value_heads", "linear_num_key_heads"
_POSITIVE: Final = (_KEY_HEADS, _VALUE_HEADS, "linear_key_head_dim", "linear_value_head_dim", "linear_conv_kernel_dim")

_MOST_NAMES: Final = 8
_LINEAR: Final = "linear_attention"

_RANGE, _PAIR, _NAME = "a size is out of range", "two sizes contradict each other", "transformers knows no such name"

_Suspect = tuple[str, str, str, object]
"""The key, what is wrong, what was expected, and what was found."""


@contextmanager
def blaming_config(config: PreTrainedConfig) -> Iterator[None]:
    """Let an error that began in torch or in transformers name the key of the config that is in the way, if one is.

    Raises
    ------
    ArchitectureError
        In the place of the error that it follows from.
    """
    try:
        yield
    except ModelMeterError as error:
        cause = error.__cause__
        if cause is None or isinstance(cause, ModelMeterError):
            raise
        for key, problem, expected, found in _list_suspects(config, cause):
            raise ArchitectureError(
                problem, place=f"{config.model_type}: {key}", expected=expected, found=clip(found)
            ) from error
        raise


def _list_suspects(config: PreTrainedConfig, cause: BaseException) -> Iterator[_Suspect]:
    yield from _find_unknown_name(config.to_dict(), cause)
    sizes = vars(config.get_text_config(decoder=True))
    for look in _LOOKS:
        yield from look(sizes, cause)


def _find_unknown_name(fields: Mapping[str, Any], cause: BaseException, place: str = "") -> Iterator[_Suspect]:
    """Yield the keys whose name is what a table of transformers lacks."""
    if not isinstance(cause, KeyError):
        return
    for key, value in fields.items():
        if isinstance(value, Mapping):
            yield from _find_unknown_name(value, cause, f"{place}{key}: ")
        elif isinstance(value, str) and cause.args == (value,):
            if key == "rope_type":
                yield f"{place}{key}", _NAME, ", ".join(_ROPE_TYPES), value
            elif value not in ACT2FN and "act" in key:
                names = get_close_matches(value, ACT2FN) or sorted(ACT2FN)[:_MOST_NAMES]
                yield f"{place}{key}", _NAME, f"one of {len(ACT2FN)} activations, as {', '.join(names)}", value


def _look_at_rotation(sizes: Mapping[str, Any], cause: BaseException) -> Iterator[_Suspect]:
    rope = sizes.get(_ROPE)
    if not isinstance(rope, Mapping):
        return
    kinds = {f"{kind}: ": each for kind, each in rope.items() if isinstance(each, Mapping)} or {"": rope}
    for kind, each in kinds.items():
        factor = each.get(_FACTOR)
        if isinstance(factor, int | float) and not 0 <= factor <= 1:
            yield f"{_ROPE}: {kind}{_FACTOR}", _RANGE, "from 0 to 1, the part of each head that turns", factor
        if each.get("rope_type") == "dynamic" and _passes_through(cause, "modeling_rope_utils.py"):
            expected = "a type of fixed frequencies, as yarn or linear"
            yield f"{_ROPE}: {kind}rope_type", "frequencies change with the length of a prompt", expected, "dynamic"
        default = _find_attribute(cause, _SECTIONS)
        if default is not None and _SECTIONS not in each:
            found = f"none, so that the code takes {default}"
            yield f"{_ROPE}: {kind}{_SECTIONS}", _PAIR, "a sum that is half of the numbers of a head that turn", found


def _passes_through(cause: BaseException, file: str) -> bool:
    """Tell whether an error comes from below a file of transformers."""
    return any(Path(frame.f_code.co_filename).name == file for frame, _ in traceback.walk_tb(cause.__traceback__))


def _find_attribute(cause: BaseException, name: str) -> object:
    """Return an attribute of the innermost module that was running and that has it."""
    found = None
    for frame, _ in traceback.walk_tb(cause.__traceback__):
        found = getattr(frame.f_locals.get("self"), name, found)
    return found


def _look_at_linear_attention(sizes: Mapping[str, Any], cause: BaseException) -> Iterator[_Suspect]:
    for key in _POSITIVE:
        if type(sizes.get(key)) is int and sizes[key] < 1:
            yield key, _RANGE, "at least 1", sizes[key]
    values, keys = sizes.get(_VALUE_HEADS), sizes.get(_KEY_HEADS)
    if type(values) is int and type(keys) is int and values % keys:
        yield _VALUE_HEADS, _PAIR, f"a multiple of {_KEY_HEADS} = {keys}", values
    kinds = sizes.get("layer_types")
    if isinstance(kinds, list | tuple) and {*kinds} == {_LINEAR}:
        expected = f"a layer of another kind, as full_attention, among num_hidden_layers = {len(kinds)}"
        yield "layer_types", _PAIR, expected, f"{_LINEAR} alone"


_LOOKS: Final[tuple[Callable[[Mapping[str, Any], BaseException], Iterator[_Suspect]], ...]] = (
    _look_at_rotation, _look_at_linear_attention,
)  # fmt: skip
