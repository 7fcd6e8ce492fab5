"""Throughput and latency in closed form: the arithmetic of a page by hand, and limits of it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from attrs import evolve
from planned import draw_pages, make_pages_mix, make_setup

import deepseek_ocr_costs as costs
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.bound import Rates
from llm_perf_opt.planning.pages import Page
from llm_perf_opt.planning.time import choose_calibration
from llm_perf_opt.planning.timing import CardTiming

# A100 80GB: 312 TFLOP/s of bfloat16, 19.5 TFLOP/s of FP32, 2.039 TB/s.
TENSOR, VECTOR, BANDWIDTH = 312e12, 19.5e12, 2.039e12
UNFUSED = ("mm", "addmm", "bmm", "convolution", "scaled_dot_product_attention", "embedding", "index", "gather")


def time_stage(stage: str, **sizes: int) -> float:
    """The roofline, operator by operator, of what the generated breakdown lists."""
    total = 0.0
    for row in costs.breakdown.operators(stage, **sizes):
        arithmetic = row.tensor_core_flops / TENSOR + row.cuda_core_flops / VECTOR
        total += max(arithmetic, row.io_bits / 8 / BANDWIDTH if row.operator in UNFUSED else 0)
    return total


def test_one_kind_of_page_is_as_by_hand() -> None:
    """An A4 page: 2 x 3 tiles, 913 tokens of prompt, 31 written; step t of 30 sees 913 + t - 1 cached positions."""
    state = make_setup("a100-sxm-80gb", mix=make_pages_mix([Page(1191, 1684, 31)])).steady_state
    page = time_stage("vision") + time_stage("projector") + time_stage("prefill", seq_len=913, logits_tokens=1)
    found = state.solve(7)
    # The middle of 913 and 942 is between two steps: 927.5, whose work is the mean of those of 927 and of 928.
    steps = [time_stage("decode", batch_size=7, seq_len=length, decode_steps=1) for length in (927, 928)]
    step = sum(steps) / 2
    assert found.page.bound_seconds == pytest.approx(page, rel=1e-9)
    assert found.step.bound_seconds == pytest.approx(step, rel=1e-6)
    assert found.pages_per_second == pytest.approx(7 / (7 * page + 30 * step), rel=1e-6)
    assert found.bound_pages_per_second == found.pages_per_second, "there is no calibration"
    latency, bound = state.list_latencies(7)
    # Its own prompt, its steps, and the prompts of the six others in between.
    assert latency["p50"] == pytest.approx(7 * page + 30 * step, rel=1e-6)
    assert latency == bound


def test_pages_in_flight_and_throughput_make_the_mean_latency() -> None:
    """Little's law: B pages in flight are throughput times the mean time that each is there."""
    setup = make_setup("h100-sxm", mix=make_pages_mix(draw_pages(83, 23)))
    for batch in (1, 5, 64):
        state, (latency, _) = setup.steady_state.solve(batch), setup.steady_state.list_latencies(batch)
        assert batch == pytest.approx(state.pages_per_second * latency["mean"], rel=1e-9)


def test_the_step_of_a_mix_has_the_mean_work_of_all_its_steps() -> None:
    """Steps of two pages, one sequence each: all that the pages do in them, over how many there are."""
    pages = [Page(601, 613, 4, 3), Page(1191, 1684, 6, 2)]
    mix = make_pages_mix(pages)
    # The small page is one view, the other one has six tiles.
    lengths = {601: costs.image_tokens(num_width_tiles=1, num_height_tiles=1) + 10, 1191: 913}
    bytes_moved = num_steps = 0
    for page in pages:
        for step in range(page.output_tokens - 1):
            bytes_moved += page.num_pages * costs.step(contexts=[lengths[page.width] + step]).io_bytes
            num_steps += page.num_pages
    work = mix.model.list_step_work(1, mix.mean_context)
    assert sum((row.io_bytes for row in work.operators), Fraction(0)) == Fraction(bytes_moved, num_steps)


def test_an_estimate_has_its_bound_beside_it() -> None:
    card = find_hardware("h200-sxm")
    timing = CardTiming(rates=Rates(card=card), calibration=choose_calibration(card, "graphs"))
    setup = make_setup("h200-sxm", calibration=choose_calibration(card, "graphs"))
    assert timing.provenance == setup.timing.provenance == "calibrated"
    assert setup.timing.relative_error is not None
    for batch in (1, 17, 256):
        state = setup.steady_state.solve(batch)
        assert state.pages_per_second < state.bound_pages_per_second
        latency, bound = setup.steady_state.list_latencies(batch)
        assert all(latency[name] > bound[name] for name in bound)
    assert setup.steady_state.mean_host_seconds > 0


def test_latency_has_what_the_server_takes_of_a_request() -> None:
    """0.01573 s in the shipped calibration of graphs on HBM: in every percentile, in no bound, and in no throughput."""
    card = find_hardware("h200-sxm")
    calibration = choose_calibration(card, "graphs")
    free = evolve(calibration, coefficients=calibration.coefficients.replace({"request_host_seconds": 0.0}))
    states = [make_setup("h200-sxm", calibration=each).steady_state for each in (calibration, free)]
    (latency, bound), (without, same_bound) = (state.list_latencies(17) for state in states)
    assert [latency[name] - without[name] for name in latency] == pytest.approx([0.01573] * len(latency), abs=1e-9)
    assert bound == same_bound
    assert states[0].solve(17) == states[1].solve(17)


def test_pages_without_steps_take_their_prompt_only() -> None:
    setup = make_setup(mix=make_pages_mix([Page(1191, 1684, 1)]))
    state = setup.steady_state.solve(5)
    assert state.seconds_per_page == state.page.seconds
    assert setup.steady_state.list_latencies(5)[0]["mean"] == pytest.approx(5 * state.page.seconds)


def test_percentiles_of_latency_are_those_of_all_pages_sorted() -> None:
    """Each page's own prompt and steps, and a share of the prompts of the four others, one by one."""
    setup = make_setup("h100-sxm", mix=make_pages_mix(draw_pages(201, 43)))
    state = setup.steady_state.solve(5)
    slope = state.step.seconds + 4 * state.page.seconds / float(setup.mix.mean_steps)
    seconds = sorted(
        setup.steady_state.find_page_time(each).card.seconds + each.num_steps * slope
        for each in setup.mix.classes
        for _ in range(each.count)
    )
    latency, _ = setup.steady_state.list_latencies(5)
    for percent in (50, 90, 95, 99):
        assert latency[f"p{percent}"] == pytest.approx(seconds[-(-percent * len(seconds) // 100) - 1], rel=1e-12)
    assert latency["max"] == pytest.approx(seconds[-1], rel=1e-12)
    assert latency["mean"] == pytest.approx(sum(seconds) / len(seconds), rel=1e-12)
    assert setup.steady_state.is_within(5, latency["p95"], 95)
    assert not setup.steady_state.is_within(5, latency["p95"] * (1 - 1e-9), 95)
