"""The words of every formula: each symbol once, with its unit and its meaning."""

from __future__ import annotations

import pytest
import sympy

from modelmeter.core.symbols import (
    ARCHITECTURE,
    DIMENSIONS,
    LOCAL_SIZES,
    STORAGE,
    WORKLOAD,
    describe,
    symbol,
    symbols_of,
)
from modelmeter.support.errors import FormulaError, WorkloadError

# The published names; other tools write them in files.
WORKLOAD_NAMES = (
    "batch_size, images_per_prompt, vision_batch_size, base_size, image_size, num_width_tiles, num_height_tiles, "
    "prompt_tokens, seq_len, logits_tokens, decode_steps, max_new_tokens"
)
DECODER_NAMES = (
    "hidden_size, intermediate_size, moe_intermediate_size, num_hidden_layers, first_k_dense_replace, "
    "num_attention_heads, num_key_value_heads, n_routed_experts, n_shared_experts, num_experts_per_tok, vocab_size"
)


def test_the_names_are_the_published_ones() -> None:
    assert list(WORKLOAD) == WORKLOAD_NAMES.split(", ")
    assert list(STORAGE) == ["weight_bits", "activation_bits", "kv_bits"]
    names = list(ARCHITECTURE)
    decoder, towers = names[:11], names[11:]
    assert decoder == DECODER_NAMES.split(", ")
    assert all(name.startswith(("sam_", "clip_")) for name in towers)


def test_every_size_has_one_symbol_with_one_meaning() -> None:
    assert not DIMENSIONS.keys() & LOCAL_SIZES.keys()
    for name, dimension in {**DIMENSIONS, **LOCAL_SIZES}.items():
        assert describe(name) is dimension
        assert dimension.symbol == symbol(name) is symbol(name)
        assert name.isidentifier()
        assert dimension.unit
        assert dimension.meaning
        assert symbol(name).is_integer


def test_only_sizes_that_may_be_zero_are_not_known_to_be_positive() -> None:
    """A formula may cancel a positive size; one that can be 0 must stay."""
    zero = {name for name, dimension in {**DIMENSIONS, **LOCAL_SIZES}.items() if dimension.minimum == 0}
    assert zero == {
        "num_width_tiles", "num_height_tiles", "prompt_tokens", "decode_steps", "first_k_dense_replace",
        "sam_num_global_layers", "num_global_layers", "padding",
    }  # fmt: skip
    for name in {**DIMENSIONS, **LOCAL_SIZES}:
        assert symbol(name).is_nonnegative
        assert symbol(name).is_positive is (None if name in zero else True)


@pytest.mark.parametrize("ask", [symbol, describe])
def test_an_unknown_name_is_refused(ask: object) -> None:
    with pytest.raises(FormulaError, match="no dimension has this name; found hidden_sise"):
        ask("hidden_sise")


def test_the_symbols_of_a_formula_are_in_the_order_of_the_documentation() -> None:
    formula = symbol("num_tokens") * symbol("vocab_size") + symbol("seq_len") ** symbol("batch_size")
    assert symbols_of(formula) == ["batch_size", "seq_len", "vocab_size", "num_tokens"]
    assert symbols_of(7) == []


def test_a_symbol_that_was_made_elsewhere_is_refused() -> None:
    with pytest.raises(FormulaError, match=r"did not make; found \['stranger'\]"):
        symbols_of(symbol("seq_len") + sympy.Symbol("stranger"))


@pytest.mark.parametrize(("name", "least"), [("seq_len", 1), ("num_width_tiles", 0)])
def test_a_value_is_a_whole_number_in_range(name: str, least: int) -> None:
    dimension = WORKLOAD[name]
    for value in (least, least + 1, 10**30):
        dimension.check(value, WorkloadError)
    for value in (least - 1, 7.0, True, "7", None):
        message = rf"^{name}: a size is not a whole number in range; expected an integer of at least {least}"
        with pytest.raises(WorkloadError, match=message):
            dimension.check(value, WorkloadError)
