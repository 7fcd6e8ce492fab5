"""The batch within limits, cards for a load, the cheapest, what would help, and limits that nothing meets."""

from __future__ import annotations

import math

import pytest
from attrs import evolve
from planned import draw_pages, make_pages_mix, make_setup

from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.changes import describe_time, list_changes
from llm_perf_opt.planning.cutting import Cutting
from llm_perf_opt.planning.pages import Page
from llm_perf_opt.planning.prices import CardPrice
from llm_perf_opt.planning.search import choose_plan, plan_card
from llm_perf_opt.planning.settings import find_fit, list_settings
from llm_perf_opt.planning.setup import Limits
from modelmeter.support.errors import WorkloadError


def price(card: str, dollars: float) -> CardPrice:
    return CardPrice(card=card, usd_per_hour=dollars, source="a test")


def test_without_limits_memory_binds_the_batch() -> None:
    plan = plan_card(make_setup("l4"))
    assert plan.chosen is not None
    assert (plan.binds, plan.chosen.batch_size) == ("memory", plan.largest_batch)
    assert plan.chosen.memory_bytes <= plan.setup.memory.usable_bytes
    assert [row.batch_size for row in plan.rows][:3] == [1, 2, 4]
    assert plan.num_cards == plan.bound_num_cards == 1


def test_a_limit_on_latency_is_met_and_one_page_more_does_not_meet_it() -> None:
    setup = make_setup("l4", mix=make_pages_mix(draw_pages(50, 31)), limits=Limits(max_latency_seconds=90.0))
    plan = plan_card(setup)
    assert plan.chosen is not None
    assert (plan.binds, plan.chosen.latency["p95"] <= 90) == ("latency", True)
    assert setup.steady_state.list_latencies(plan.chosen.batch_size + 1)[0]["p95"] > 90
    assert plan.largest_batch > plan.chosen.batch_size


def test_engines_may_allow_fewer_pages() -> None:
    plan = plan_card(make_setup("h100-sxm", limits=Limits(max_sequences=37)))
    assert plan.chosen is not None
    assert (plan.binds, plan.chosen.batch_size) == ("sequences", 37)
    assert plan.largest_batch > 37


def test_cards_and_dollars_are_arithmetic() -> None:
    load = 1009.0
    setup = make_setup("l4", limits=Limits(pages_per_second=load), price=price("l4", 0.73))
    plan = plan_card(setup)
    assert plan.chosen is not None
    rate = plan.chosen.state.pages_per_second
    assert (plan.num_cards - 1) * rate < load <= plan.num_cards * rate
    assert plan.usd_per_day == pytest.approx(0.73 * 24 * plan.num_cards)
    assert plan.usd_per_million_pages == pytest.approx(0.73 * plan.num_cards / 3600 / load * 1e6)
    assert plan.chosen.usd_per_million_pages == pytest.approx(0.73 / 3600 / rate * 1e6)
    # Without a load, a card that is always busy.
    alone = plan_card(evolve(setup, limits=Limits()))
    assert alone.usd_per_million_pages == pytest.approx(0.73 / 3600 / rate * 1e6)


def test_the_cheapest_card_wins_and_prices_decide() -> None:
    plans = [
        plan_card(make_setup(name, limits=Limits(pages_per_second=5.0), price=price(name, dollars)))
        for name, dollars in (("l4", 0.8), ("h100-sxm", 2.0), ("a100-sxm-80gb", 60.0))
    ]
    assert choose_plan(plans).setup.card.hardware_id == "h100-sxm"
    assert choose_plan(plans[::2]).setup.card.hardware_id == "l4"


def test_without_prices_the_fewest_cards_win() -> None:
    plans = [plan_card(make_setup(name, limits=Limits(pages_per_second=20.0))) for name in ("l4", "b200-sxm", "a10")]
    assert choose_plan(plans).setup.card.hardware_id == "b200-sxm"
    assert choose_plan(plans).usd_per_million_pages is None


def test_limits_that_nothing_meets_say_the_nearest() -> None:
    setups = [make_setup(name, limits=Limits(max_latency_seconds=0.01)) for name in ("l4", "h200-sxm")]
    plans = [plan_card(setup) for setup in setups]
    assert all(plan.chosen is None for plan in plans)
    least = setups[1].steady_state.list_latencies(1)[0]["p95"]
    with pytest.raises(WorkloadError, match=f"--max-latency: no card .* at least {least:.4g} seconds, which h200-sxm"):
        choose_plan(plans)


