"""Storage widths that are fractions: bytes are those of the exact sum, rounded up once."""

from __future__ import annotations

import inspect
from decimal import Decimal
from fractions import Fraction
from math import ceil
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_package import ARCHITECTURE, DEFAULTS, make_spec

from modelmeter.dimensions.functions import expected_routed_reads
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.dimensions import symbol

SPEC = make_spec()
STAGES = ("vision", "projector", "prefill", "decode")
WIDTHS = ("weight_bits", "activation_bits", "kv_bits")

widths = st.fixed_dictionaries(dict.fromkeys(WIDTHS, st.fractions(1, 17, max_denominator=13)))


def expect(cost: Cost, sizes: dict[str, Any]) -> tuple[int, ...]:
    """Evaluate formulas the slow way: every formula is linear in the widths, so three integers say it all."""
    from modelmeter.dimensions.evaluate import evaluate

    whole = {name: 0 if name in WIDTHS else size for name, size in sizes.items()}

    def at(formula: Any, **bits: int) -> Fraction:
        return Fraction(evaluate(formula, {**whole, **bits}, routed_reads=expected_routed_reads))

    def exact(formula: Any) -> Fraction:
        fixed = at(formula)
        return fixed + sum(sizes[name] * (at(formula, **{name: 1}) - fixed) for name in WIDTHS if name in sizes)

    return tuple(ceil(exact(cost[metric])) for metric in METRICS)


def take(function: Any, sizes: dict[str, Any]) -> dict[str, Any]:
    return {name: size for name, size in sizes.items() if name in inspect.signature(function).parameters}


def test_weights_of_5_5_bits(costs: ModuleType) -> None:
    """The projector has 65 * 42 = 2730 weights: 2730 * 11 / 16 = 1876.875 bytes."""
    assert costs.projector(weight_bits=Fraction(11, 2)).weight_bytes == 1877
    assert costs.projector_weight_bytes(weight_bits=Fraction(11, 2)) == 1877
    assert costs.general.projector(weight_bits=Fraction(11, 2)).weight_bytes == 1877
    # By hand: 3 * 42 * (2 * 103 + 3 * 11 * 17) + 42 * 211 weights of the decoder, 65 * (3 * 81 + 1) of vision.
    decoder, vision = 3 * 42 * (2 * 103 + 3 * 11 * 17) + 42 * 211, 65 * (3 * 81 + 1)
    request = ceil(Fraction(31, 7) * (decoder + vision + 2730) / 8)
    assert costs.request(weight_bits=Fraction(31, 7)).weight_bytes == request
    assert costs.stages(weight_bits=Fraction(31, 7)).request.weight_bytes == request


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bits=widths, length=st.integers(1, 10**6))
def test_every_function_equals_its_formula(costs: ModuleType, bits: dict[str, Fraction], length: int) -> None:
    sizes = {**ARCHITECTURE, **DEFAULTS, **bits, "seq_len": length, "logits_tokens": length}
    for stage in STAGES:
        expected = expect(SPEC.costs[stage], sizes)
        function = getattr(costs, stage)
        found = function(**take(function, {**bits, "seq_len": length}))
        assert found == expected
        assert {type(value) for value in found} == {int}
        frozen = costs.freeze(stage, free=["batch_size"], **take(function, {**bits, "seq_len": length}))
        assert frozen(1) == expected
        assert frozen(101) == function(batch_size=101, **take(function, {**bits, "seq_len": length}))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bits=widths)
def test_arrays_take_fractions_that_are_known(costs: ModuleType, bits: dict[str, Fraction]) -> None:
    pytest.importorskip("numpy")
    for name in ("request", "training_step", "request_peak_activation_bytes", "vision_peak_activation_bytes"):
        function = getattr(costs, name)
        given_bits = take(function, bits)
        found = getattr(costs.arrays, name)(batch_size=[1, 3, 101], **given_bits)
        for place, batch in enumerate((1, 3, 101)):
            here = int(found[place]) if name.endswith("bytes") else tuple(int(metric[place]) for metric in found)
            assert here == function(batch_size=batch, **given_bits)
    bound = costs.arrays.bound("request", batch_size=[1, 101], **bits)
    assert bound == costs.request(batch_size=101, **bits)


