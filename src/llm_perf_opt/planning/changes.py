"""What would help: a plan again with one more GB, TB/s or PFLOP/s, a bit less, or other logits, and the difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, get_args

from attrs import evolve, frozen

from llm_perf_opt.data import HardwareSpec
from llm_perf_opt.planning.bound import LIMITS
from llm_perf_opt.planning.mix import PageMix, count_image_tokens
from llm_perf_opt.planning.page_classes import PageClass
from llm_perf_opt.planning.pages import ViewRule
from llm_perf_opt.planning.search import BatchRow, CardPlan, plan_card
from llm_perf_opt.planning.setup import Setup
from modelmeter.model.page_views import find_page_views

GIB = 2**30
TERABYTE = 10**12
PETAFLOP = 10**15
_TENTH = 10


Kind = Literal["serving", "card", "bit"]
_KINDS: Final = get_args(Kind)

_NARROW_BITS: Final = 8
"""A width that engines and tools for quantisation have."""


@frozen(kw_only=True)
class Change:
    """One thing changed, all else as it was, with the batch chosen again.

    Parameters
    ----------
    words
        What changed.
    kind
        Whether it is something that can be done to how pages are served, another card, or the smallest step of a
        width, which says how much each bit counts.
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
    kind: Kind
    largest_batch: int
    pages_per_second: float | None
    bound_pages_per_second: float | None
    gained_batch: int
    gained_pages_per_second: float | None
    bound_gained_pages_per_second: float | None
    num_cards: int
    bound_num_cards: int


def list_changes(plan: CardPlan) -> tuple[Change, ...]:
    """Return what each change buys: what can be done first, of each kind what gains most first."""
    listed: tuple[tuple[Kind, Callable[[Setup], Iterator[tuple[str, Setup]]]], ...] = (
        ("serving", _list_servings), ("card", _list_cards), ("bit", _list_bits),
    )  # fmt: skip
    found = [
        _compare(plan, kind, words, plan_card(setup))
        for kind, list_setups in listed
        for words, setup in list_setups(plan.setup)
    ]
    return tuple(sorted(found, key=lambda each: (_KINDS.index(each.kind), -(each.gained_pages_per_second or 0.0))))


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


def _list_servings(setup: Setup) -> Iterator[tuple[str, Setup]]:
    for name in ("kv_bits", "weight_bits"):
        bits = setup.mix.model.bits[name]
        if bits > _NARROW_BITS and (name != "kv_bits" or setup.memory.block_bytes):
            yield f"{name} {_NARROW_BITS} instead of {bits}", setup.with_width(name, _NARROW_BITS)
    if setup.mix.model.serving.logits_tokens is not None:
        takes_all = any(each.logits_tokens > 1 for each in setup.mix.classes)
        words = "logits of the last position only" if takes_all else "logits of all positions"
        yield words, setup.with_logits(all_logits=not takes_all)
    if any(each.output_tokens >= _TENTH for each in setup.mix.classes):
        yield "a tenth fewer output tokens", evolve(setup, mix=_shorten(setup.mix))
    serving = setup.mix.model.serving
    if setup.mode in serving.modes and setup.cutting is not None and not serving.item_sizes:
        least = setup.mix.mean_image_tokens
        for name, mode in serving.modes.items():
            if name != setup.mode and not mode.is_cut:
                mix = _look_whole(setup, name)
                if mix.classes[0].image_tokens < least:
                    yield f"mode {name} instead of {setup.mode}", evolve(setup, mode=name, mix=mix)


def _shorten(mix: PageMix) -> PageMix:
    """Return a mix with a tenth fewer output tokens of each page, rounded up."""
    classes = (evolve(each, output_tokens=each.output_tokens - each.output_tokens // _TENTH) for each in mix.classes)
    return evolve(mix, classes=_join(classes))


def _look_whole(setup: Setup, mode: str) -> PageMix:
    """Return a mix with every page as the one view of a mode, which does not hang on the sides of the page."""
    model, cutting = setup.mix.model, setup.cutting
    program = None if cutting is None else cutting.preprocessing
    rule = ViewRule(views=find_page_views(model.model), mode=model.serving.find_mode(mode), preprocessing=program)
    views = rule.make_cut()(1, 1)
    tokens = count_image_tokens(model, views)
    classes = (
        evolve(
            each,
            views=views,
            image_tokens=tokens,
            seq_len=each.seq_len - each.image_tokens + tokens,
            logits_tokens=1 if each.logits_tokens == 1 else each.logits_tokens - each.image_tokens + tokens,
        )
        for each in setup.mix.classes
    )
    return evolve(setup.mix, classes=_join(classes))


def _join(classes: Iterable[PageClass]) -> tuple[PageClass, ...]:
    """Return classes with those that became alike as one."""
    counts: Counter[PageClass] = Counter()
    for each in classes:
        counts[evolve(each, count=1)] += each.count
    return tuple(evolve(each, count=count) for each, count in counts.items())


def _list_cards(setup: Setup) -> Iterator[tuple[str, Setup]]:
    card = setup.card
    yield "1 GiB of memory more", evolve(setup, card=_add_memory(card))
    faster = evolve(card, memory_bytes_per_second=card.memory_bytes_per_second + TERABYTE)
    yield "1 TB/s of memory more", evolve(setup, card=faster)
    yield f"1 PFLOP/s of {setup.dtype} more", evolve(setup, card=_add_rate(setup))


def _list_bits(setup: Setup) -> Iterator[tuple[str, Setup]]:
    for name in ("weight_bits", "kv_bits", "activation_bits"):
        bits = setup.mix.model.bits[name]
        if bits > 1 and (name != "kv_bits" or setup.memory.block_bytes):
            yield f"{name} {bits - 1} instead of {bits}", setup.with_width(name, bits - 1)


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


def _compare(plan: CardPlan, kind: Kind, words: str, changed: CardPlan) -> Change:
    before = None if plan.chosen is None else plan.chosen.state
    after = None if changed.chosen is None else changed.chosen.state
    return Change(
        words=words,
        kind=kind,
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
