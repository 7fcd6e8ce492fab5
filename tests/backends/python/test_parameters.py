"""Parameters as Python: an argument with its default."""

from __future__ import annotations

from small_package import make_parameter

from modelmeter.backends.python.parameters import write_argument, write_array_argument
from modelmeter.evaluators.signature import Derivation


def test_a_size_has_its_default() -> None:
    size = make_parameter(name="decode_steps", default=28)
    assert write_argument(size) == "decode_steps: int = 28"
    assert write_array_argument(size) == "decode_steps: ArrayLike = 28"


def test_what_follows_from_others_is_left_open() -> None:
    derived = make_parameter(name="decode_steps", default=28, derivation=Derivation(node=4, words="four"))
    assert write_argument(derived) == "decode_steps: int | None = None"


def test_what_another_follows_from_is_left_open_too() -> None:
    source = make_parameter(name="max_new_tokens", default=29, target="decode_steps")
    assert write_argument(source) == "max_new_tokens: int | None = None"
    assert write_array_argument(source) == "max_new_tokens: ArrayLike | None = None"


def test_storage_widths_may_be_fractions() -> None:
    width = make_parameter(name="weight_bits", default=5)
    assert write_argument(width) == "weight_bits: Bits = 5"
    assert write_array_argument(width) == "weight_bits: SizeLike = 5"
