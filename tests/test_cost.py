"""Elements to bytes, work to metrics."""

from __future__ import annotations

from fractions import Fraction

import sympy

from modelmeter.dimensions.functions import Differs, Equals
from modelmeter.dimensions.sums import bits_to_bytes
from modelmeter.metrics.cost import COPIES, Cost, Elements, Operator, Precision, Work
from modelmeter.metrics.metric import FLOWS, METRICS
from modelmeter.models.deepseek_ocr.dimensions import symbol

PRECISION = Precision(weight_bits=3, activation_bits=5, kv_bits=7)
READS = Elements(activation=2, weight=11, kv=13, index=17, float32=53)
WRITES = Elements(activation=19, weight=23, kv=29, index=31, float32=59)
WORK = Work(tensor_core_flops=37, cuda_core_flops=41, reads=READS, writes=WRITES)


def test_the_published_metrics_in_their_order() -> None:
    assert METRICS == (
        "tensor_core_flops", "cuda_core_flops", "io_bytes", "weight_bytes", "activation_bytes", "kv_cache_bytes",
    )  # fmt: skip
    assert sorted(FLOWS) == ["cuda_core_flops", "io_bytes", "tensor_core_flops"]
    assert list(Cost().as_dict()) == list(METRICS)


def test_what_is_not_stated_costs_nothing() -> None:
    assert set(Cost().as_dict().values()) == {0}
    assert Work() == Work(tensor_core_flops=0, cuda_core_flops=0, reads=Elements(), writes=Elements())
    assert Elements() == Elements(activation=0, weight=0, kv=0, index=0, float32=0)
    nothing = Operator(name="view")
    assert Work.of([nothing]) == Work()


def test_each_kind_of_element_has_its_own_width_indices_have_64_bits_and_float32_has_32() -> None:
    bits = 2 * 5 + 11 * 3 + 13 * 7 + 17 * 64 + 53 * 32
    assert READS.to_bits(PRECISION) == bits
    assert Fraction(str(READS.to_bytes(PRECISION))) == Fraction(bits, 8)


def test_elements_add_and_scale_kind_by_kind() -> None:
    assert Elements(activation=21, weight=34, kv=42, index=48, float32=112) == READS + WRITES
    assert Elements.total([READS, WRITES, READS]) == READS.scale(2) + WRITES
    assert Elements.total([]) == Elements()
    assert READS.scale(3) == Elements(activation=6, weight=33, kv=39, index=51, float32=159)
    assert READS.floats == Elements(activation=2, weight=11, float32=53), "neither indices nor what is cached"


def test_a_bracket_of_a_width_is_settled_by_the_width() -> None:
    """What is cast is there where activations have another width than float32; a formula keeps the question."""
    bits = symbol("activation_bits")
    cast = Elements(activation=7 * Differs(bits, 32), float32=11 * Equals(bits, 32))
    assert cast.to_bits(Precision(activation_bits=5)) == 7 * 5
    assert cast.to_bits(Precision(activation_bits=32)) == 11 * 32
    kept = cast.to_bits(Precision())
    assert kept == 7 * bits * Differs(bits, 32) + 352 * Equals(bits, 32)
    # Two widths that are compared with each other.
    appended = Elements(kv=13 * Differs(symbol("kv_bits"), bits))
    assert [appended.to_bits(Precision(kv_bits=kv, activation_bits=5)) for kv in (5, 7)] == [0, 13 * 7]
    # And those of weights are another question than those of activations.
    assert cast.to_bits(Precision(weight_bits=32)) == kept


def test_a_size_without_brackets_is_as_it_is() -> None:
    assert PRECISION.substitute(7) == 7
    assert PRECISION.substitute(symbol("seq_len")) == symbol("seq_len")


def test_bytes_are_whole_or_exact_fractions_but_never_rounded_on_the_way() -> None:
    assert bits_to_bytes(24) == 3
    assert type(bits_to_bytes(24)) is int
    assert bits_to_bytes(25) == sympy.Rational(25, 8)
    weight_bits = symbol("weight_bits")
    assert bits_to_bytes(3 * weight_bits) == sympy.Rational(3, 8) * weight_bits
    assert bits_to_bytes(8 * 10**400 + 8) == 10**400 + 1


def test_the_metrics_of_work() -> None:
    """Activations are what is written, but for the cache and the parameters."""
    cost = Cost.of(work=WORK, parameters=43, kv_elements=47, precision=PRECISION)
    moved = (2 + 19) * 5 + (11 + 23) * 3 + (13 + 29) * 7 + (17 + 31) * 64 + (53 + 59) * 32
    assert {metric: Fraction(str(value)) for metric, value in cost.as_dict().items()} == {
        "tensor_core_flops": 37,
        "cuda_core_flops": 41,
        "io_bytes": Fraction(moved, 8),
        "weight_bytes": Fraction(43 * 3, 8),
        "activation_bytes": Fraction(19 * 5 + 31 * 64 + 59 * 32, 8),
        "kv_cache_bytes": Fraction(47 * 7, 8),
    }


