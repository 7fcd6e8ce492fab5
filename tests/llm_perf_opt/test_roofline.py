"""The time of one operator, by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
from predictions import make_hardware

from llm_perf_opt.errors import RecordError
from llm_perf_opt.reporting.roofline import Roofline

# 7000 tensor FLOP, 30 other FLOP and 200 bytes a second: a second of each kind of work.
TENSOR, VECTOR, BITS = 7000, 30, 200 * 8


@pytest.mark.parametrize(
    ("work", "milliseconds", "limit"),
    [
        ((3 * TENSOR, 0, BITS), 3000.0, "tensor_cores"),
        ((0, 5 * VECTOR, BITS), 5000.0, "cuda_cores"),
        ((TENSOR, VECTOR, 7 * BITS), 7000.0, "memory"),
        # The two kinds of arithmetic follow each other: 3 + 2 seconds are more than 4 of memory.
        ((3 * TENSOR, 2 * VECTOR, 4 * BITS), 5000.0, "tensor_cores"),
        ((2 * TENSOR, 3 * VECTOR, 4 * BITS), 5000.0, "cuda_cores"),
        # On the ridge both are the limit.
        ((2 * TENSOR, 2 * VECTOR, 4 * BITS), 4000.0, "memory"),
        ((2 * TENSOR, 2 * VECTOR, 3 * BITS), 4000.0, "tensor_cores"),
        # A part of a byte takes its part of the time: 1 / 1600 of a second.
        ((0, 0, 1), 0.625, "memory"),
    ],
)
def test_the_longer_of_arithmetic_and_bytes(work: tuple[int, int, int], milliseconds: float, limit: str) -> None:
    assert Roofline(hardware=make_hardware(), dtype="bfloat16").predict(*work) == (pytest.approx(milliseconds), limit)


def test_the_efficiency_divides_the_time_and_moves_no_limit() -> None:
    half = Roofline(hardware=make_hardware(), dtype="bfloat16", efficiency=0.5)
    assert half.predict(3 * TENSOR, 0, BITS) == (pytest.approx(6000.0), "tensor_cores")
    assert half.predict(0, 0, BITS) == (pytest.approx(2000.0), "memory")


def test_the_type_chooses_the_peak() -> None:
    int8 = Roofline(hardware=make_hardware(), dtype="int8")
    assert int8.predict(11000, 0, 0) == (pytest.approx(1000.0), "tensor_cores")


def test_float32_takes_the_rate_of_what_multiplies_it() -> None:
    """FP32 cores, which are no tensor cores, tensor cores for TF32, and those of a card that has them for float32."""
    work = (5 * VECTOR, 2 * VECTOR, 0)
    plain = Roofline(hardware=make_hardware(), dtype="float32")
    assert plain.predict(*work) == (pytest.approx(7000.0), "cuda_cores")
    card = make_hardware(tensor_flops_per_second={"tf32": 50.0, "float32": 75.0})
    rounded = Roofline(hardware=card, dtype="float32", float32_matmul_precision="high")
    assert rounded.predict(*work) == (pytest.approx(5000.0), "tensor_cores")  # 150 / 50 and 60 / 30
    as_it_is = Roofline(hardware=card, dtype="float32")
    assert as_it_is.predict(*work) == (pytest.approx(4000.0), "tensor_cores")  # 150 / 75 and 60 / 30


def test_a_fraction_of_a_bit_takes_its_part_of_the_time() -> None:
    """1600 bits a second."""
    assert Roofline(hardware=make_hardware(), dtype="int8").predict(0, 0, Fraction(11, 2)) == (
        pytest.approx(1000 * 5.5 / 1600), "memory"
    )  # fmt: skip


def test_what_cannot_be_predicted_is_refused_at_once() -> None:
    for changes, field in (
        ({"efficiency": 0.0}, "efficiency"),
        ({"dtype": "float17"}, "dtype"),
        ({"dtype": "float16"}, ""),
    ):
        with pytest.raises(RecordError, match=f"^{field}"):
            Roofline(**({"hardware": make_hardware(), "dtype": "bfloat16"} | changes))
