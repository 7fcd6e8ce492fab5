"""Plans of a decoder with windows of attention, against single steps: before, across and after full windows.

What is expected adds up what the evaluators say of one step at a time, each at its own number of cached positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from attrs import evolve
from compiled_llama import open_compiled

from llm_perf_opt.evaluators import load_costs
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.memory import EngineMemory
from llm_perf_opt.planning.mix import PageMix, make_mix
from llm_perf_opt.planning.pages import PageClasses
from llm_perf_opt.planning.setup import Setup
from llm_perf_opt.planning.step_lines import StepLines
from llm_perf_opt.planning.step_times import StepTimes
from llm_perf_opt.planning.step_work import list_mean_work
from modelmeter.support.errors import WorkloadError

NAME, PACKAGE, WINDOW = "mixed-window", "mixed_window_costs", 37
CONFIG: dict[str, Any] = {
    "model_type": "qwen2", "hidden_size": 42, "intermediate_size": 58, "num_hidden_layers": 2, "num_attention_heads": 3,
    "num_key_value_heads": 1, "vocab_size": 97, "use_sliding_window": True, "sliding_window": WINDOW,
    "layer_types": ["full_attention", "sliding_attention"],
}  # fmt: skip

KEPT = 2 * 14 * 2
"""The bytes of a position in a layer: keys and values of one head of 14 channels, in 16 bits."""

BITS = {"weight_bits": 16, "activation_bits": 16, "kv_bits": 16}
FLOWS = ("tensor_core_flops", "cuda_core_flops", "io_bytes")

RUNS = [(5, 7), (5, 31), (5, 32), (5, 89), (31, 5), (34, 1), (35, 1), (36, 1), (37, 2), (61, 53)]
"""Prompts and steps: before the window is full, beside the border, across it, and after it."""

REQUESTS = {(5, 3): 2, (5, 90): 3, (7, 31): 1, (29, 12): 5, (41, 2): 1, (41, 68): 7, (101, 1): 4}
"""Prompts and output tokens, and how many requests have them."""


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("transformers")
    with open_compiled(CONFIG, NAME, PACKAGE, tmp_path_factory.mktemp("windows")):
        yield load_costs(NAME)


@pytest.fixture
def served(costs: Any) -> ServedModel:
    return ServedModel(model=NAME, bits=BITS)


def make_requests(served: ServedModel, requests: dict[tuple[int, int], int]) -> PageMix:
    """Return the mix of requests, by their prompts and output tokens."""
    classes = {((("seq_len", prompt),), output): count for (prompt, output), count in requests.items()}
    return make_mix(served, PageClasses(classes))


def make_setup(served: ServedModel, requests: dict[tuple[int, int], int]) -> Setup:
    return Setup(card=find_hardware("l4"), mode="text", mix=make_requests(served, requests))


def list_contexts(requests: dict[tuple[int, int], int]) -> list[int]:
    """Return the cached positions before every step of every request; the first token is from the prompt."""
    return [
        prompt + step
        for (prompt, output), count in requests.items()
        for step in range(output - 1)
        for _ in range(count)
    ]


@pytest.mark.parametrize(("prompt", "steps"), RUNS)
def test_runs_on_lines_are_the_sum_of_their_single_steps(
    costs: Any, served: ServedModel, prompt: int, steps: int
) -> None:
    runs = served.step_lines.find(prompt, steps)
    # A step after 35 positions sees 36, one less than the window; the next one begins the line of full windows.
    before = max(0, min(steps, 36 - prompt))
    assert [part.count for part in runs] == [count for count in (before, steps - before) if count]
    start = prompt
    for part in runs:
        alone = [costs.decode(batch_size=3, seq_len=start + step, decode_steps=1) for step in range(part.count)]
        mean = list_mean_work(served, 3, [part.sum])
        for metric in FLOWS:
            found = sum(getattr(row, metric) for row in mean.operators)
            assert part.count * found == sum(getattr(cost, metric) for cost in alone)
        start += part.count
    assert start == prompt + steps


@pytest.mark.parametrize("batch_size", [1, 5])
def test_the_mean_step_of_requests_is_that_of_all_their_steps(costs: Any, served: ServedModel, batch_size: int) -> None:
    contexts = list_contexts(REQUESTS)
    mix = make_requests(served, REQUESTS)
    assert (mix.num_steps, mix.mean_context) == (len(contexts), Fraction(sum(contexts), len(contexts)))
    alone = [costs.decode(batch_size=batch_size, seq_len=context, decode_steps=1) for context in contexts]
    for metric in FLOWS:
        mean = sum(getattr(row, metric) for row in mix.list_step_work(batch_size).operators)
        assert mean == Fraction(sum(getattr(cost, metric) for cost in alone), len(contexts))


def test_totals_of_requests_add_up_step_by_step(costs: Any, served: ServedModel) -> None:
    # More outputs of one prompt than are evaluated one by one, on both sides of where the window is full.
    requests = {(11, output): 1 + output % 3 for output in (*range(1, 90), 131, 149)} | REQUESTS
    mix = make_requests(served, requests)
    for metric in FLOWS:
        expected = 0
        for (prompt, output), count in requests.items():
            steps = [costs.decode(seq_len=prompt + step, decode_steps=1) for step in range(output - 1)]
            prefill = getattr(costs.prefill(seq_len=prompt), metric)
            expected += count * (prefill + sum(getattr(cost, metric) for cost in steps))
        assert mix.totals[metric] == expected


def test_requests_without_steps_have_the_work_of_a_first_one(costs: Any, served: ServedModel) -> None:
    mix = make_requests(served, {(11, 1): 2, (53, 1): 1})
    low, high = (costs.decode(seq_len=prompt, decode_steps=1).tensor_core_flops for prompt in (11, 53))
    assert mix.list_step_work(1).tensor_core_flops == Fraction(2 * low + high, 3)


def test_throughput_is_the_roofline_of_the_mean_of_single_steps(costs: Any, served: ServedModel) -> None:
    setup = make_setup(served, REQUESTS)
    card, contexts = setup.card, list_contexts(REQUESTS)
    peak, _ = card.matrix_peak("bfloat16")
    unfused = ("mm", "addmm", "bmm", "baddbmm", "scaled_dot_product_attention", "embedding", "index", "gather")
    seconds = 0.0
    steps = [costs.breakdown.operators("decode", batch_size=5, seq_len=context, decode_steps=1) for context in contexts]
    for alike in zip(*steps, strict=True):
        flops, other, bits = (
            sum(getattr(row, name) for row in alike) / len(contexts)
            for name in ("tensor_core_flops", "cuda_core_flops", "io_bits")
        )
        moved = bits / 8 if alike[0].operator in unfused else 0
        seconds += max(flops / peak + other / card.vector_flops_per_second, moved / card.memory_bytes_per_second)
    state = setup.steady_state.solve(5)
    assert state.step.bound_seconds == pytest.approx(seconds, rel=1e-9)
    num = sum(REQUESTS.values())
    assert state.pages_per_second == pytest.approx(
        1 / (state.page.seconds + len(contexts) / num * seconds / 5), rel=1e-9
    )
    # The time of the mean is at most the mean of the times: a bound stays one.
    times = StepTimes(steady_state=setup.steady_state)
    alone = [
        each.count * times.time_run([(each, 0)], each.num_steps).find(each.num_steps)
        for each in setup.mix.classes
        if each.num_steps
    ]
    assert setup.steady_state.time_step(1).bound_seconds <= sum(alone) / len(contexts) * (1 + 1e-12)


def test_memory_is_that_of_the_formulas_where_blocks_are_single_tokens(costs: Any, served: ServedModel) -> None:
    mix = make_requests(served, REQUESTS)
    memory = EngineMemory(card=find_hardware("l4"), mix=mix, block_tokens=1)
    kept = [costs.request(seq_len=prompt, decode_steps=output - 1).kv_cache_bytes for prompt, output in REQUESTS]
    # A prompt of 41 with 67 steps has most: 108 positions in one layer, and 36 in the one with a window.
    assert max(kept) == KEPT * (108 + 36)
    for batch in (1, 2, 1009):
        assert memory.measure(batch) == memory.weight_bytes + batch * max(kept) + memory.measure_peak(batch)
    most = memory.largest_batch
    assert memory.measure(most) <= memory.usable_bytes < memory.measure(most + 1)


@pytest.mark.parametrize(
    ("requests", "blocks"),
    [
        ({(5, 28): 1}, [2]),  # 32 positions in both layers
        ({(5, 29): 1}, [3]),  # 33
        ({(5, 33): 1}, [3, 3]),  # 37: the window has dropped one, and both layers have the blocks of all of them
        ({(5, 60): 1}, [4, 4]),  # 64: 36 positions that begin inside of a block are in up to four
        ({(5, 61): 1}, [4, 5]),  # 65
        ({(107, 101): 1}, [4, 13]),  # 207
    ],
)
def test_windows_are_held_in_whole_blocks(
    costs: Any, served: ServedModel, requests: dict[tuple[int, int], int], blocks: list[int]
) -> None:
    memory = EngineMemory(card=find_hardware("l4"), mix=make_requests(served, requests))
    assert [part.blocks for part in memory.page_cache] == blocks
    expected = 16 * KEPT * (blocks[0] + blocks[-1])
    assert (memory.page_cache_bytes, memory.page_blocks) == (expected, blocks[-1])
    (amount,) = {*make_requests(served, requests).list_amounts()["cached_tokens"].values()}
    assert amount == sum(prompt + output - 1 for prompt, output in requests)


def test_a_simulation_is_the_sum_of_single_steps(costs: Any, served: ServedModel) -> None:
    pytest.importorskip("simpy")
    from llm_perf_opt.planning.simulation import Load, simulate

    state = make_setup(served, {(5, 90): 1}).steady_state

    def time(batch: int) -> float:
        """The seconds of all steps of as many requests side by side, at rates that no operator is between two of."""
        runs = served.step_lines.find(5, 89)
        return sum(part.count * state.timing.time(list_mean_work(served, batch, [part.sum])).seconds for part in runs)

    page = state.mean_page.seconds
    assert simulate(state, 1, Load(num_pages=2)).seconds == pytest.approx(2 * (page + time(1)), rel=1e-6)
    assert simulate(state, 2, Load(num_pages=2)).seconds == pytest.approx(2 * page + time(2), rel=1e-6)
    mixed = make_setup(served, REQUESTS).steady_state
    for rate in (None, 100.0, 1e5):
        found = simulate(mixed, 3, Load(pages_per_second=rate, num_pages=97))
        assert found.pages_per_second <= found.bound_pages_per_second
        assert all(0 < found.bound_latency[name] <= found.latency[name] for name in found.latency)


def test_steps_of_requests_that_are_not_alike_take_what_each_adds(costs: Any, served: ServedModel) -> None:
    """Three requests at 8, 42 and 36 positions: the time of each step is that of the mean of three alike batches."""
    state = make_setup(served, REQUESTS).steady_state
    pages = {each.seq_len: each for each in state.mix.classes if each.output_tokens in (90, 31, 68)}
    flight = [(pages[5], 3), (pages[41], 1), (pages[7], 29)]
    times = StepTimes(steady_state=state).time_run(flight, most=60)
    seconds = 0.0
    for step in range(61):
        assert times.find(step) == pytest.approx(seconds, rel=1e-6, abs=1e-15)
        mean = [costs.breakdown.operators("decode", batch_size=3, seq_len=page.seq_len + done + step, decode_steps=1)
                for page, done in flight]  # fmt: skip
        numbers = [
            tuple(Fraction(sum(getattr(row, name) for row in alike), 3)
                  for name in ("tensor_core_flops", "cuda_core_flops", "io_bits"))
            for alike in zip(*mean, strict=True)
        ]  # fmt: skip
        work = evolve(state.list_step_work(3), operators=served.describe_rows(mean[0], numbers, 3))
        seconds += state.timing.time(work).seconds


def test_frontiers_with_full_windows_are_those_of_every_output(costs: Any) -> None:
    from llm_perf_opt.comparison.frontier import find_frontiers

    # A long prompt in few bits, and a short one in many: orders change before a window is full, or after.
    sizes = {"a": {**BITS, "seq_len": 101, "kv_bits": 8}, "b": {**BITS, "seq_len": 7, "kv_bits": 32}}
    last = 300
    borders = 0
    for frontier in find_frontiers((1, 1), [(label, NAME, {**each, "batch_size": 1}) for label, each in sizes.items()]):
        name = f"request_{frontier.metric}"
        mine, other = (
            [getattr(costs, name)(**sizes[label], max_new_tokens=output) for output in range(1, last + 1)]
            for label in (frontier.cheaper, frontier.other)
        )
        expected = {output for output in range(1, last + 1) if mine[output - 1] < other[output - 1]}
        found = {
            output
            for output in range(1, last + 1)
            for first, end in frontier.intervals
            if first <= output and (end is None or output <= end)
        }
        assert found == expected
        borders += len(expected) not in (0, last)
    assert borders >= 2, "some orders change"


def test_sums_of_contexts_are_refused_where_they_do_not_tell_of_full_windows(served: ServedModel) -> None:
    served.list_step_work(3, 3 * 35)
    with pytest.raises(WorkloadError, match=r"which of them; expected at most 35 positions before a step; found 36"):
        served.list_step_work(3, 3 * 36)


def test_steps_that_are_on_no_lines_are_refused() -> None:
    class Row:
        def __init__(self, number: int) -> None:
            self.calls = self.tensor_core_flops = self.cuda_core_flops = self.io_bits = number

    def list_rows(prompt: int, steps: int) -> list[Row]:
        return [Row(sum(math.isqrt(prompt + step) * (7 if step % 5 else 3) for step in range(steps)))]

    lines = StepLines(model="strange", fewest=1, list_rows=list_rows, measure_cache=lambda prompt, steps: prompt)
    with pytest.raises(
        WorkloadError, match=r"strange: seq_len: steps of this model are not linear between full windows"
    ):
        lines.find(3, 500)
    with pytest.raises(WorkloadError, match="what layers cache is not a number of positions each"):
        lines.list_cache(3, 11)