def test_work_is_the_sum_of_operators() -> None:
    one = Operator(name="one", tensor_core_flops=37, cuda_core_flops=41, reads=READS, writes=WRITES)
    other = Operator(name="other", tensor_core_flops=1, cuda_core_flops=2, reads=WRITES, writes=READS)
    assert Work.of([one]) == WORK
    assert Work.of([]) == Work()
    both = Work.of([one, other])
    assert (both.tensor_core_flops, both.cuda_core_flops) == (38, 43)
    assert both.reads == both.writes == Elements(activation=21, weight=34, kv=42, index=48, float32=112)
    assert Work.of([one, other, other]) == WORK + Work.of([other]).scale(2)


def test_costs_add_and_scale_metric_by_metric() -> None:
    cost = Cost(**{metric: 10**index for index, metric in enumerate(METRICS)})
    assert (cost + cost.scale(2)).as_dict() == {metric: 3 * 10**index for index, metric in enumerate(METRICS)}
    assert cost["kv_cache_bytes"] == 10**5


def test_a_backward_reads_what_was_read_and_a_gradient_and_writes_one_for_every_number() -> None:
    """Of indices there are no gradients; each of the others is of the kind of what it is the gradient of."""
    operator = Operator(
        name="mul", reads=Elements(activation=2, weight=11, index=17, float32=53),
        writes=Elements(activation=19, index=31, float32=59),
        backward_tensor_core_flops=37, backward_cuda_core_flops=41,
    )  # fmt: skip
    assert operator.backward == Work(
        tensor_core_flops=37,
        cuda_core_flops=41,
        reads=Elements(activation=2 + 19, weight=11, index=17, float32=53 + 59),
        writes=Elements(activation=2, weight=11, float32=53),
    )


def test_statistics_beside_an_output_have_no_gradient() -> None:
    norm = Operator(
        name="native_layer_norm", reads=Elements(activation=2, weight=11), writes=Elements(activation=2, float32=53),
        differentiated=Elements(activation=2), backward_cuda_core_flops=41,
    )  # fmt: skip
    assert norm.backward.reads == Elements(activation=2 + 2, weight=11)
    assert norm.backward.writes == Elements(activation=2, weight=11)


def test_the_gradient_of_a_copy_is_handed_on_and_that_of_a_cast_is_cast() -> None:
    sizes = {"reads": Elements(activation=7), "writes": Elements(activation=7)}
    assert {"clone"} == COPIES
    assert Operator(name="clone", **sizes).backward == Work()
    cast = Operator(name="_to_copy", reads=Elements(activation=7), writes=Elements(float32=7))
    assert cast.backward == Work(reads=Elements(float32=7), writes=Elements(activation=7))


def test_an_operator_that_does_not_run_does_nothing_forward_or_backward() -> None:
    operator = Operator(
        name="topk", tensor_core_flops=2, cuda_core_flops=3, reads=Elements(activation=5), writes=Elements(index=7),
        backward_tensor_core_flops=11, backward_cuda_core_flops=13, gradients=Elements(activation=17),
        differentiated=Elements(float32=19),
    )  # fmt: skip
    assert operator.scale(3) == Operator(
        name="topk", tensor_core_flops=6, cuda_core_flops=9, reads=Elements(activation=15), writes=Elements(index=21),
        backward_tensor_core_flops=33, backward_cuda_core_flops=39, gradients=Elements(activation=51),
        differentiated=Elements(float32=57),
    )  # fmt: skip
    idle = operator.scale(0)
    assert Work.of([idle, idle.backward]) == Work()
    # What is not stated is worked out from what is: of an operator that does not run, nothing.
    plain = Operator(name="mul", reads=Elements(activation=5), writes=Elements(activation=5)).scale(0)
    assert (plain.gradients, plain.differentiated, plain.backward) == (None, None, Work())


def test_the_backward_of_a_linear_operator_needs_only_the_indices_and_the_gradient() -> None:
    reads = Elements(activation=2, weight=11, index=17)
    for options in ({"name": "index"}, {"name": "mul", "is_linear": True}):
        backward = Operator(reads=reads, writes=Elements(activation=19), **options).backward
        assert backward.reads == Elements(activation=19, index=17)
        assert backward.writes == Elements(activation=2, weight=11)


def test_what_wants_no_gradient_gets_none_and_without_any_there_is_no_backward() -> None:
    sizes = {"reads": Elements(activation=2, weight=11), "writes": Elements(activation=19)}
    pixels = Operator(name="Conv2d", gradients=Elements(weight=11), **sizes)
    assert pixels.backward.writes == Elements(weight=11)
    assert pixels.backward.reads == Elements(activation=2 + 19, weight=11)
    assert Operator(name="angles", gradients=Elements(), backward_cuda_core_flops=0, **sizes).backward == Work()


def test_training_keeps_no_cache() -> None:
    """Keys and values are read as activations, and get gradients; nothing is appended."""
    attention = Operator(name="attention", reads=Elements(activation=2, kv=13), writes=Elements(activation=19))
    assert attention.without_cache.reads == Elements(activation=2 + 13)
    assert attention.backward.reads == Elements(activation=2 + 13 + 19)
    assert attention.backward.writes == Elements(activation=2 + 13)
    append = Operator(name="copy_", reads=Elements(activation=13), writes=Elements(kv=13))
    assert Work.of([append.without_cache, append.backward]) == Work()
