"""Models on several cards: what ranks hold adds up to the model and what is named as replicated."""

from __future__ import annotations

from fractions import Fraction

import pytest
from attrs import evolve
from planned import make_pages_mix, make_setup

import deepseek_ocr_costs as costs
from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.memory import EngineMemory
from llm_perf_opt.planning.mix import PageMix
from llm_perf_opt.planning.pages import Page
from llm_perf_opt.planning.parallel import Degrees, Partition
from llm_perf_opt.planning.prices import CardPrice
from llm_perf_opt.planning.search import plan_card
from llm_perf_opt.planning.settings import list_settings
from modelmeter.model.serving import find_serving
from modelmeter.support.errors import WorkloadError

WEIGHTS = costs.request().weight_bytes
DEGREES = [(1, 1), (2, 1), (2, 2), (5, 1), (5, 5), (10, 1), (10, 2), (10, 5), (10, 10)]


def divide(tensor: int, expert: int = 1) -> Partition:
    return Partition(costs=costs, serving=find_serving(), degrees=Degrees(tensor=tensor, expert=expert))


@pytest.mark.parametrize(("tensor", "expert"), DEGREES)
@pytest.mark.parametrize("weight_bits", [16, 8, Fraction(11, 2)])
def test_the_ranks_hold_the_model_and_what_is_replicated(tensor: int, expert: int, weight_bits: int) -> None:
    partition = divide(tensor, expert)
    held = [sum(partition.list_weight_bits(rank, weight_bits=weight_bits).values()) for rank in range(tensor)]
    replicated = partition.list_replicated(weight_bits=weight_bits)
    assert sum(held) == 3_336_106_240 * weight_bits + sum(replicated.values())
    assert max(held) == held[0]
    assert all(size.denominator == 1 for size in map(Fraction, held)) or weight_bits != 16, "whole parameters"


def test_what_is_replicated_is_named() -> None:
    """The towers, the projector, norms and routers: each rank but one holds them too much."""
    paths = divide(5).list_replicated()
    decoder = {path for path in paths if path.startswith("model.layers.")}
    assert {path.rpartition(".")[2] for path in decoder} == {"gate", "input_layernorm", "post_attention_layernorm"}
    assert any(path.startswith("model.sam_model") for path in paths)
    assert "lm_head" not in paths
    assert sum(paths.values()) == 4 * 16 * (
        # vision and projector; norms of 1,280 in 12 layers, two each, and the last; routers of 64 x 1,280 in 11.
        (costs.vision().weight_bytes + costs.projector().weight_bytes) // 2 + 25 * 1280 + 11 * 64 * 1280
    )


def test_two_ranks_are_as_a_public_log_says() -> None:
    """3.496 GiB a rank in a log of vLLM with two; on one card such logs have 0.26 % more than the parameters."""
    assert divide(2).count_weight_bytes(0) == pytest.approx(3_753_801_417, rel=0.005)


