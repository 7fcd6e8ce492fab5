"""Elements to bytes, work to metrics."""

from __future__ import annotations

from fractions import Fraction

import sympy

from modelmeter.cost import FLOWS, METRICS, Cost, Elements, Operator, Precision, Work, bits_to_bytes
from modelmeter.symbols import symbol

PRECISION = Precision(weight_bits=3, activation_bits=5, kv_bits=7)
READS = Elements(activation=2, weight=11, kv=13, index=17)
WRITES = Elements(activation=19, weight=23, kv=29, index=31)
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
    assert Elements() == Elements(activation=0, weight=0, kv=0, index=0)
    nothing = Operator(name="view")
    assert Work.of([nothing]) == Work()


def test_each_kind_of_element_has_its_own_width_and_indices_have_64_bits() -> None:
    bits = 2 * 5 + 11 * 3 + 13 * 7 + 17 * 64
    assert Fraction(str(READS.to_bytes(PRECISION))) == Fraction(bits, 8)


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
    moved = (2 + 19) * 5 + (11 + 23) * 3 + (13 + 29) * 7 + (17 + 31) * 64
    assert {metric: Fraction(str(value)) for metric, value in cost.as_dict().items()} == {
        "tensor_core_flops": 37,
        "cuda_core_flops": 41,
        "io_bytes": Fraction(moved, 8),
        "weight_bytes": Fraction(43 * 3, 8),
        "activation_bytes": Fraction(19 * 5 + 31 * 64, 8),
        "kv_cache_bytes": Fraction(47 * 7, 8),
    }


def test_work_is_the_sum_of_operators() -> None:
    one = Operator(name="one", tensor_core_flops=37, cuda_core_flops=41, reads=READS, writes=WRITES)
    other = Operator(name="other", tensor_core_flops=1, cuda_core_flops=2, reads=WRITES, writes=READS)
    assert Work.of([one]) == WORK
    assert Work.of([]) == Work()
    both = Work.of([one, other])
    assert (both.tensor_core_flops, both.cuda_core_flops) == (38, 43)
    assert both.reads == both.writes == Elements(activation=21, weight=34, kv=42, index=48)
    assert Work.of([one, other, other]) == WORK + Work.of([other]).scale(2)


def test_costs_add_and_scale_metric_by_metric() -> None:
    cost = Cost(**{metric: 10**index for index, metric in enumerate(METRICS)})
    assert (cost + cost.scale(2)).as_dict() == {metric: 3 * 10**index for index, metric in enumerate(METRICS)}
    assert cost["kv_cache_bytes"] == 10**5


def test_a_backward_reads_what_was_read_and_a_gradient_and_writes_one_for_every_number() -> None:
    """Of indices there are no gradients."""
    operator = Operator(
        name="mul", reads=Elements(activation=2, weight=11, index=17), writes=Elements(activation=19, index=31),
        backward_tensor_core_flops=37, backward_cuda_core_flops=41,
    )  # fmt: skip
    assert operator.backward == Work(
        tensor_core_flops=37,
        cuda_core_flops=41,
        reads=Elements(activation=2 + 19, weight=11, index=17),
        writes=Elements(activation=2, weight=11),
    )


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
