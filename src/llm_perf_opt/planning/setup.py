"""What is planned with: a card, a way to look at pages, widths, an engine, and the limits that are to be met."""

from __future__ import annotations

from functools import cached_property

from attrs import evolve, field, frozen
from attrs.converters import optional

from llm_perf_opt.data import HardwareSpec, MemoryReserve, rules
from llm_perf_opt.data.hardware import COMMON_RESERVE, Float32MatmulPrecision
from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.bound import Rates
from llm_perf_opt.planning.cutting import Cutting
from llm_perf_opt.planning.memory import BLOCK_TOKENS, MOST_SEQUENCES, UTILISATION, EngineMemory
from llm_perf_opt.planning.mix import PageMix, name_percentile
from llm_perf_opt.planning.prices import CardPrice
from llm_perf_opt.planning.steady_state import SteadyState
from llm_perf_opt.planning.time import Calibration
from llm_perf_opt.planning.timing import CardTiming

LATENCY_PERCENT = 95
"""Of the pages, which limits on latency are for."""

LATENCY_PERCENTILE = name_percentile(LATENCY_PERCENT)

RATE = rules.FieldRule(
    expected="a finite number above 0",
    accepts=lambda value: type(value) is float and 0 < value < 1e15,
    schema={"type": "number", "exclusiveMinimum": 0},
)


HEADROOM = rules.FieldRule(
    expected="a part of 1: at least 0, at most 0.9",
    accepts=lambda value: type(value) is float and 0 <= value <= 0.9,
    schema={"type": "number", "minimum": 0, "maximum": 0.9},
)


@frozen(kw_only=True)
class Limits:
    """What a plan has to meet.

    Parameters
    ----------
    pages_per_second
        The load of the whole fleet; None for what one card does.
    max_latency_seconds
        The most that 95 of 100 pages may take; None for whatever gives the most throughput.
    max_sequences
        The most pages that an engine may have in flight.
    headroom
        The part of the rate of each card that the load is not to use.
    """

    pages_per_second: float | None = field(
        default=None, converter=optional(rules.as_float), validator=rules.or_none(RATE)
    )
    max_latency_seconds: float | None = field(
        default=None, converter=optional(rules.as_float), validator=rules.or_none(RATE)
    )
    max_sequences: int = field(default=MOST_SEQUENCES, validator=rules.whole_number(1))
    headroom: float = field(default=0.0, converter=rules.as_float, validator=HEADROOM)

    @property
    def planned_pages_per_second(self) -> float | None:
        """What the cards are to manage together: the load, and beside it the headroom."""
        return None if self.pages_per_second is None else self.pages_per_second / (1 - self.headroom)


@frozen(kw_only=True, eq=False)
class Setup:
    """One card that serves a mix of pages in one way.

    Parameters
    ----------
    card
        The card.
    mode
        The name of the way to look at pages.
    mix
        The pages, looked at in this way, on a model at some widths.
    dtype, float32_matmul_precision
        What matrices are multiplied in.
    calibration
        What an engine makes of the rates of the card; None for bounds only.
    utilisation, reserve, block_tokens
        Of the memory.
    price
        What the card costs; None if that is not known.
    limits
        What is to be met.
    cutting
        Where the pages are from, and how they were cut, if that is known.
    """

    card: HardwareSpec
    mode: str
    mix: PageMix
    dtype: str = "bfloat16"
    float32_matmul_precision: Float32MatmulPrecision = "highest"
    calibration: Calibration | None = None
    utilisation: float = UTILISATION
    reserve: MemoryReserve = COMMON_RESERVE
    block_tokens: int = BLOCK_TOKENS
    price: CardPrice | None = None
    limits: Limits = Limits()
    cutting: Cutting | None = None

    @cached_property
    def memory(self) -> EngineMemory:
        """What fits."""
        return EngineMemory(
            card=self.card,
            mix=self.mix,
            utilisation=self.utilisation,
            reserve=self.reserve,
            block_tokens=self.block_tokens,
        )

    @cached_property
    def timing(self) -> CardTiming:
        """How long calls take."""
        rates = Rates(card=self.card, dtype=self.dtype, float32_matmul_precision=self.float32_matmul_precision)
        return CardTiming(rates=rates, calibration=self.calibration)

    @cached_property
    def steady_state(self) -> SteadyState:
        """Throughput and latency."""
        return SteadyState(mix=self.mix, timing=self.timing)

    @property
    def cards_per_model(self) -> int:
        """How many cards share the model."""
        return self.mix.model.degrees.tensor

    def with_width(self, name: str, bits: Rational) -> Setup:
        """Return the same with another width of storage; what is planned with is unchanged."""
        model = self.mix.model
        changed = evolve(model, bits={**model.bits, name: bits})
        return evolve(self, mix=evolve(self.mix, model=changed))

    def with_logits(self, *, all_logits: bool) -> Setup:
        """Return the same with logits of all positions of a prompt, or of the last one."""
        classes = tuple(evolve(each, logits_tokens=each.seq_len if all_logits else 1) for each in self.mix.classes)
        return evolve(self, mix=evolve(self.mix, classes=classes))


def reserve_gib(gib: float) -> MemoryReserve:
    """Return a reserve of the user's own.

    Raises
    ------
    RecordError
        If it is no number of at least 0.
    """
    try:
        return MemoryReserve(reserve_gib=gib, reason="given with --reserve")
    except RecordError as error:
        raise RecordError(error.problem, place="--reserve", expected=error.expected, found=error.found) from None