def test_cards_that_hold_no_page_say_what_it_takes() -> None:
    small = evolve(find_hardware("l4"), visible_gib=6.0, hardware_id="small")
    plan = plan_card(evolve(make_setup("l4"), card=small))
    assert (plan.largest_batch, plan.chosen, plan.rows) == (0, None, ())
    needed = plan.setup.memory.measure(1) / 2**30
    with pytest.raises(
        WorkloadError, match=f"at least {needed:.2f} GiB; found 4.15 GiB usable on small in mode gundam"
    ):
        choose_plan([plan])


def test_what_would_help_is_the_same_plan_with_one_thing_changed() -> None:
    setup = make_setup("l4", limits=Limits(pages_per_second=50.0))
    plan = plan_card(setup)
    changes = {change.words: change for change in list_changes(plan)}
    card = setup.card
    faster = evolve(card, memory_bytes_per_second=card.memory_bytes_per_second + 1e12)
    expected = plan_card(evolve(setup, card=faster))
    assert plan.chosen is not None
    assert expected.chosen is not None
    found = changes["1 TB/s of memory more"]
    assert found.pages_per_second == expected.chosen.state.pages_per_second
    assert found.gained_pages_per_second == found.pages_per_second - plan.chosen.state.pages_per_second
    assert found.num_cards == math.ceil(50 / expected.chosen.state.pages_per_second)
    # A GiB is 2^30 bytes of blocks of 121 x 16 tokens a page; nine tenths of it are taken.
    gained = changes["1 GiB of memory more"].gained_batch
    assert abs(gained - 0.9 * 2**30 / (121 * 16 * 61_440)) <= 1
    assert changes["kv_bits 15 instead of 16"].gained_batch > 0
    assert changes["logits of all positions"].gained_pages_per_second < 0
    assert set(changes) >= {"1 PFLOP/s of bfloat16 more", "weight_bits 15 instead of 16"}


def test_logits_of_the_last_position_buy_what_all_of_them_cost() -> None:
    setup = make_setup("l4", mix=make_pages_mix([Page(1191, 1684, 1024)], all_logits=True))
    changes = {change.words: change for change in list_changes(plan_card(setup))}
    last = plan_card(make_setup("l4"))
    assert changes["logits of the last position only"].largest_batch == last.largest_batch
    assert changes["logits of the last position only"].gained_batch > 0


def test_what_a_page_waits_for_adds_up() -> None:
    plan = plan_card(make_setup("h100-sxm"))
    assert plan.chosen is not None
    waits = describe_time(plan.chosen, float(plan.setup.mix.mean_steps))
    assert sum(waits.values()) == pytest.approx(1)
    assert max(waits, key=lambda name: waits[name]) == "steps: memory"


@pytest.mark.parametrize("card", ["l4", "rtx-5090", "mi300x"])
def test_settings_fit_by_their_own_arithmetic(card: str) -> None:
    plan = plan_card(make_setup(card, mix=make_pages_mix(draw_pages(40, 37), kv_bits=8)))
    assert plan.chosen is not None
    fit, batch = find_fit(plan), plan.chosen.batch_size
    assert fit.terms[0].num_bytes == find_hardware(card).visible_bytes
    assert fit.free_bytes == plan.setup.memory.usable_bytes - plan.chosen.memory_bytes >= 0
    vllm, sglang = list_settings(plan)
    options = dict(vllm.options)
    longest = plan.setup.mix.most_cached_tokens + 1
    assert int(options["--max-num-seqs"]) == batch
    assert int(options["--max-model-len"]) == longest
    # A step holds the longest prompt beside a token of each of the others.
    assert int(options["--max-num-batched-tokens"]) == plan.setup.mix.longest_prompt + batch - 1
    assert options["--kv-cache-dtype"] == "fp8"
    assert vllm.command.startswith("vllm serve deepseek-ai/DeepSeek-OCR \\\n  --dtype bfloat16 \\\n")
    visible = find_hardware(card).visible_bytes
    static = float(dict(sglang.options)["--mem-fraction-static"]) * visible
    weights = plan.setup.memory.weight_bytes
    assert static >= weights + fit.blocks * plan.setup.memory.block_bytes - 0.001 * visible
    assert static + plan.setup.memory.measure_peak(batch) + 1.25 * 2**30 <= 0.9 * visible
    # SGLang refuses a chunk that is no whole number of its blocks of 16 tokens.
    chunk, step = int(dict(sglang.options)["--chunked-prefill-size"]), int(options["--max-num-batched-tokens"])
    assert chunk % 16 == 0
    assert step - 16 < chunk <= step


