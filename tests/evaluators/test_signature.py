"""What an evaluator takes: each size says what it is, what follows from it, and which rules have to wait."""

from __future__ import annotations

import pytest
from small_package import make_parameter

from modelmeter.algebra.program import PRODUCT, SUM, Operation
from modelmeter.dimensions.size_rules import Rule
from modelmeter.evaluators.signature import Derivation, Signature
from modelmeter.support.errors import FormulaError

FOUR = Derivation(node=Operation(SUM, (5, -1)), words="four")


def test_a_parameter_says_what_it_is() -> None:
    size = make_parameter(name="decode_steps", default=28)
    assert size.words == "Decode steps of one token each (steps, at least 0)."
    assert not size.is_optional


def test_what_follows_from_others_has_no_default_of_its_own() -> None:
    derived = make_parameter(name="decode_steps", default=28, derivation=FOUR)
    assert derived.is_optional
    assert derived.words.endswith(" By default four.")


def test_what_another_follows_from_may_be_left_open() -> None:
    source = make_parameter(name="max_new_tokens", default=29, target="decode_steps")
    assert source.is_optional
    assert source.words.endswith(" By default 29, unless ``decode_steps`` is given; both have to agree.")


def test_only_storage_widths_may_be_fractions() -> None:
    width = make_parameter(name="weight_bits", default=5)
    assert width.may_be_fraction
    assert "(bits, at least 1, or a fraction)" in width.words
    assert not make_parameter(name="seq_len", default=331).may_be_fraction


def test_messages_show_a_derivation_as_people_write_it() -> None:
    assert FOUR.formula == "5 - 1"
    assert Derivation(node="seq_len", words="").formula == "seq_len"
    assert Derivation(node=Operation(SUM, ("image_tokens", "prompt_tokens")), words="").formula == (
        "image_tokens + prompt_tokens"
    )


def test_a_derivation_that_is_no_sum_is_refused() -> None:
    with pytest.raises(FormulaError, match=r"follows from others as a sum.*found \*"):
        _ = Derivation(node=Operation(PRODUCT, ("seq_len", 2)), words="").formula


def test_rules_wait_for_what_they_speak_of() -> None:
    signature = Signature(
        parameters=(
            make_parameter(name="base_size", default=175),
            make_parameter(name="seq_len", default=331, derivation=Derivation(node="image_tokens", words="")),
        ),
        has_routing=False,
        constants={"sam_patch_size": 9, "hidden_size": 42},
        intermediates=("image_tokens",),
        model_rules=(
            Rule("sam_patch_size", "at_most", "base_size"),
            Rule("image_tokens", "at_most", "seq_len"),
            Rule(9, "divides", "base_size"),
            Rule("logits_tokens", "at_most", "seq_len"),  # there is no such size
            Rule("sam_patch_size", "at_most", "hidden_size"),  # both are known
        ),
    )
    assert signature.early_rules == (Rule("sam_patch_size", "at_most", "base_size"), Rule(9, "divides", "base_size"))
    assert signature.late_rules == (Rule("image_tokens", "at_most", "seq_len"),)
    assert [signature.operand(size) for size in ("sam_patch_size", "base_size", 9)] == [9, "base_size", 9]
