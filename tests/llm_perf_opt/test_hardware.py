"""The shipped cards."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from predictions import make_hardware

from llm_perf_opt.data.serialization import to_yaml
from llm_perf_opt.hardware import find_hardware, list_hardware
from modelmeter.support.suggestions import UnknownNameError

# From the vendor's sheets, independently of the files: TFLOP/s for BF16 where a sheet has them with 2:4 sparsity, that
# is twice the dense peak; then TFLOP/s for FP32, GB/s, GB.
SPARSE = {
    "h100-sxm": (1979, 67, 3350, 80),
    "h100-pcie": (1513, 51, 2000, 80),
    "h200-sxm": (1979, 67, 4800, 141),
    "a100-sxm-80gb": (624, 19.5, 2039, 80),
    "l40s": (733, 91.6, 864, 48),
    "rtx-4090": (330.4, 82.6, 1008, 24),
    "rtx-5090": (419, 104.8, 1792, 32),
    "a100-sxm-40gb": (624, 19.5, 1555, 40),
    "l4": (242, 30.3, 300, 24),
    "a10": (250, 31.2, 600, 24),
    "rtx-3090": (142, 35.6, 936, 24),
    # 4000 TOPS of FP4 with sparsity are 1000 of BF16.
    "rtx-pro-6000": (1000, 125, 1792, 96),
    "b200-sxm": (4500, 80, 8000, 180),
    "mi300x": (2 * 1307.4, 163.4, 5300, 192),
}

FLOAT32_ONLY = {"apple-m1-max": (10.4, 400, 64), "apple-m1-ultra": (21, 800, 128)}
"""TFLOP/s, GB/s and GB; the vendor publishes no other rates."""


def test_every_card_is_checked_here() -> None:
    assert set(list_hardware()) == set(SPARSE) | set(FLOAT32_ONLY)


@pytest.mark.parametrize("name", FLOAT32_ONLY)
def test_a_card_with_one_published_rate_has_that_for_all_types(name: str) -> None:
    card = find_hardware(name)
    rate, bandwidth, memory = FLOAT32_ONLY[name]
    assert card.matrix_peak("float32")[0] == card.vector_flops_per_second == rate * 1e12
    assert (card.memory_bytes_per_second, card.memory_bytes) == (bandwidth * 1e9, memory * 2**30)
    # Three quarters of what is shared are for the GPU.
    assert card.usable_bytes == card.visible_bytes == memory * 2**30 * 3 // 4
    assert card.tensor_flops_per_second == dict.fromkeys(("tf32", "bfloat16", "float16"), rate * 1e12)


@pytest.mark.parametrize("name", SPARSE)
def test_a_card_has_its_dense_peaks(name: str) -> None:
    card = find_hardware(name)
    sparse, vector, bandwidth, memory = SPARSE[name]
    assert card.hardware_id == name
    # Sheets round: 733 with sparsity beside 362.05 without.
    assert card.tensor_peak("bfloat16") == pytest.approx(sparse / 2 * 1e12, rel=0.015)
    assert card.tensor_peak("float16") == card.tensor_peak("bfloat16")
    assert card.vector_flops_per_second == pytest.approx(vector * 1e12, rel=0.002)
    assert card.memory_bytes_per_second == bandwidth * 1e9
    assert card.memory_bytes == memory * 2**30


CONSUMER = {"rtx-3090", "rtx-4090", "rtx-5090"}


@pytest.mark.parametrize("name", SPARSE)
def test_narrower_types_are_faster(name: str) -> None:
    peaks = find_hardware(name).tensor_flops_per_second
    for dtype in ("float8_e4m3fn", "int8"):
        # 2, except where consumer cards run INT8 at four times the rate of BF16 with FP32 sums.
        assert peaks.get(dtype, 2 * peaks["bfloat16"]) / peaks["bfloat16"] == pytest.approx(
            4 if dtype == "int8" and name in CONSUMER else 2, rel=0.015
        )


# TFLOP/s for TF32 from the sheets: where a sheet has them with 2:4 sparsity, half of that.
TF32_PEAKS = {
    "h100-sxm": 989 / 2, "h100-pcie": 756 / 2, "h200-sxm": 989 / 2, "a100-sxm-80gb": 156, "l40s": 366 / 2,
    "rtx-4090": 165.2 / 2, "rtx-5090": 209.5 / 2, "a100-sxm-40gb": 156, "l4": 120 / 2, "a10": 62.5,
    "rtx-3090": 71.2 / 2, "rtx-pro-6000": 250, "b200-sxm": 2200 / 2, "mi300x": 653.7,
}  # fmt: skip


@pytest.mark.parametrize("name", SPARSE)
def test_float32_runs_on_every_card(name: str) -> None:
    """As it is at the FP32 peak, or rounded to TF32 on tensor cores."""
    card = find_hardware(name)
    assert card.matrix_peak("float32") == (card.vector_flops_per_second, "cuda_cores")
    peak, unit = card.matrix_peak("float32", "high")
    assert (peak, unit) == (pytest.approx(TF32_PEAKS[name] * 1e12, rel=0.002), "tensor_cores")
    # NVIDIA's brief rounds 1.125 PFLOP/s of the B200 to 1.1.
    assert peak / card.tensor_peak("bfloat16") == pytest.approx(0.5, rel=0.023)


# What CUDA shows of the memory in GiB, from public logs; and 1.25 GiB for what is not the model.
SEEN = {
    "h100-sxm": 79.11, "h100-pcie": 79.11, "h200-sxm": 139.80, "a100-sxm-80gb": 79.25, "l40s": 44.39,
    "rtx-4090": 23.52, "rtx-5090": 31.36, "a100-sxm-40gb": 39.39, "l4": 22.03, "a10": 22.20, "rtx-3090": 23.70,
    "rtx-pro-6000": 94.97, "b200-sxm": 178.35, "mi300x": 191.98,
}  # fmt: skip


@pytest.mark.parametrize("name", SPARSE)
def test_a_card_reserves_what_is_not_seen_and_what_is_not_the_models(name: str) -> None:
    reserve = find_hardware(name).memory_reserve
    assert reserve.reserve_gib == pytest.approx(SPARSE[name][3] - SEEN[name] + 1.25, abs=1e-9)
    assert f"({SEEN[name]:.2f} is what" in reserve.reason
    assert find_hardware(name).visible_bytes == int(Fraction(str(SEEN[name])) * 2**30)


def test_a_card_that_does_not_say_shows_all_of_its_memory() -> None:
    assert make_hardware(memory_bytes=1009, visible_gib=None).visible_bytes == 1009


@pytest.mark.parametrize("name", sorted(set(SPARSE) - {"a100-sxm-80gb", "a100-sxm-40gb", "a10", "rtx-3090"}))
def test_every_card_since_hopper_and_ada_has_eight_bit_floats(name: str) -> None:
    assert "float8_e4m3fn" in find_hardware(name).tensor_flops_per_second


@pytest.mark.parametrize("name", SPARSE)
def test_every_number_has_a_source(name: str) -> None:
    sources = find_hardware(name).sources
    assert sources
    assert all(source.title.startswith(("NVIDIA ", "AMD ")) and 2020 <= source.year <= 2025 for source in sources)


def test_users_bring_their_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(to_yaml(make_hardware()), encoding="utf-8")
    assert find_hardware(str(mine)) == make_hardware()


def test_an_unknown_card_is_refused_with_those_that_exist() -> None:
    expected = r"no card .* found h100; did you mean h100-.*known are a10, a100-sxm-40gb, a100-sxm-80gb"
    with pytest.raises(UnknownNameError, match=expected):
        find_hardware("h100")
