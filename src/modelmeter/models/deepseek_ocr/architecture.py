"""The sizes of a DeepSeek-OCR model: one record, from the checkpoint's config or by hand."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import ClassVar

from attrs import field, frozen

from modelmeter.models.deepseek_ocr.dimensions import ARCHITECTURE
from modelmeter.models.deepseek_ocr.hf_config import ParsedConfig, load_config, parse_config
from modelmeter.support.errors import ArchitectureError, describe_problem

IMAGE_CHANNELS = 3


@frozen(kw_only=True)
class DeepSeekOCRArchitecture:
    """Sizes of the SAM tower, the CLIP tower, the projector and the MoE decoder.

    The field names are the dimensions of :mod:`modelmeter.models.deepseek_ocr.dimensions`; the defaults are the
    published checkpoint's. ``sam_global_attn_indexes`` holds the SAM blocks whose attention is not windowed.

    Raises
    ------
    ArchitectureError
        If a size is not a positive integer, or two sizes contradict each other.
    """

    model: ClassVar[str] = "deepseek-ocr"
    """The family, by its name in the registry."""

    hidden_size: int = 1280
    intermediate_size: int = 6848
    moe_intermediate_size: int = 896
    num_hidden_layers: int = 12
    first_k_dense_replace: int = 1
    num_attention_heads: int = 10
    num_key_value_heads: int = 10
    n_routed_experts: int = 64
    n_shared_experts: int = 2
    num_experts_per_tok: int = 6
    vocab_size: int = 129280
    sam_image_size: int = 1024
    sam_patch_size: int = 16
    sam_hidden_size: int = 768
    sam_num_hidden_layers: int = 12
    sam_global_attn_indexes: tuple[int, ...] = field(default=(2, 5, 8, 11), converter=tuple)
    sam_num_attention_heads: int = 12
    sam_intermediate_size: int = 3072
    sam_window_size: int = 14
    sam_neck_channels: int = 256
    sam_downsample_channels: int = 512
    clip_image_size: int = 224
    clip_patch_size: int = 14
    clip_hidden_size: int = 1024
    clip_num_hidden_layers: int = 24
    clip_num_attention_heads: int = 16
    clip_intermediate_size: int = 4096

    def __attrs_post_init__(self) -> None:
        for name, dimension in ARCHITECTURE.items():
            dimension.check(getattr(self, name), ArchitectureError)
        _check_heads("hidden_size", self.hidden_size, "num_attention_heads", self.num_attention_heads)
        _check_heads("sam_hidden_size", self.sam_hidden_size, "sam_num_attention_heads", self.sam_num_attention_heads)
        _check_heads(
            "clip_hidden_size", self.clip_hidden_size, "clip_num_attention_heads", self.clip_num_attention_heads
        )
        if (self.hidden_size // self.num_attention_heads) % 2:
            raise ArchitectureError(
                "the rotary embedding turns pairs of channels", place="hidden_size / num_attention_heads",
                expected="an even head size", found=self.hidden_size // self.num_attention_heads,
            )  # fmt: skip
        if self.num_attention_heads % self.num_key_value_heads:
            raise ArchitectureError(
                "query heads do not share the key and value heads evenly", place="num_key_value_heads",
                expected=f"a divisor of {self.num_attention_heads}", found=self.num_key_value_heads,
            )  # fmt: skip
        _check_at_most("num_experts_per_tok", self.num_experts_per_tok, "n_routed_experts", self.n_routed_experts)
        _check_at_most("first_k_dense_replace", self.first_k_dense_replace, "num_hidden_layers", self.num_hidden_layers)
        indexes = self.sam_global_attn_indexes
        if any(type(index) is not int or not 0 <= index < self.sam_num_hidden_layers for index in indexes) or (
            len(set(indexes)) != len(indexes)
        ):
            raise ArchitectureError(
                "the global attention blocks are not distinct block numbers", place="sam_global_attn_indexes",
                expected=f"distinct integers from 0 to {self.sam_num_hidden_layers - 1}", found=list(indexes),
            )  # fmt: skip
        for side, patch in (("sam_image_size", "sam_patch_size"), ("clip_image_size", "clip_patch_size")):
            if getattr(self, side) < getattr(self, patch):
                raise ArchitectureError(
                    "an image is smaller than one patch", place=side,
                    expected=f"at least {getattr(self, patch)}", found=getattr(self, side),
                )  # fmt: skip

    @classmethod
    def from_hf_config(cls, path: str | os.PathLike[str]) -> DeepSeekOCRArchitecture:
        """Read the sizes from a checkpoint's ``config.json``.

        What the config says and nobody understands becomes a Python warning of the category
        :class:`ConfigKeyWarning`; :func:`read_hf_config` returns it instead.

        Raises
        ------
        ArchitectureError
            If the file cannot be read, a size in it is missing, wrong or contradicts another, or the model
            is not one that the layers describe. The place is the file and the path of the key.
        """
        read = read_hf_config(path)
        for warning in read.warnings:
            warnings.warn(ConfigKeyWarning(str(warning)), stacklevel=2)
        return read.architecture

    @property
    def sam_num_global_layers(self) -> int:
        """Number of SAM blocks with global attention."""
        return len(self.sam_global_attn_indexes)

    def dimension_values(self) -> dict[str, int]:
        """Return every architecture dimension of :mod:`modelmeter.models.deepseek_ocr.dimensions` with its value."""
        return {name: getattr(self, name) for name in ARCHITECTURE}


class ConfigKeyWarning(UserWarning):
    """A config says something that costs may depend on, and that is not understood."""


_MOST_KEYS = 20
_LONGEST_KEY = 80


@frozen(kw_only=True)
class ConfigWarning:
    """Something in a config that is not refused, and that costs may depend on.

    Parameters
    ----------
    file
        The config.
    problem
        What is so.
    keys
        The paths of the keys that say it.
    """

    file: str
    problem: str
    keys: tuple[str, ...]

    def __str__(self) -> str:
        """The warning as one line; of very many keys it has the first ones."""
        named = [key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}..." for key in self.keys[:_MOST_KEYS]]
        rest = len(self.keys) - len(named)
        listed = ", ".join(named) + (f" and {rest} more" if rest else "")
        return describe_problem(f"{self.problem}: {listed}", place=self.file)


@frozen(kw_only=True)
class HFConfig:
    """What a checkpoint's config says.

    Parameters
    ----------
    architecture
        The sizes.
    names
        What the config calls its model, the most particular name first.
    warnings
        What nobody understands in it.
    """

    architecture: DeepSeekOCRArchitecture
    names: tuple[str, ...]
    warnings: tuple[ConfigWarning, ...]


def read_hf_config(path: str | os.PathLike[str]) -> HFConfig:
    """Read a checkpoint's ``config.json``.

    Raises
    ------
    ArchitectureError
        As :meth:`DeepSeekOCRArchitecture.from_hf_config`.
    """
    try:
        parsed = parse_config(load_config(path))
    except ArchitectureError as error:
        raise _place_in_file(error, path, error.place) from error
    try:
        architecture = DeepSeekOCRArchitecture(**parsed.sizes)
    except ArchitectureError as error:
        # The file's author knows the key, not the field that it fills.
        raise _place_in_file(error, path, parsed.paths.get(error.place, error.place)) from error
    found = tuple(_list_warnings(os.fspath(path), parsed, architecture))
    return HFConfig(architecture=architecture, names=parsed.names, warnings=found)


def _list_warnings(file: str, parsed: ParsedConfig, architecture: DeepSeekOCRArchitecture) -> Iterator[ConfigWarning]:
    if parsed.unknown_keys:
        yield ConfigWarning(file=file, problem="unknown keys, on which costs may depend", keys=parsed.unknown_keys)
    if parsed.is_transformers:
        stored = IMAGE_CHANNELS * architecture.clip_patch_size**2 * architecture.clip_hidden_size
        yield ConfigWarning(
            file=file,
            problem=f"{stored} parameters are counted for CLIP's patches, which transformers leaves out",
            keys=(parsed.paths["clip_patch_size"],),
        )


def _place_in_file(error: ArchitectureError, path: str | os.PathLike[str], place: str) -> ArchitectureError:
    return ArchitectureError(
        error.problem,
        place=f"{path}: {place}" if place else str(path),
        expected=error.expected,
        found=error.found,
        remedy=error.remedy,
    )


def _check_heads(width_name: str, width: int, heads_name: str, heads: int) -> None:
    if width % heads:
        raise ArchitectureError(
            "the heads do not divide the width", place=heads_name, expected=f"a divisor of {width_name} = {width}",
            found=heads,
        )  # fmt: skip


def _check_at_most(name: str, value: int, limit_name: str, limit: int) -> None:
    if value > limit:
        raise ArchitectureError(
            "a size exceeds what it is a part of", place=name, expected=f"at most {limit_name} = {limit}", found=value
        )
