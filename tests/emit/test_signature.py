"""What a function takes: each size says what it is, what follows from it, and whether it may be a fraction."""

from __future__ import annotations

from modelmeter.backends.python.signature import Derivation, Parameter


def test_a_parameter_says_what_it_is() -> None:
    size = Parameter(name="decode_steps", default=28)
    assert size.signature == "decode_steps: int = 28"
    assert size.array_signature == "decode_steps: ArrayLike = 28"
    assert size.record == "0, 28"
    assert size.words == "Decode steps of one token each (steps, at least 0)."


def test_what_follows_from_others_has_no_default_of_its_own() -> None:
    derived = Parameter(name="decode_steps", default=28, derivation=Derivation(code="5 - 1", words="four"))
    assert derived.signature == "decode_steps: int | None = None"
    assert derived.record == "0, None"
    assert derived.words.endswith(" By default four.")


def test_what_another_follows_from_may_be_left_open() -> None:
    source = Parameter(name="max_new_tokens", default=29, target="decode_steps")
    assert source.signature == "max_new_tokens: int | None = None"
    assert source.array_signature == "max_new_tokens: ArrayLike | None = None"
    assert source.record == '1, 29, target="decode_steps"'
    assert source.words.endswith(" By default 29, unless ``decode_steps`` is given; both have to agree.")


def test_only_storage_widths_may_be_fractions() -> None:
    width = Parameter(name="weight_bits", default=5)
    assert width.signature == "weight_bits: Bits = 5"
    assert width.array_signature == "weight_bits: ArrayLike | Fraction = 5"
    assert width.record == "1, 5, may_be_fraction=True"
    assert "(bits, at least 1, or a fraction)" in width.words
    assert not Parameter(name="seq_len", default=331).may_be_fraction
