"""A calibration: the coefficients of time of an engine on a class of cards, and how they are known."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, get_args

from attrs import evolve, field, fields, frozen
from attrs.converters import optional

from llm_perf_opt.data import rules
from llm_perf_opt.data.hardware import MemoryClass
from llm_perf_opt.data.prediction import EFFICIENCY
from llm_perf_opt.errors import RecordError

Engine = Literal["eager", "graphs"]
"""How kernels are started: one by one from the host, or many at once as a captured CUDA graph."""

Traffic = Literal["eager", "fused"]
"""Which bytes move: those of every operator alone, or those that are left where all are fused that can be."""

Role = Literal["fitted", "checked"]

SECONDS = rules.FieldRule(
    expected="a finite number of at least 0",
    accepts=lambda value: type(value) is float and 0 <= value < math.inf,
    schema={"type": "number", "minimum": 0, "description": "seconds"},
)
POSITIVE_SECONDS = rules.FieldRule(
    expected="a finite number above 0",
    accepts=lambda value: type(value) is float and 0 < value < math.inf,
    schema={"type": "number", "exclusiveMinimum": 0, "description": "seconds"},
)


@frozen(kw_only=True)
class Coefficients:
    """What a card and a host do with exact work.

    A call of a stage, or a step, takes::

        max(step + sequence x sequences + sum of roofline / efficiency + launch_device x launches,
            launch_host x launches)

    where the roofline is that of each operator, and the efficiency that of its kind.

    Parameters
    ----------
    traffic
        The bytes of the roofline. Where it is ``fused``, operators that vanish in their neighbours are not launched.
    matrix_product_efficiency, attention_efficiency, other_efficiency
        The part of the peak rates that the operators of a kind reach when they are large.
    launch_device_seconds
        What a kernel takes on the card beside its roofline: to start, to fill the card and to drain it.
    launch_host_seconds
        What the host takes to start one. Launches run ahead of the card, so that the longer of the two counts.
    step_seconds
        What every call takes: scheduling, the gaps in a graph, sampling.
    sequence_seconds
        What every sequence of a call takes: the scheduler's turn of it, its sampling, its output.
    page_host_seconds
        What the host takes to decode, cut and resize a page.
    request_host_seconds
        What a server takes of a request before its prefill and after: HTTP, tokenizer, queues.
    """

    traffic: Traffic = field(validator=rules.choice(*get_args(Traffic)))
    matrix_product_efficiency: float = field(converter=rules.as_float, validator=EFFICIENCY)
    attention_efficiency: float = field(converter=rules.as_float, validator=EFFICIENCY)
    other_efficiency: float = field(converter=rules.as_float, validator=EFFICIENCY)
    launch_device_seconds: float = field(default=0.0, converter=rules.as_float, validator=SECONDS)
    launch_host_seconds: float = field(default=0.0, converter=rules.as_float, validator=SECONDS)
    step_seconds: float = field(default=0.0, converter=rules.as_float, validator=SECONDS)
    sequence_seconds: float = field(default=0.0, converter=rules.as_float, validator=SECONDS)
    page_host_seconds: float = field(default=0.0, converter=rules.as_float, validator=SECONDS)
    request_host_seconds: float = field(default=0.0, converter=rules.as_float, validator=SECONDS)

    def replace(self, values: Mapping[str, float]) -> Coefficients:
        """Return these coefficients with other numbers, by name."""
        changes: dict[str, Any] = dict(values)
        return evolve(self, **changes)


COEFFICIENTS: Final = tuple(each.name for each in fields(Coefficients) if each.name != "traffic")
"""The names of the numbers, in order."""


@frozen(kw_only=True)
class FittedRange:
    """Between which sizes the measurements lie that a calibration was fitted on.

    Parameters
    ----------
    name
        What it is of: ``sequences``, ``seconds``, or a size.
    smallest, largest
        The ends.
    """

    name: str = field(validator=rules.IDENTIFIER)
    smallest: float = field(converter=rules.as_float, validator=rules.number("of its name"))
    largest: float = field(converter=rules.as_float, validator=rules.number("of its name"))


@frozen(kw_only=True)
class CalibrationPoint:
    """A measurement, and what the calibration says about it.

    Parameters
    ----------
    measurement_id
        Which one: an id of the shipped measurements, or the line of a file.
    role
        Whether the coefficients were fitted on it, or it was only held against them.
    measured_seconds, predicted_seconds
        The two times.
    left_out_seconds
        What a fit on all other points, fitted and checked, predicts of it; None where these do not determine it.
    """

    measurement_id: str = field(validator=rules.IDENTIFIER)
    role: Role = field(validator=rules.choice(*get_args(Role)))
    measured_seconds: float = field(converter=rules.as_float, validator=POSITIVE_SECONDS)
    predicted_seconds: float = field(converter=rules.as_float, validator=POSITIVE_SECONDS)
    left_out_seconds: float | None = field(
        default=None, converter=optional(rules.as_float), validator=rules.or_none(POSITIVE_SECONDS)
    )

    @property
    def relative_error(self) -> float:
        """How far the prediction is off, as a part of the measured time; below 0 where it is too short."""
        return self.predicted_seconds / self.measured_seconds - 1

    @property
    def left_out_error(self) -> float | None:
        """The same of the fit on all other points."""
        return None if self.left_out_seconds is None else self.left_out_seconds / self.measured_seconds - 1


@frozen(kw_only=True)
class Calibration:
    """The coefficients of an engine on a class of cards.

    Parameters
    ----------
    name
        What users type.
    engine
        How kernels are started.
    memory_class
        The cards that it is for; None for those of ``cards`` only.
    cards
        The ids of the cards that were measured.
    dtype
        What was computed in.
    source
        Where the measurements are from.
    coefficients
        The numbers.
    page_coefficients
        Those of calls that look at pages, where the engine runs these in another way; their times of the host are not
        used. None where it does not.
    origins
        Of each coefficient, by name, how it is known: fitted, taken over from elsewhere, or not in the form.
    undetermined
        The coefficients that were fitted, and that the measurements do not determine: others would fit as well.
    fitted_range
        Between which sizes it was fitted.
    points
        The measurements.
    notes
        Anything else, for people.

    Raises
    ------
    RecordError
        If a field breaks its rule, or a name among the origins or the undetermined is no coefficient.
    """

    SCHEMA_VERSION: ClassVar[int] = 1

    name: str = field(validator=rules.IDENTIFIER)
    engine: Engine = field(validator=rules.choice(*get_args(Engine)))
    memory_class: MemoryClass | None = field(
        default=None, validator=rules.or_none(rules.choice(*get_args(MemoryClass)))
    )
    cards: tuple[str, ...] = field(converter=rules.as_tuple, validator=rules.sequence(rules.IDENTIFIER, distinct=True))
    dtype: str = field(default="bfloat16", validator=rules.IDENTIFIER)
    source: str = field(validator=rules.IDENTIFIER)
    coefficients: Coefficients = field(validator=rules.record(Coefficients))
    page_coefficients: Coefficients | None = field(default=None, validator=rules.or_none(rules.record(Coefficients)))
    origins: Mapping[str, str] = field(validator=rules.mapping_of(rules.choice(*COEFFICIENTS), rules.IDENTIFIER))
    undetermined: tuple[str, ...] = field(
        default=(),
        converter=rules.as_tuple,
        validator=rules.sequence(rules.choice(*COEFFICIENTS), distinct=True),
    )
    fitted_range: tuple[FittedRange, ...] = field(
        default=(), converter=rules.as_tuple, validator=rules.sequence(rules.record(FittedRange), key="name")
    )
    points: tuple[CalibrationPoint, ...] = field(
        default=(),
        converter=rules.as_tuple,
        validator=rules.sequence(rules.record(CalibrationPoint), key="measurement_id"),
    )
    notes: str = field(default="", validator=rules.TEXT)  # fmt: skip

    def __attrs_post_init__(self) -> None:
        missing = [name for name in COEFFICIENTS if name not in self.origins]
        if missing:
            raise RecordError(
                "a coefficient does not say how it is known", place="origins", expected=", ".join(COEFFICIENTS),
                found=f"none of {', '.join(missing)}",
            )  # fmt: skip

    def find_coefficients(self, *, looks_at_pages: bool) -> Coefficients:
        """Return the coefficients of a call, by whether it looks at pages."""
        return self.page_coefficients if looks_at_pages and self.page_coefficients is not None else self.coefficients

    @property
    def checked(self) -> tuple[CalibrationPoint, ...]:
        """The measurements that no coefficient was fitted on."""
        return tuple(point for point in self.points if point.role == "checked")

    @property
    def fitted(self) -> tuple[CalibrationPoint, ...]:
        """The measurements that the coefficients were fitted on."""
        return tuple(point for point in self.points if point.role == "fitted")

    @property
    def errors(self) -> tuple[float, ...]:
        """The sizes of the relative errors of what was not fitted: the checked points, else those left out in turn."""
        return tuple(abs(point.relative_error) for point in self.checked) or self.left_out_errors

    @property
    def left_out_errors(self) -> tuple[float, ...]:
        """The sizes of the relative errors of the points that were left out in turn, as far as others tell of them."""
        signed = [point.left_out_error for point in self.points]
        return tuple(abs(error) for error in signed if error is not None)

    @property
    def median_error(self) -> float | None:
        """The median of :attr:`errors`; None if nothing tells."""
        return statistics.median(self.errors) if self.errors else None

    @property
    def largest_ratio(self) -> float | None:
        """How many times longer, or shorter, what counts in :attr:`errors` took than was predicted; at least 1."""
        checked = [point.predicted_seconds / point.measured_seconds for point in self.checked] or [
            1 + point.left_out_error for point in self.points if point.left_out_error is not None
        ]
        return max((max(ratio, 1 / ratio) for ratio in checked), default=None)

    @property
    def worst_error(self) -> float | None:
        """The largest of :attr:`errors`; None if nothing tells."""
        return max(self.errors, default=None)
