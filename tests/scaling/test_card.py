"""From how many rows on a linear layer is compute-bound, on a card of 989.4 TFLOP/s and 3.35 TB/s."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
import sympy

import modelmeter
from modelmeter import scaling
from modelmeter.scaling import Quantity, Source
from modelmeter.support.errors import FormulaError

H100 = {"peak_flops": 989_400_000_000_000, "memory_bandwidth": 3_350_000_000_000}
RATIO = Fraction(H100["peak_flops"], H100["memory_bandwidth"])


def rows_by_hand(width: int, other: int, ratio: Fraction = RATIO) -> int | None:
    """``2 n D F >= 2 r (n D + D F + n F)`` at 16 bits: from ``r h / (h - r)`` on with ``h = D F / (D + F)``."""
    h = Fraction(width * other, width + other)
    return ceil(ratio * h / (h - ratio)) if h > ratio else None


def bound(source: Source, ratio: Fraction | int = RATIO) -> scaling.Crossover:
    needed = scaling.RATIO.at(ratio=ratio) * source.io_bytes
    return scaling.crossover(source.tensor_core_flops, needed, over="seq_len")


@pytest.mark.parametrize(
    ("pattern", "shape", "rows"),
    [
        ("*.q_proj", (1280, 1280), 549),
        ("*.o_proj", (1280, 1280), 549),
        ("*.layers.0.mlp.gate_proj", (1280, 6848), 407),
        ("*.shared_experts.up_proj", (1280, 1792), 489),
    ],
)
def test_a_linear_layer_is_compute_bound_from_so_many_rows(pattern: str, shape: tuple[int, int], rows: int) -> None:
    assert rows_by_hand(*shape) == rows
    answer = bound(scaling.stage(modelmeter.load(), "prefill").modules(pattern))
    assert answer.value == rows
    assert answer.outcome == "from"
    answer.check()


def test_the_lm_head() -> None:
    """Its rows are those that get logits, all of the prompt by default."""
    assert rows_by_hand(1280, 129280) == 386
    head = scaling.stage(modelmeter.load(), "prefill").modules("lm_head").operator("mm")
    assert bound(head).value == 386


def test_routed_experts_need_so_many_tokens_that_each_gets_its_rows() -> None:
    # Each of 64 experts gets 6 / 64 of the tokens: (64 / 6) r h / (h - r).
    h = Fraction(1280 * 896, 1280 + 896)
    assert ceil(Fraction(64, 6) * RATIO * h / (h - RATIO)) == 7166
    experts = scaling.stage(modelmeter.load(), "prefill").modules("*.experts").modules("*.gate_proj")
    answer = bound(experts)
    assert answer.is_proved
    assert answer.value == 7166


def test_a_narrow_layer_never_is() -> None:
    """768 x 768 has h = 384, less than the ratio of a card of 419 FLOP a byte."""
    assert rows_by_hand(768, 768, Fraction(419)) is None
    model = modelmeter.load()
    linear = scaling.layer(model, "linear")
    sizes = {"in_features": 768, "out_features": 768}
    needed = scaling.RATIO.at(ratio=419) * linear.io_bytes.at(**sizes)
    answer = scaling.crossover(linear.tensor_core_flops.at(**sizes), needed, over="num_tokens")
    assert answer.outcome == "never"
    answer.check()


def test_the_rows_as_a_formula_of_shape_and_ratio() -> None:
    rows, width, other = (sympy.Symbol(name, integer=True, positive=True) for name in ("rows", "width", "other"))
    flops = Quantity(2 * rows * width * other, "flops", "FLOPs")
    moved = Quantity(2 * (rows * width + width * other + rows * other), "moved", "bytes")
    answer = scaling.crossover(flops, scaling.RATIO * moved, over="rows", free=("width", "other", "ratio"))
    answer.check()
    assert answer.outcome == "from"
    ratio = scaling.RATIO.formula
    h = width * other / (width + other)
    assert sympy.simplify(answer.threshold - ratio * h / (h - ratio)) == 0
    for shape in ((1280, 1280), (1280, 6848), (97, 89), (768, 768)):
        by_hand = rows_by_hand(*shape, Fraction(295))
        assert answer.at(width=shape[0], other=shape[1], ratio=295) == by_hand


def test_decode_never_turns_compute_bound() -> None:
    """Its caches grow with the batch, too."""
    decode = scaling.stage(modelmeter.load(), "decode")
    answer = scaling.limit(scaling.intensity(decode.tensor_core_flops, decode.io_bytes), "batch_size")
    answer.check()
    assert answer.side == "below"
    assert answer.value is not None
    assert answer.value < 14
    assert bound(decode.operator("mm")).outcome == "never"


def test_a_roofline_is_the_sum_of_what_each_operator_is_bound_by() -> None:
    model = modelmeter.load()
    prefill = scaling.stage(model, "prefill")
    time = scaling.roofline(prefill).at(**H100)
    assert time.unit == "s"
    sizes = {**model.defaults, "seq_len": 1531, "logits_tokens": 1531}
    by_hand = Fraction(0)
    for row in model.operators("prefill"):
        flops = modelmeter.evaluate(row.cost.tensor_core_flops, sizes)
        moved = modelmeter.evaluate(row.cost.io_bytes, sizes)
        by_hand += max(Fraction(flops, H100["peak_flops"]), Fraction(moved) / H100["memory_bandwidth"])
    answer = scaling.difference(time.at(seq_len=1531), 0 * time)
    assert answer.value == by_hand
    in_bytes = scaling.difference(scaling.roofline_bytes(prefill).at(ratio=RATIO, seq_len=1531), 0 * prefill.io_bytes)
    assert in_bytes.value == by_hand * H100["memory_bandwidth"]


def test_a_roofline_of_one_operator_needs_flops_and_bytes() -> None:
    prefill = scaling.stage(modelmeter.load(), "prefill")
    assert scaling.roofline_of(prefill.tensor_core_flops, prefill.io_bytes).unit == "s"
    with pytest.raises(FormulaError, match="not a time"):
        scaling.roofline_of(prefill.io_bytes, prefill.io_bytes)