def test_rows_add_up_to_the_stage_before_they_are_rounded(costs: ModuleType) -> None:
    bits = {"weight_bits": Fraction(31, 7), "activation_bits": Fraction(23, 5)}
    rows = costs.breakdown.operators("prefill", **bits)
    assert ceil(sum(row.io_bits for row in rows) / 8) == costs.prefill(**bits).io_bytes
    assert any(isinstance(row.io_bits, Fraction) for row in rows)
    (state,) = costs.breakdown.states("projector", weight_bits=Fraction(11, 2))
    assert state.weight_bits == 2730 * 11 // 2
    assert type(state.weight_bits) is int


def test_a_layer_takes_fractions(costs: ModuleType) -> None:
    """3 images, 7 channels out, a side of (31 - 4 + 3) // 3 = 10, 31 / 7 bits each: 3 * 7 * 100 * 31 / 56 bytes."""
    assert costs.layers.square_convolution(activation_bits=Fraction(31, 7)).activation_bytes == ceil(
        Fraction(3 * 7 * 100 * 31, 56)
    )


def test_a_fraction_that_is_whole_is_an_integer(costs: ModuleType) -> None:
    assert costs.prefill(weight_bits=Fraction(16)) == costs.prefill(weight_bits=16)
    numpy = pytest.importorskip("numpy")
    assert costs.prefill(weight_bits=numpy.int64(7)) == costs.prefill(weight_bits=7)


@pytest.mark.parametrize(
    ("size", "value", "error", "message"),
    [
        ("weight_bits", 5.5, "TypeError", "weight_bits must be an integer or a fractions.Fraction, not float 5.5"),
        ("weight_bits", Decimal("5.5"), "TypeError", "weight_bits must be an integer, not Decimal"),
        ("weight_bits", "5.5", "TypeError", "weight_bits must be an integer, not str '5.5'"),
        ("weight_bits", True, "TypeError", "weight_bits must be an integer, not True"),
        ("kv_bits", Fraction(1, 2), "CostError", "kv_bits must be at least 1, not 1/2"),
        ("kv_bits", Fraction(0), "CostError", "kv_bits must be at least 1, not 0"),
        ("seq_len", Fraction(11, 2), "TypeError", "seq_len must be an integer, not Fraction Fraction(11, 2)"),
    ],
)
def test_what_is_no_width_is_named(costs: ModuleType, size: str, value: object, error: str, message: str) -> None:
    for function in (costs.prefill, costs.prefill_io_bytes, costs.general.prefill):
        with pytest.raises((TypeError, costs.CostError)) as caught:
            function(**{size: value})
        assert (type(caught.value).__name__, str(caught.value)[: len(message)]) == (error, message)


def test_widths_that_vary_are_integers(costs: ModuleType) -> None:
    """Whole numbers of elements times a fraction are not whole: what is exact for integers would not be."""
    message = "weight_bits must be an integer where it varies: only a width that is known may be a fraction"
    with pytest.raises(TypeError, match=message):
        costs.freeze("prefill", free=["weight_bits"])(Fraction(11, 2))
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TypeError, match=message):
        costs.arrays.prefill(weight_bits=[Fraction(11, 2), 7])
    with pytest.raises(TypeError, match="weight_bits must hold integers, not float64"):
        costs.arrays.prefill(weight_bits=numpy.array([5.5, 7.0]))


def test_the_formulas_of_the_small_package_are_linear_in_the_widths() -> None:
    """What the expectation above rests on."""
    for cost in SPEC.costs.values():
        for metric in METRICS:
            for name in WIDTHS:
                assert cost[metric] == 0 or cost[metric].diff(symbol(name), 2).expand() == 0