def test_there_are_no_settings_without_a_batch() -> None:
    plan = plan_card(make_setup("l4", limits=Limits(max_latency_seconds=0.01)))
    with pytest.raises(WorkloadError, match="no batch to find settings for"):
        list_settings(plan)


def find_snippet(card: str = "l4", *, mode: str = "gundam", dtype: str = "bfloat16", **bits: int) -> str:
    mix = make_pages_mix([Page(1191, 1684, 7)], mode=mode, **bits)
    return list_settings(plan_card(make_setup(card, mix=mix, mode=mode, dtype=dtype)))[0].snippet


def test_settings_say_which_mode_they_hold_for_and_warn_where_it_is_not_that_of_the_engine() -> None:
    default = find_snippet()
    assert default.startswith("# Planned for mode gundam (base_size 1024, image_size 640, crop_mode true); ")
    assert "WARNING" not in default
    tiny = find_snippet(mode="tiny")
    assert "mode tiny (base_size 512, image_size 512, crop_mode false); the numbers hold only for it" in tiny
    assert "# WARNING: no option selects this mode. vLLM as it comes runs gundam" in tiny


def test_settings_never_name_the_published_checkpoint_for_weights_that_it_does_not_have() -> None:
    eight = find_snippet(weight_bits=8)
    assert "vllm serve ./quantised-checkpoint \\\n  --dtype bfloat16" in eight
    assert "# Planned with weights of 8 bits" in eight
    fp8 = find_snippet(dtype="float8_e4m3fn", weight_bits=8, activation_bits=8, kv_bits=8)
    assert "--dtype bfloat16" in fp8
    assert "# Planned with matrix products in float8_e4m3fn, which --dtype does not take" in fp8
    assert "# Planned with activations of 8 bits; vLLM holds them in bfloat16." in fp8
    assert "vllm serve deepseek-ai/DeepSeek-OCR" in find_snippet()


def test_a_cache_of_eight_bits_is_set_only_where_the_card_has_fp8_rates() -> None:
    assert "--kv-cache-dtype fp8\n" in find_snippet("l4", kv_bits=8).replace(" \\", "")
    command = find_snippet("a100-sxm-80gb", kv_bits=8)
    assert "  --kv-cache-dtype" not in command
    assert "has no FP8 rates: --kv-cache-dtype fp8 is left out" in command
    assert "a cache of 5 bits, which vLLM does not have" in find_snippet("l4", kv_bits=5)


def test_what_can_be_done_is_ranked_by_what_it_gains_before_what_only_counts_bits() -> None:
    mix = make_pages_mix([Page(1191, 1684, 1024)])
    setup = make_setup("l4", mix=mix, cutting=Cutting(source="a test", preprocessing="serving", is_chosen=True))
    changes = list_changes(plan_card(setup))
    served = [change for change in changes if change.kind == "serving"]
    gains = [change.gained_pages_per_second or 0 for change in served]
    assert gains == sorted(gains, reverse=True)
    assert [change.kind for change in changes] == ["serving"] * len(served) + ["card"] * 3 + ["bit"] * 3
    by_words = {change.words: change for change in served}
    for words, other in (
        ("mode base instead of gundam", make_setup("l4", mix=make_pages_mix([Page(1191, 1684, 1024)], mode="base"))),
        # A tenth of 1,024 is 102, rounded down.
        ("a tenth fewer output tokens", make_setup("l4", mix=make_pages_mix([Page(1191, 1684, 1024 - 102)]))),
        ("kv_bits 8 instead of 16", make_setup("l4", mix=make_pages_mix([Page(1191, 1684, 1024)], kv_bits=8))),
    ):
        expected = plan_card(other)
        assert expected.chosen is not None
        assert by_words[words].pages_per_second == expected.chosen.state.pages_per_second
        assert by_words[words].largest_batch == expected.largest_batch
