"""What a user asks of a plan, and the plan of it: pages, cards, prices and calibrations are found here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from attrs import field, frozen

from llm_perf_opt.data import HardwareSpec, rules
from llm_perf_opt.data.hardware import COMMON_RESERVE, DTYPE_BITS, PRECISION, Float32MatmulPrecision
from llm_perf_opt.data.rationals import Rational, parse_bits
from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import find_hardware, list_hardware
from llm_perf_opt.planning.bound import Rates
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.memory import MOST_SEQUENCES, UTILISATION
from llm_perf_opt.planning.parallel import Degrees
from llm_perf_opt.planning.plan import Plan, make_plan
from llm_perf_opt.planning.prices import find_prices
from llm_perf_opt.planning.requested_pages import PagesRequest, find_mixes
from llm_perf_opt.planning.setup import HEADROOM, Limits, Setup, reserve_gib
from llm_perf_opt.planning.simulation import Load
from llm_perf_opt.planning.time import ENGINES, Calibration, choose_calibration, load_calibration
from modelmeter.support.errors import WorkloadError

SECONDS_PER_DAY = 86_400
_LEAST, _MOST = 1e-9, 1e12
"""Of limits: what is planned with them, such as the same with longer times, stays far from the ends of floats."""


@frozen(kw_only=True)
class PlanRequest(PagesRequest):
    """What is asked for, beside the pages; what is None was left out.

    Parameters
    ----------
    cards
        Ids or files; all shipped ones that have the type if there are none.
    pages_per_day, pages_per_second, max_latency_seconds, max_sequences
        The limits.
    headroom
        The part of the rate of each card that is kept free.
    tensor_parallel, expert_parallel
        How many cards share a model, and into how many groups of them its experts are divided.
    prices
        See :func:`~llm_perf_opt.planning.prices.find_prices`.
    engine
        What chooses a calibration; None for bounds.
    dtype, bits, float32_matmul_precision
        The type that is computed in, and as text the widths that are stored in where they are others.
    reserve_gib, utilisation
        Of the memory.
    burstiness, seed
        Of arrivals, if they are to be simulated.
    """

    cards: tuple[str, ...] = ()
    pages_per_day: float | None = None
    pages_per_second: float | None = None
    max_latency_seconds: float | None = None
    max_sequences: int | None = None
    headroom: float = 0.0
    tensor_parallel: int = 1
    expert_parallel: int = 1
    prices: tuple[str, ...] = ()
    engine: str | None = None
    dtype: str = field(default="bfloat16", validator=rules.choice(*DTYPE_BITS))
    bits: Mapping[str, str | None] = field(factory=dict)
    float32_matmul_precision: Float32MatmulPrecision = field(default="highest", validator=PRECISION)
    reserve_gib: float | None = None
    utilisation: float = UTILISATION
    burstiness: float | None = None
    seed: int = 1


def plan_request(request: PlanRequest, begin: Callable[[str], object] = lambda _: None) -> Plan:
    """Return the plan that is asked for.

    Raises
    ------
    ModelMeterError
        If something cannot be read or found, contradicts something else, or nothing meets the limits.
    """
    limits = _find_limits(request)
    load = _find_load(request, limits)
    model = ServedModel(model=request.model, bits=_find_bits(request), degrees=_find_degrees(request))
    choose = _make_chooser(request.engine)
    begin("read the pages")
    mixes = find_mixes(request, model)
    cards, left_out = _find_cards(request, choose)
    calibrations = {card.hardware_id: choose(card) for card in cards}
    prices = find_prices(request.prices, [card.hardware_id for card in cards])
    reserve = COMMON_RESERVE if request.reserve_gib is None else reserve_gib(request.reserve_gib)
    setups = [
        Setup(
            card=card,
            mode=mode,
            mix=mix,
            dtype=request.dtype,
            float32_matmul_precision=request.float32_matmul_precision,
            calibration=calibrations[card.hardware_id],
            utilisation=request.utilisation,
            reserve=reserve,
            price=prices.get(card.hardware_id),
            limits=limits,
            cutting=cutting,
        )
        for card in cards
        for mode, (mix, cutting) in mixes.items()
    ]
    return make_plan(setups, left_out=left_out, load=load, begin=begin)


def _find_limits(request: PlanRequest) -> Limits:
    if request.pages_per_day is not None and request.pages_per_second is not None:
        raise WorkloadError("the load is given twice", place="--pages-per-day", found="--pages-per-second too")
    rate = request.pages_per_second
    if request.pages_per_day is not None:
        _check_positive("--pages-per-day", request.pages_per_day)
        rate = request.pages_per_day / SECONDS_PER_DAY
    elif rate is not None:
        _check_positive("--pages-per-second", rate)
    if request.max_latency_seconds is not None:
        _check_positive("--max-latency", request.max_latency_seconds)
    HEADROOM.check(request.headroom, "--headroom")
    return Limits(
        pages_per_second=rate,
        max_latency_seconds=request.max_latency_seconds,
        max_sequences=MOST_SEQUENCES if request.max_sequences is None else request.max_sequences,
        headroom=request.headroom,
    )


def _find_degrees(request: PlanRequest) -> Degrees:
    return Degrees(tensor=request.tensor_parallel, expert=request.expert_parallel)


def _find_load(request: PlanRequest, limits: Limits) -> Load | None:
    if request.burstiness is None:
        return None
    if limits.pages_per_second is None:
        raise WorkloadError(
            "there is no load to simulate", place="--burstiness", remedy="give --pages-per-day or --pages-per-second"
        )
    return Load(pages_per_second=limits.pages_per_second, burstiness=request.burstiness, seed=request.seed)


def _check_positive(option: str, value: float) -> None:
    if not _LEAST <= value <= _MOST:
        raise WorkloadError(
            "a limit is out of range", place=option, expected=f"a number above 0, from {_LEAST:g} to {_MOST:g}",
            found=value,
        )  # fmt: skip


def _find_bits(request: PlanRequest) -> dict[str, Rational]:
    stored = DTYPE_BITS[request.dtype]
    texts = {"weight_bits": None, "activation_bits": None, "kv_bits": None, **request.bits}
    return {name: stored if text is None else parse_bits(name, text) for name, text in texts.items()}


def _make_chooser(engine: str | None) -> Callable[[HardwareSpec], Calibration | None]:
    """Return the function from a card to its calibration; one that has a name or a file is read once, and here."""
    if engine in ENGINES:
        return partial(choose_calibration, engine=engine)
    named = None if engine is None else load_calibration(engine)
    return lambda _: named


def _find_cards(
    request: PlanRequest, choose: Callable[[HardwareSpec], Calibration | None]
) -> tuple[list[HardwareSpec], dict[str, str]]:
    """Return the cards; of those that nobody named, the ones that have what is needed, and why others have not."""
    if request.cards:
        named = [find_hardware(name) for name in request.cards]
        counts = Counter(card.hardware_id for card in named)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise WorkloadError("a card is named twice", place="--card", found=twice[0])
        return named, {}
    cards, left_out = [], {}
    for card in map(find_hardware, list_hardware()):
        try:
            Rates(card=card, dtype=request.dtype, float32_matmul_precision=request.float32_matmul_precision)
            choose(card)
        except RecordError as error:
            left_out[card.hardware_id] = error.problem
        else:
            cards.append(card)
    if not cards:
        raise WorkloadError("no shipped card can be planned with", place="--card", found=next(iter(left_out.values())))
    return cards, left_out
