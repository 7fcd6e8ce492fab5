"""The simulation is the closed form where queues are empty and where they are full, and the same on every run."""

from __future__ import annotations

import json

import pytest
from planned import draw_pages, make_pages_mix, make_setup

from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.mix import PageMix
from llm_perf_opt.planning.pages import Page
from llm_perf_opt.planning.simulation import Load, Simulation, simulate
from llm_perf_opt.planning.steady_state import SteadyState
from llm_perf_opt.planning.time import choose_calibration

pytest.importorskip("simpy")

ONE_KIND = make_pages_mix([Page(1191, 1684, 307)])
MIXED = make_pages_mix([page for page in draw_pages(60, 29) if page.output_tokens < 1500])

GRAPHS_ON_HBM = {"request_host_seconds": 0.01573}
"""As the shipped calibration has it."""


def serve(mix: PageMix) -> SteadyState:
    card = find_hardware("h200-sxm")
    return make_setup("h200-sxm", mix=mix, calibration=choose_calibration(card, "graphs")).steady_state


@pytest.mark.parametrize("mix", [ONE_KIND, MIXED], ids=["one kind", "mixed"])
def test_full_queues_have_the_throughput_of_the_closed_form(mix: PageMix) -> None:
    """A long time with all pages waiting from the start; the first and the last batch are not full."""
    state = serve(mix)
    found = simulate(state, 16, Load(num_pages=6000))
    # The pages that are drawn are not the mix itself: 6,000 of them have its mean within a percent.
    assert found.pages_per_second == pytest.approx(state.solve(16).pages_per_second, rel=0.02)
    assert found.mean_batch == pytest.approx(16, rel=0.02)


@pytest.mark.parametrize("mix", [ONE_KIND, MIXED], ids=["one kind", "mixed"])
def test_empty_queues_have_the_latency_of_one_page(mix: PageMix) -> None:
    state = serve(mix)
    found = simulate(state, 16, Load(pages_per_second=1e-5, num_pages=4000))
    assert found.latency["mean"] == pytest.approx(state.list_latencies(1)[0]["mean"], rel=0.02)
    assert found.waiting["max"] == 0
    assert found.mean_batch == 1


def test_one_page_after_the_other_by_hand() -> None:
    """Two pages of three tokens that arrive at once, one in flight: the second waits for the first."""
    state = serve(make_pages_mix([Page(1191, 1684, 3)]))
    page = state.mean_page.seconds
    # Steps see 913 and 914 cached positions.
    steps = sum(state.timing.time(state.mix.model.list_step_work(1, length)).seconds for length in (913, 914))
    beside = state.mean_host_seconds + GRAPHS_ON_HBM["request_host_seconds"]
    found = simulate(state, 1, Load(num_pages=2))
    assert found.seconds == pytest.approx(2 * (page + steps), rel=1e-9)
    assert found.waiting["max"] == pytest.approx(page + steps, rel=1e-9)
    assert found.latency["max"] == pytest.approx(2 * (page + steps) + beside, rel=1e-9)
    together = simulate(state, 2, Load(num_pages=2))
    pair = sum(state.timing.time(state.mix.model.list_step_work(2, 2 * length)).seconds for length in (913, 914))
    assert together.seconds == pytest.approx(2 * page + pair, rel=1e-9)


def test_simulated_numbers_have_their_bounds_beside_them() -> None:
    state = serve(make_pages_mix([Page(1191, 1684, 3)]))
    # Alone: the page, then steps that see 913 or more cached positions.
    step = state.timing.time(state.mix.model.list_step_work(1, 913)).bound_seconds
    page = state.mean_page.bound_seconds
    found = simulate(state, 7, Load(num_pages=2))
    assert found.bound_latency == dict.fromkeys(found.latency, pytest.approx(page + 2 * step, rel=1e-12))
    # Both arrive at once: their prompts follow each other, and their steps are at best in batches of seven.
    seven = state.timing.time(state.mix.model.list_step_work(7, 7 * 913)).bound_seconds
    assert found.bound_pages_per_second == pytest.approx(2 / max(2 * (page + 2 * seven / 7), page + 2 * step))


@pytest.mark.parametrize("engine", ["graphs", None])
@pytest.mark.parametrize(("rate", "burstiness"), [(None, 1.0), (0.5, 3.0), (40.0, 0.0)])
def test_no_simulation_is_beyond_its_bounds(engine: str | None, rate: float | None, burstiness: float) -> None:
    card = find_hardware("h200-sxm")
    calibration = None if engine is None else choose_calibration(card, engine)
    state = make_setup("h200-sxm", mix=MIXED, calibration=calibration).steady_state
    found = simulate(state, 5, Load(pages_per_second=rate, burstiness=burstiness, num_pages=200))
    assert found.pages_per_second <= found.bound_pages_per_second
    assert all(0 < found.bound_latency[name] <= found.latency[name] for name in found.latency)


def test_a_page_that_arrives_during_steps_starts_after_the_step() -> None:
    """With a clock of 1.5 times a page, the second one arrives while the first one is in its steps."""
    state = serve(make_pages_mix([Page(1191, 1684, 2001)]))
    page = state.mean_page.seconds
    found = simulate(state, 2, Load(pages_per_second=1 / (1.5 * page), burstiness=0, num_pages=2))
    step = state.timing.time(state.mix.model.list_step_work(1, 913)).seconds
    assert 0 < found.waiting["max"] < 1.01 * step


def test_more_load_and_more_bursts_wait_longer() -> None:
    state = serve(ONE_KIND)
    rate = state.solve(8).pages_per_second

    def wait(share: float, burstiness: float) -> float:
        load = Load(pages_per_second=share * rate, burstiness=burstiness, num_pages=1500)
        return simulate(state, 8, load).waiting["p95"]

    assert wait(0.4, 1) < wait(0.8, 1) < wait(0.97, 1)
    assert wait(0.8, 0) < wait(0.8, 1) < wait(0.8, 3)


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not() -> None:
    def write(seed: int) -> str:
        found: Simulation = simulate(serve(MIXED), 8, Load(pages_per_second=3, num_pages=300, seed=seed))
        return json.dumps([found.latency, found.waiting, found.seconds])

    assert write(7) == write(7) != write(8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pages_per_second": 0.0}, "pages_per_second: wrong value; expected a finite number above 0"),
        ({"burstiness": -1.0}, "burstiness: wrong value"),
        ({"burstiness": float("nan")}, "burstiness: wrong value"),
        ({"num_pages": 0}, "num_pages: wrong value"),
    ],
)
def test_a_load_that_cannot_be_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        Load(**changes)  # type: ignore[arg-type]  # that is what is tested