def test_one_rank_by_hand() -> None:
    """Of 5 ranks: two heads, a fifth of the channels, of the words and of each expert; 6,848 channels leave 3."""
    hidden, heads, head = 1280, 10 // 5, 128
    attention = 12 * 4 * hidden * heads * head
    dense = 3 * hidden * -(-6848 // 5)
    experts, shared = 11 * 64 * 3 * hidden * -(-896 // 5), 11 * 3 * hidden * -(-1792 // 5)
    words = 2 * hidden * (129_280 // 5)
    everywhere = (costs.vision().weight_bytes + costs.projector().weight_bytes) // 2 + 25 * 1280 + 11 * 64 * 1280
    first = attention + dense + experts + shared + words + everywhere
    assert divide(5).count_weight_bytes(0) == 2 * first
    # With the experts divided by their number, 64 over 5 leave 4: 13 on the first rank, 12 on the last.
    by_number = 11 * 13 * 3 * hidden * 896
    assert divide(5, 5).count_weight_bytes(0) == 2 * (first - experts + by_number)
    last = 11 * 12 * 3 * hidden * 896
    difference = divide(5, 5).count_weight_bytes(0) - divide(5, 5).count_weight_bytes(4)
    # The last rank has 1,369 of 6,848 channels, and 358 of 1,792.
    assert difference == 2 * (by_number - last + 3 * hidden * (1370 - 1369) + 11 * 3 * hidden * (359 - 358))


def test_the_cache_is_divided_by_heads() -> None:
    assert [divide(5).find_cache_share(rank) for rank in range(5)] == [Fraction(1, 5)] * 5


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(WorkloadError, match=r"heads cannot be divided .* a divisor of 10: 1, 2, 5, 10; found 4"):
        divide(4).count_weight_bytes(0)


def test_few_heads_of_keys_are_replicated_by_a_named_rule() -> None:
    serving = find_serving()
    rule = next(each for each in serving.shards if each.size == "num_key_value_heads")
    assert rule.is_replicated
    partition = divide(20)
    # Ten heads on 20 ranks: each is on two of them.
    assert partition._divide("model.layers.0.self_attn.k_proj", rule, 19, 20) == Fraction(1, 10)


def test_what_ranks_send_in_a_step_by_hand() -> None:
    """24 sums of 7 x 1,280 elements in the layers and one of the embedding; logits of 7 x 129,280, gathered."""
    transfers = divide(5).list_transfers(num_tokens=7, logits_tokens=7, activation_bits=16)
    reduced = sum(each.payload_bytes for each in transfers if each.operation == "all-reduce")
    assert reduced == 25 * 7 * 1280 * 2
    gathered = [each for each in transfers if each.operation == "all-gather"]
    assert [(each.path, each.payload_bytes) for each in gathered] == [("lm_head", 7 * 129_280 * 2)]
    sent = sum(each.sent_bytes for each in transfers)
    assert sent == Fraction(4, 5) * (2 * 25 * 7 * 1280 * 2 + 7 * 129_280 * 2)
    assert divide(1).list_transfers(7, 7, 16) == ()


def test_degrees_that_contradict_are_refused() -> None:
    with pytest.raises(WorkloadError, match="expert_parallel: experts cannot be divided so; expected a divisor of 5"):
        Degrees(tensor=5, expert=2)
    with pytest.raises(RecordError, match="tensor: wrong value"):
        Degrees(tensor=0)


def share(mix: PageMix, degrees: Degrees) -> PageMix:
    return evolve(mix, model=evolve(mix.model, degrees=degrees))


def test_a_card_of_several_holds_its_part_of_weights_and_cache() -> None:
    mix = make_pages_mix([Page(1191, 1684, 1024)])
    memory = EngineMemory(card=find_hardware("l4"), mix=share(mix, Degrees(tensor=2)))
    assert memory.weight_bytes == divide(2).count_weight_bytes(0) < WEIGHTS
    assert memory.token_bytes == 61_440 // 2
    alone = EngineMemory(card=find_hardware("l4"), mix=mix)
    assert memory.largest_batch > 2 * alone.largest_batch, "the weights that are gone hold pages too"


def test_the_work_of_a_card_is_its_part_and_what_is_replicated() -> None:
    """The LM head of 7 sequences on the first of 5 cards, and a step in all."""
    model = ServedModel(bits={"weight_bits": 16, "activation_bits": 16, "kv_bits": 16})
    fifth = evolve(model, degrees=Degrees(tensor=5, expert=5))
    head = fifth.list_step_work(7, 7 * 913, modules="lm_head").tensor_core_flops
    assert head == 7 * 2 * 1280 * 129_280 // 5
    whole, part = model.list_step_work(7, 7 * 913), fifth.list_step_work(7, 7 * 913)
    assert whole.fused_io_bytes / 5 < part.fused_io_bytes < whole.fused_io_bytes / 4
    assert part.sent_bytes == sum(each.sent_bytes for each in divide(5).list_transfers(7, 7, 16))
    assert whole.sent_bytes == 0
    # The towers are on every card, and send nothing.
    assert fifth.list_stage_work("vision") == model.list_stage_work("vision")


def test_cards_that_share_a_model_are_counted_and_paid_together() -> None:
    setup = make_setup("l40s", price=CardPrice(card="l40s", usd_per_hour=2.0, source="a test"))
    pair = evolve(setup, mix=share(setup.mix, Degrees(tensor=2)))
    load = evolve(pair, limits=evolve(pair.limits, pages_per_second=31.0))
    plan = plan_card(load)
    assert plan.chosen is not None
    rate = plan.chosen.state.pages_per_second
    assert (plan.num_cards - 2) / 2 * rate < 31 <= plan.num_cards / 2 * rate
    assert plan.chosen.usd_per_million_pages == pytest.approx(2 * 2.0 / 3600 / rate * 1e6)
    options = dict(list_settings(plan)[0].options)
    assert options["--tensor-parallel-size"] == "2"
    # A step waits for its links at least as long as they take: 32 GB/s.
    step = pair.steady_state.time_step(512)
    assert step.bound_seconds >= float(pair.steady_state.list_step_work(512).sent_bytes) / 32e9


def test_cards_without_links_share_nothing() -> None:
    setup = make_setup("apple-m1-max")
    with pytest.raises(RecordError, match="apple-m1-max: link_bytes_per_second: the card states no links"):
        plan_card(evolve(setup, mix=share(setup.mix, Degrees(tensor=2))))
