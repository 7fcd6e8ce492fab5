"""How long a call takes on a card: its roofline, and where measurements are given what they make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from attrs import frozen

from llm_perf_opt.data.hardware import exact_rate
from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.bound import LIMITS, Rates
from llm_perf_opt.planning.time import Calibration, estimate_seconds
from llm_perf_opt.planning.time.estimate import Provenance
from llm_perf_opt.planning.work import StageWork


@frozen(kw_only=True)
class CallTime:
    """The time of a call, or of several.

    Parameters
    ----------
    seconds
        As estimated; the bound where nothing better is known.
    bound_seconds
        At least.
    bound_by
        How much of the bound is waited for each of :data:`~llm_perf_opt.planning.bound.LIMITS`.
    host_seconds
        What the host takes before.
    """

    seconds: float
    bound_seconds: float
    bound_by: Mapping[str, float]
    host_seconds: float = 0.0

    @staticmethod
    def add(calls: Iterable[CallTime]) -> CallTime:
        """Return the time of calls one after the other."""
        calls = list(calls)
        return CallTime(
            seconds=sum(call.seconds for call in calls),
            bound_seconds=sum(call.bound_seconds for call in calls),
            bound_by={limit: sum(call.bound_by[limit] for call in calls) for limit in LIMITS},
            host_seconds=sum(call.host_seconds for call in calls),
        )

    def scale(self, factor: float) -> CallTime:
        """Return the time of so many of these calls."""
        return CallTime(
            seconds=self.seconds * factor,
            bound_seconds=self.bound_seconds * factor,
            bound_by={limit: seconds * factor for limit, seconds in self.bound_by.items()},
            host_seconds=self.host_seconds * factor,
        )


class Timing(Protocol):
    """Says how long calls take on a card."""

    @property
    def provenance(self) -> Provenance:
        """What its times are."""

    @property
    def relative_error(self) -> float | None:
        """How far they were off where they were checked."""

    @property
    def request_host_seconds(self) -> float:
        """What a server takes of a request before its prefill and after, beside its pages."""

    def time(self, work: StageWork) -> CallTime:
        """Return the time of a call."""


@frozen(kw_only=True)
class CardTiming:
    """The times of a card.

    Parameters
    ----------
    rates
        The peak rates of the card.
    calibration
        What an engine makes of them; None for the bound alone.
    """

    rates: Rates
    calibration: Calibration | None = None

    @property
    def provenance(self) -> Provenance:
        """What its times are."""
        return "bound" if self.calibration is None else "calibrated"

    @property
    def relative_error(self) -> float | None:
        """How far they were off where they were checked."""
        return None if self.calibration is None else self.calibration.worst_error

    @property
    def request_host_seconds(self) -> float:
        """What a server takes of a request before its prefill and after, beside its pages; 0 in a bound."""
        return 0.0 if self.calibration is None else self.calibration.coefficients.request_host_seconds

    def time(self, work: StageWork) -> CallTime:
        """Return the time of a call; the bound has the traffic of fused operators, which no engine goes below."""
        bound, bound_by = self.rates.bound(work)
        sending = self._time_sending(work)
        if sending > bound:  # engines may send beside other work, so that at least the longer of the two is waited for
            bound_by = {**bound_by, "links": sending - bound}
            bound = sending
        if self.calibration is None:
            return CallTime(seconds=bound, bound_seconds=bound, bound_by=bound_by)
        estimate = estimate_seconds(
            self.calibration,
            self.rates.card,
            work,
            dtype=self.rates.dtype,
            float32_matmul_precision=self.rates.float32_matmul_precision,
        )
        # A calibration of fused operators cannot be quicker than they are; rounding can.
        return CallTime(
            seconds=max(bound, estimate.seconds + sending),
            bound_seconds=bound,
            bound_by=bound_by,
            host_seconds=estimate.host_seconds,
        )

    def _time_sending(self, work: StageWork) -> float:
        if not work.sent_bytes:
            return 0.0
        card = self.rates.card
        if card.link_bytes_per_second is None:
            raise RecordError(
                "the card states no links to others", place=f"{card.hardware_id}: link_bytes_per_second",
                expected="bytes a second in one direction", found="none", remedy="plan with one card for each model",
            )  # fmt: skip
        return float(work.sent_bytes / exact_rate(card.link_bytes_per_second))
