"""Architectures by hand: every dimension has a value, and a wrong one is refused. By config: test_hf_config_sizes."""

from __future__ import annotations

from typing import Any

import pytest
from hf_configs import EXPECTED

from modelmeter.models.deepseek_ocr.architecture import ConfigWarning, DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import ARCHITECTURE
from modelmeter.support.errors import ArchitectureError


def test_every_dimension_has_a_value() -> None:
    values = EXPECTED.dimension_values()
    assert list(values) == list(ARCHITECTURE)
    assert values["sam_num_global_layers"] == 2
    assert values["clip_patch_size"] == 13


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_size", "60"),
        ("num_hidden_layers", True),
        ("sam_window_size", 0),
        ("sam_neck_channels", -1),
        ("sam_patch_size", 16.0),
        ("clip_patch_size", None),
        ("sam_global_attn_indexes", ([1],)),
        ("sam_global_attn_indexes", (12,)),
        ("sam_image_size", 15),
    ],
)
def test_an_architecture_by_hand_is_checked_too(name: str, value: Any) -> None:
    with pytest.raises(ArchitectureError, match=name):
        DeepSeekOCRArchitecture(**{name: value})


def test_a_warning_is_one_line_whatever_the_keys_are() -> None:
    """Of 23 keys it has the first 20, each cut after 80 characters; the record has all."""
    keys = ("a\n\x1b[31m" + "b" * 90, *(f"key_{number}" for number in range(22)))
    warning = ConfigWarning(file="c.json", problem="unknown keys", keys=keys)
    line = str(warning)
    assert line.startswith("c.json: unknown keys: a \\x1b[31mbbb")
    assert "b" * 74 not in line  # 80 less those before
    assert line.endswith(", key_18 and 3 more")
    assert line.isprintable()
    assert warning.keys == keys
