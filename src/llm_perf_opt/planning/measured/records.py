"""What was measured in public, and what of the model it is a measurement of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final, Literal, get_args

from attrs import field, frozen
from attrs.converters import optional

from llm_perf_opt.data import rules
from llm_perf_opt.data.rationals import Rational, amount, as_rational
from llm_perf_opt.data.serialization import read_record
from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.time.records import Role
from llm_perf_opt.planning.work import OperatorKind
from modelmeter.model.registry import DEFAULT

Quantity = Literal[
    "wall time", "device time", "time per launch", "latency", "weight bytes", "cache tokens", "not predicted"
]
"""What a measured number is: the time of calls, of kernels, of one kernel, of a request; memory; none of these."""

STEP: Final = "step"
"""The stage of a part that is one token of each sequence of a batch."""

_TO_SECONDS: Final = {"ms": 1e-3}

_VALUE = rules.FieldRule(
    expected="a finite number above 0",
    accepts=lambda value: type(value) is float and 0 < value < math.inf,
    schema={"type": "number", "exclusiveMinimum": 0, "description": "in the unit"},
)


@frozen(kw_only=True)
class Measurement:
    """A number that someone published, as they published it.

    Parameters
    ----------
    id, group
        Its name here, and what it is about.
    source, locator, date
        Where it is from, to the commit, the file or the table, and when.
    gpu, dtype, framework
        What ran.
    batch_or_concurrency, image_mode, prompt_tokens, output_tokens
        On what, as far as they say.
    measured_what, value, unit
        The number.
    reliability, derived, note
        How far it can be trusted, whether it was computed from others, and anything else.
    """

    id: str = field(validator=rules.IDENTIFIER)
    group: str = field(validator=rules.IDENTIFIER)
    source: str = field(validator=rules.IDENTIFIER)
    locator: str = field(validator=rules.IDENTIFIER)
    date: str = field(validator=rules.IDENTIFIER)
    gpu: str | None = field(default=None, validator=rules.or_none(rules.IDENTIFIER))
    dtype: str = field(validator=rules.IDENTIFIER)
    framework: str = field(validator=rules.IDENTIFIER)
    batch_or_concurrency: str | None = field(default=None, validator=rules.or_none(rules.IDENTIFIER))
    image_mode: str | None = field(default=None, validator=rules.or_none(rules.IDENTIFIER))
    prompt_tokens: str | None = field(default=None, validator=rules.or_none(rules.IDENTIFIER))
    output_tokens: str | None = field(default=None, validator=rules.or_none(rules.IDENTIFIER))
    measured_what: str = field(validator=rules.IDENTIFIER)
    value: float = field(converter=rules.as_float, validator=_VALUE)
    unit: str = field(validator=rules.IDENTIFIER)
    reliability: str = field(validator=rules.choice("high", "medium"))
    derived: bool = field(validator=rules.FLAG)
    note: str = field(default="", validator=rules.TEXT)

    @property
    def seconds(self) -> float:
        """The number in seconds.

        Raises
        ------
        RecordError
            If it is no time.
        """
        if self.unit not in _TO_SECONDS:
            raise RecordError("this is no time", place=self.id, expected=", ".join(_TO_SECONDS), found=self.unit)
        return self.value * _TO_SECONDS[self.unit]


@frozen(kw_only=True)
class WrittenWork:
    """Work that is written down, of a model that has no evaluators here.

    Parameters
    ----------
    kind
        What limits it.
    tensor_core_flops, io_bytes
        As of an operator; the arithmetic is in a comment beside it.
    launches
        How many kernels.
    """

    kind: OperatorKind = field(validator=rules.choice(*get_args(OperatorKind)))
    tensor_core_flops: int = field(validator=rules.whole_number())
    io_bytes: int = field(validator=rules.whole_number())
    launches: int = field(validator=rules.whole_number(1))


@frozen(kw_only=True)
class Part:
    """A call of a stage, or a step, that a measurement is made of.

    Parameters
    ----------
    stage
        A stage by its name, or ``step``.
    sizes
        As the evaluators take them; of a step ``batch_size`` and ``context_tokens``, those of all sequences together.
    modules
        Only the modules whose path fits this pattern.
    count
        How many such calls there are in what was measured; a fraction where others share one.
    written
        The work itself, in the place of evaluators.
    """

    stage: str = field(validator=rules.IDENTIFIER)
    sizes: Mapping[str, int] = field(
        factory=dict,
        validator=rules.FieldRule(
            expected="sizes by name",
            accepts=lambda value: isinstance(value, Mapping) and all(type(size) is int for size in value.values()),
            schema={"type": "object", "additionalProperties": {"type": "integer"}},
        ),
    )
    modules: str = field(default="*", validator=rules.IDENTIFIER)
    count: Rational = field(default=1, converter=as_rational, validator=amount())
    written: tuple[WrittenWork, ...] = field(
        default=(), converter=rules.as_tuple, validator=rules.sequence(rules.record(WrittenWork))
    )


@frozen(kw_only=True)
class Condition:
    """What a measurement is a measurement of, in the words of this program.

    Parameters
    ----------
    measurement_id
        Which one.
    quantity
        What the number is.
    reading
        What was read into it, or why it is not predicted.
    calibration, role
        The shipped calibration that it belongs to, and whether that is fitted on it.
    weight
        How much it counts in the fit.
    model, card
        The registered model and the card.
    dtype
        What was computed in.
    parts
        The calls that it is made of.
    requests
        How many requests it has of whose way through the server it is a part.
    tensor_parallel
        Of bytes of weights: how many cards share the model; the bytes are those of the first one.
    utilisation
        Of cache tokens: the part of the visible memory that the engine takes.
    failure
        Why the prediction is far off, where it is.
    """

    measurement_id: str = field(validator=rules.IDENTIFIER)
    quantity: Quantity = field(validator=rules.choice(*get_args(Quantity)))
    reading: str = field(validator=rules.IDENTIFIER)
    calibration: str | None = field(default=None, validator=rules.or_none(rules.IDENTIFIER))
    role: Role | None = field(default=None, validator=rules.or_none(rules.choice(*get_args(Role))))
    weight: float = field(default=1.0, converter=rules.as_float, validator=_VALUE)
    model: str = field(default=DEFAULT, validator=rules.IDENTIFIER)
    card: str | None = field(default=None, validator=rules.or_none(rules.IDENTIFIER))
    dtype: str = field(default="bfloat16", validator=rules.IDENTIFIER)
    parts: tuple[Part, ...] = field(default=(), converter=rules.as_tuple, validator=rules.sequence(rules.record(Part)))
    requests: int = field(default=0, validator=rules.whole_number())
    tensor_parallel: int = field(default=1, validator=rules.whole_number(1))
    utilisation: float | None = field(
        default=None, converter=optional(rules.as_float), validator=rules.or_none(rules.SHARE)
    )
    failure: str = field(default="", validator=rules.TEXT)

    @property
    def is_time(self) -> bool:
        """Whether it is a time that coefficients predict."""
        return self.calibration is not None


@frozen(kw_only=True)
class PublicMeasurements:
    """The measurements of a file."""

    measurements: tuple[Measurement, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(Measurement), key="id")
    )


@frozen(kw_only=True)
class Conditions:
    """The conditions of a file."""

    conditions: tuple[Condition, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(Condition), key="measurement_id")
    )


@cache
def read_measurements() -> Mapping[str, Measurement]:
    """Return the shipped public measurements by id."""
    with resources.as_file(resources.files(__package__) / "measurements.yaml") as path:
        return {each.id: each for each in read_record(path, PublicMeasurements).measurements}


@cache
def read_conditions() -> tuple[Condition, ...]:
    """Return what each of them is a measurement of, in their order.

    Raises
    ------
    RecordError
        If a measurement has no condition, or a condition no measurement.
    """
    with resources.as_file(resources.files(__package__) / "conditions.yaml") as path:
        found = read_record(path, Conditions).conditions
    expected, named = [*read_measurements()], [each.measurement_id for each in found]
    if expected != named:
        raise RecordError(
            "the conditions are not those of the measurements, one each and in their order", place="conditions.yaml",
            expected=", ".join(sorted({*expected} - {*named})) or "their order",
            found=", ".join(sorted({*named} - {*expected})) or "another order",
        )  # fmt: skip
    return found
