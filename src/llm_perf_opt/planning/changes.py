"""What would help: a plan again with one more GB, TB/s or PFLOP/s, a bit less, or other logits, and the difference."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve, frozen

from llm_perf_opt.data import HardwareSpec
from llm_perf_opt.planning.bound import LIMITS
from llm_perf_opt.planning.search import BatchRow, CardPlan, plan_card
from llm_perf_opt.planning.setup import Setup

GIB = 2**30
TERABYTE = 10**12
PETAFLOP = 10**15


@frozen(kw_only=True)
class Change:
    """One thing changed, all else as it was, with the batch chosen again.

    Parameters
    ----------
    words
        What changed.
    largest_batch
        The most pages that fit then.
    pages_per_second, bound_pages_per_second
        Of one card then; None where the limits are not met any more.
    gained_batch, gained_pages_per_second, bound_gained_pages_per_second
        How much more than before; below 0 where it is less.
    num_cards, bound_num_cards
        How many cards the load takes then, as estimated and at least.
    """

    words: str
    largest_batch: int
    pages_per_second: float | None
    bound_pages_per_second: float | None
    gained_batch: int
    gained_pages_per_second: float | None
    bound_gained_pages_per_second: float | None
    num_cards: int
    bound_num_cards: int


def list_changes(plan: CardPlan) -> tuple[Change, ...]:
    """Return what each change buys."""
    return tuple(_compare(plan, words, plan_card(setup)) for words, setup in _list_setups(plan.setup))


def describe_time(row: BatchRow, mean_steps: float, items: str = "pages") -> dict[str, float]:
    """Return what a finished page waits for, as parts of 1: steps or what comes before, by what bounds each.

    The parts of the bound; what measurements add is in neither.
    """
    steps = mean_steps / row.batch_size
    total = row.state.bound_seconds_per_page
    parts = {}
    for limit in LIMITS:
        parts[f"steps: {limit}"] = row.state.step.bound_by[limit] * steps / total
        parts[f"{items}: {limit}"] = row.state.page.bound_by[limit] / total
    return {name: part for name, part in parts.items() if part > 0}


def _list_setups(setup: Setup) -> Iterator[tuple[str, Setup]]:
    card = setup.card
    yield "1 GiB of memory more", evolve(setup, card=_add_memory(card))
    faster = evolve(card, memory_bytes_per_second=card.memory_bytes_per_second + TERABYTE)
    yield "1 TB/s of memory more", evolve(setup, card=faster)
    yield f"1 PFLOP/s of {setup.dtype} more", evolve(setup, card=_add_rate(setup))
    for name in ("weight_bits", "kv_bits", "activation_bits"):
        bits = setup.mix.model.bits[name]
        if bits > 1 and (name != "kv_bits" or setup.memory.block_bytes):
            yield f"{name} {bits - 1} instead of {bits}", setup.with_width(name, bits - 1)
    if setup.mix.model.serving.prompt_stage is None:
        return
    takes_all = any(each.logits_tokens > 1 for each in setup.mix.classes)
    words = "logits of the last position only" if takes_all else "logits of all positions"
    yield words, setup.with_logits(all_logits=not takes_all)


def _add_memory(card: HardwareSpec) -> HardwareSpec:
    visible = None if card.visible_gib is None else card.visible_gib + 1
    return evolve(card, memory_bytes=card.memory_bytes + GIB, visible_gib=visible)


def _add_rate(setup: Setup) -> HardwareSpec:
    card = setup.card
    peak, unit = card.matrix_peak(setup.dtype, setup.float32_matmul_precision)
    if unit == "cuda_cores":
        return evolve(card, vector_flops_per_second=card.vector_flops_per_second + PETAFLOP)
    name = "tf32" if setup.dtype == "float32" and setup.float32_matmul_precision == "high" else setup.dtype
    return evolve(card, tensor_flops_per_second={**card.tensor_flops_per_second, name: peak + PETAFLOP})


def _compare(plan: CardPlan, words: str, changed: CardPlan) -> Change:
    before = None if plan.chosen is None else plan.chosen.state
    after = None if changed.chosen is None else changed.chosen.state
    return Change(
        words=words,
        largest_batch=changed.largest_batch,
        pages_per_second=None if after is None else after.pages_per_second,
        bound_pages_per_second=None if after is None else after.bound_pages_per_second,
        gained_batch=changed.largest_batch - plan.largest_batch,
        gained_pages_per_second=None
        if before is None or after is None
        else after.pages_per_second - before.pages_per_second,
        bound_gained_pages_per_second=None
        if before is None or after is None
        else after.bound_pages_per_second - before.bound_pages_per_second,
        num_cards=changed.num_cards,
        bound_num_cards=changed.bound_num_cards,
    )
