"""The words of every formula: each symbol once, with its unit and its meaning."""

from __future__ import annotations

import pytest
import sympy

from modelmeter.dimensions.symbols import ANY_LAYER, GENERAL, STORAGE, Dimensions, define_sizes, names_of
from modelmeter.models.deepseek_ocr.dimensions import ARCHITECTURE, DIMENSIONS, WORKLOAD, symbol
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
    for name in DIMENSIONS.ranks:
        dimension = DIMENSIONS.describe(name)
        assert dimension.name == name
        assert dimension.symbol == symbol(name) is symbol(name)
        assert name.isidentifier()
        assert dimension.unit
        assert dimension.meaning
        assert symbol(name).is_integer


def test_only_sizes_that_may_be_zero_are_not_known_to_be_positive() -> None:
    """A formula may cancel a positive size; one that can be 0 must stay."""
    zero = {name for name in DIMENSIONS.ranks if DIMENSIONS.describe(name).minimum == 0}
    assert zero == {
        "num_width_tiles", "num_height_tiles", "prompt_tokens", "decode_steps", "first_k_dense_replace",
        "sam_num_global_layers", "num_global_layers", "padding",
    }  # fmt: skip
    for name in DIMENSIONS.ranks:
        assert symbol(name).is_nonnegative
        assert symbol(name).is_positive is (None if name in zero else True)


@pytest.mark.parametrize("ask", [symbol, DIMENSIONS.describe, DIMENSIONS.describe_in_layer, ANY_LAYER.symbol])
def test_an_unknown_name_is_refused(ask: object) -> None:
    with pytest.raises(FormulaError, match="no dimension has this name; found hidden_sise"):
        ask("hidden_sise")


def test_the_symbols_of_a_formula_are_in_the_order_of_the_documentation() -> None:
    formula = symbol("num_tokens") * symbol("vocab_size") + symbol("seq_len") ** symbol("batch_size")
    assert DIMENSIONS.symbols_of(formula) == ["batch_size", "seq_len", "vocab_size", "num_tokens"]
    assert DIMENSIONS.symbols_of(7) == []


def test_a_symbol_that_was_made_elsewhere_is_refused() -> None:
    with pytest.raises(FormulaError, match=r"none of the model's dimensions; found \['stranger'\]"):
        DIMENSIONS.symbols_of(symbol("seq_len") + sympy.Symbol("stranger"))


@pytest.mark.parametrize(("name", "least"), [("seq_len", 1), ("num_width_tiles", 0)])
def test_a_value_is_a_whole_number_in_range(name: str, least: int) -> None:
    dimension = WORKLOAD[name]
    for value in (least, least + 1, 10**30):
        dimension.check(value, WorkloadError)
    for value in (least - 1, 7.0, True, "7", None):
        message = rf"^{name}: a size is not a whole number in range; expected an integer of at least {least}"
        with pytest.raises(WorkloadError, match=message):
            dimension.check(value, WorkloadError)


OTHER = Dimensions(
    workload=define_sizes("workload", ("hidden_size", "seats", "people in the back of the bus", 0)),
    local=define_sizes("local", ("stride", "metres", "length of a step")),
    latex={"hidden_size": "b", "stride": r"\ell"},
)


def test_two_models_mean_different_things_by_one_name() -> None:
    ours, theirs = DIMENSIONS.describe("hidden_size"), OTHER.describe("hidden_size")
    assert (ours.unit, theirs.unit) == ("channels", "seats")
    assert (ours.meaning, theirs.meaning) == ("width of the decoder", "people in the back of the bus")
    assert (DIMENSIONS.latex["hidden_size"], OTHER.latex["hidden_size"]) == ("d", "b")
    assert DIMENSIONS.symbol("hidden_size").is_positive
    assert OTHER.symbol("hidden_size").is_positive is None
    theirs.check(0, WorkloadError)
    with pytest.raises(WorkloadError, match="at least 1"):
        ours.check(0, WorkloadError)


def test_a_size_of_one_layer_is_that_of_layers_in_general_unless_the_model_says_otherwise() -> None:
    assert OTHER.describe_in_layer("hidden_size") is GENERAL["hidden_size"]
    assert OTHER.describe_in_layer("stride").unit == "metres"
    assert DIMENSIONS.describe_in_layer("vocab_size") is DIMENSIONS.describe("vocab_size")


def test_one_model_knows_nothing_of_the_sizes_of_another() -> None:
    assert "seq_len" not in OTHER.ranks
    with pytest.raises(FormulaError, match="no dimension has this name; found seq_len"):
        OTHER.symbol("seq_len")
    assert OTHER.sort(["zebra", "seq_len", "kv_bits", "hidden_size"]) == ["hidden_size", "kv_bits", "seq_len", "zebra"]
    assert names_of(OTHER.symbol("hidden_size") + symbol("seq_len")) == {"hidden_size", "seq_len"}


@pytest.mark.parametrize(
    ("latex", "message"),
    [({}, "hidden_size"), ({"hidden_size": "N"}, "hidden_size, num_tokens: two sizes have one LaTeX name; found N")],
)
def test_every_size_of_a_model_has_a_latex_name_of_its_own(latex: dict[str, str], message: str) -> None:
    sizes = define_sizes("workload", ("hidden_size", "channels", "width"), ("frames", "frames", "frames"))
    with pytest.raises(FormulaError, match=message if latex else "frames"):
        Dimensions(workload=sizes, latex={**latex, **({"frames": "F"} if latex else {})})
