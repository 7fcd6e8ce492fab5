"""How a report's times come about: the hardware, what the evaluators were given, and the exact work of every operator.

Everything that a time depends on is here, so a reader of the report can compute the times of other hardware.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from attrs import field, frozen
from attrs.converters import optional

from llm_perf_opt.data import rules
from llm_perf_opt.data.hardware import (
    DTYPE_BITS,
    PRECISION,
    Float32MatmulPrecision,
    HardwareSpec,
    MemoryReserve,
)
from llm_perf_opt.data.rationals import Rational, amount, as_rational
from llm_perf_opt.errors import RecordError

RunStage = Literal["vision", "projector", "prefill", "decode"]
CostedStage = Literal[RunStage, "request"]
Limit = Literal["tensor_cores", "cuda_cores", "memory"]

EFFICIENCY = rules.FieldRule(
    expected="a number above 0, at most 1",
    accepts=lambda value: type(value) is float and 0 < value <= 1,
    schema={"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "part of the peak rates"},
)


@frozen(kw_only=True)
class OperatorCost:
    """All calls of one operator of one module in one stage; a module never counts what is inside another.

    Parameters
    ----------
    stage, module_id
        Where.
    operator, category_id
        The operator as PyTorch dispatches it, by its ATen name, and its category.
    calls
        How often it runs, over all siblings that the module stands for and all decode steps.
    tensor_core_flops, cuda_core_flops
        FLOPs of matrix products, and of all other arithmetic.
    io_bits, activation_bits
        What it reads and writes in bits, and what stays of that as its output; in decode, of the last step. Fractions
        only where an element has a fraction of a bit.
    time_ms
        Predicted time of all calls, in milliseconds.
    bound_by
        What the time is made of, for the most part.
    """

    stage: RunStage = field(validator=rules.choice(*get_args(RunStage)))
    module_id: str = field(validator=rules.IDENTIFIER)
    operator: str = field(validator=rules.IDENTIFIER)
    category_id: str = field(validator=rules.IDENTIFIER)
    calls: int = field(validator=rules.whole_number(1))
    tensor_core_flops: int = field(validator=rules.whole_number())
    cuda_core_flops: int = field(validator=rules.whole_number())
    io_bits: Rational = field(converter=as_rational, validator=amount())
    activation_bits: Rational = field(converter=as_rational, validator=amount())
    time_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)
    bound_by: Limit = field(validator=rules.choice(*get_args(Limit)))


@frozen(kw_only=True)
class ActivationMemory:
    """What the activations of a request take if other positions get logits.

    Parameters
    ----------
    logits_tokens
        Positions of each prompt that get logits.
    activation_bytes, peak_activation_bytes
        As of the request.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    logits_tokens: int = field(validator=rules.whole_number(1))
    activation_bytes: int = field(validator=rules.whole_number())
    peak_activation_bytes: int = field(validator=rules.whole_number())


@frozen(kw_only=True)
class StageCost:
    """The exact cost of a stage, or of the whole request, as the evaluators return it, and its predicted time.

    Parameters
    ----------
    stage
        A stage, or ``request`` for all of them in turn.
    tensor_core_flops, cuda_core_flops, io_bytes
        Flows: those of the stages add up to the request's.
    weight_bytes, activation_bytes, kv_cache_bytes
        States: the parameters once, the outputs of one forward, the cache at the end of the stage.
    peak_activation_bytes
        The most bytes of activations that are alive at once, each freed after its last use.
    time_ms
        Predicted time in milliseconds.
    share_of_model_time
        The stage's part of the request's time, from 0 to 1.
    """

    stage: CostedStage = field(validator=rules.choice(*get_args(CostedStage)))
    tensor_core_flops: int = field(validator=rules.whole_number())
    cuda_core_flops: int = field(validator=rules.whole_number())
    io_bytes: int = field(validator=rules.whole_number())
    weight_bytes: int = field(validator=rules.whole_number())
    activation_bytes: int = field(validator=rules.whole_number())
    kv_cache_bytes: int = field(validator=rules.whole_number())
    peak_activation_bytes: int = field(validator=rules.whole_number())
    time_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)
    share_of_model_time: float = field(converter=rules.as_float, validator=rules.SHARE)


@frozen(kw_only=True)
class StageEstimate:
    """How long a stage takes with an engine, and at least.

    Parameters
    ----------
    stage
        A stage, or ``request`` for all of them in turn.
    time_ms
        As estimated, in milliseconds.
    bound_ms
        The roofline at peak rates with the traffic of the engine, in milliseconds.
    host_ms
        What the host takes before to decode, cut and resize pages; it is not in ``time_ms``.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    stage: CostedStage = field(validator=rules.choice(*get_args(CostedStage)))
    time_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)
    bound_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)
    host_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)


@frozen(kw_only=True)
class EngineEstimate:
    """What a calibration makes of the exact work: estimates, with their bounds and their error.

    Parameters
    ----------
    calibration, engine
        The name of the calibration, and how its engine starts kernels.
    traffic
        The bytes of its bounds: ``eager`` of every operator alone, ``fused`` where all are fused that can be.
    relative_error
        The largest relative error of the calibration on measurements that it was not fitted on; None where none tells.
    description
        Which calibration this is, why it was taken, and how far it can be trusted: a sentence.
    stages
        The stages, and the request.

    Raises
    ------
    RecordError
        If a field breaks its rule, or a stage appears twice.
    """

    calibration: str = field(validator=rules.IDENTIFIER)
    engine: str = field(validator=rules.IDENTIFIER)
    traffic: Literal["eager", "fused"] = field(validator=rules.choice("eager", "fused"))
    relative_error: float | None = field(
        converter=optional(rules.as_float), validator=rules.or_none(rules.number("part of the measured time"))
    )
    description: str = field(validator=rules.IDENTIFIER)
    stages: tuple[StageEstimate, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(StageEstimate), key="stage")
    )

    @property
    def is_fused(self) -> bool:
        """Whether the bounds have the bytes of fused operators, unlike the times of a report."""
        return self.traffic == "fused"

    def stage(self, name: CostedStage) -> StageEstimate:
        """Return the estimate of a stage.

        Raises
        ------
        KeyError
            If there is none.
        """
        return {stage.stage: stage for stage in self.stages}[name]


def _as_sizes(sizes: Mapping[str, Rational]) -> Mapping[str, Rational]:
    """Return a copy with the fractions that texts mean; the rule of the field refuses what is no mapping."""
    return {name: as_rational(size) for name, size in sizes.items()} if isinstance(sizes, Mapping) else sizes


@frozen(kw_only=True)
class Prediction:
    """What the predicted times are made of.

    The time of an operator is the longer of two: that of its arithmetic (tensor-core FLOPs by their peak plus
    other FLOPs by theirs) and that of its bytes (by the bandwidth); both by the efficiency.

    Parameters
    ----------
    hardware
        The card.
    dtype
        The type that matrices are multiplied in, whose peak counts. What weights, activations and the cache are stored
        in is in ``sizes``: ``weight_bits``, ``activation_bits`` and ``kv_bits``.
    efficiency
        The part of all peak rates that is reached.
    sizes
        What the evaluators were given, by dimension.
    stages
        The stages and the request.
    operators
        The work of every operator: of each stage, exactly what the evaluators return for it.
    float32_matmul_precision
        Of float32 only: ``highest`` as it is, ``high`` rounded to TF32.
    reserve
        What of the card's memory is not for the model; None in reports of earlier versions, which knew none.
    last_logits
        The request's activations if only the last position of each prompt gets logits, as in serving engines; None in
        reports of earlier versions.
    estimate
        The times with an engine, where one was asked for; those of stages and operators are rooflines.

    Raises
    ------
    RecordError
        If a field breaks its rule, a stage appears twice, or the operators of a stage do not add up to it.
    """

    hardware: HardwareSpec = field(validator=rules.record(HardwareSpec))
    dtype: str = field(validator=rules.choice(*DTYPE_BITS))
    efficiency: float = field(converter=rules.as_float, validator=EFFICIENCY)
    sizes: Mapping[str, Rational] = field(converter=_as_sizes, validator=rules.mapping_of(rules.IDENTIFIER, amount()))
    stages: tuple[StageCost, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(StageCost), key="stage")
    )
    operators: tuple[OperatorCost, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(OperatorCost))
    )
    float32_matmul_precision: Float32MatmulPrecision = field(default="highest", validator=PRECISION)
    reserve: MemoryReserve | None = field(default=None, validator=rules.or_none(rules.record(MemoryReserve)))
    last_logits: ActivationMemory | None = field(default=None, validator=rules.or_none(rules.record(ActivationMemory)))
    estimate: EngineEstimate | None = field(default=None, validator=rules.or_none(rules.record(EngineEstimate)))

    def __attrs_post_init__(self) -> None:
        self.hardware.matrix_peak(self.dtype, self.float32_matmul_precision)
        for index, stage in enumerate(self.stages):
            everything = stage.stage == "request"
            rows = [row for row in self.operators if everything or row.stage == stage.stage]
            _check_sums(stage, rows, f"stages[{index}]")

    def stage(self, name: CostedStage) -> StageCost:
        """Return the cost of a stage.

        Raises
        ------
        KeyError
            If the report lacks it.
        """
        return {stage.stage: stage for stage in self.stages}[name]


def _check_sums(stage: StageCost, rows: Sequence[OperatorCost], place: str) -> None:
    """Refuse a stage whose flows are not those of its operators."""
    sums = {
        "tensor_core_flops": sum(row.tensor_core_flops for row in rows),
        "cuda_core_flops": sum(row.cuda_core_flops for row in rows),
        "io_bytes": -(-sum(row.io_bits for row in rows) // 8),
    }
    for name, total in sums.items():
        if getattr(stage, name) != total:
            raise RecordError(
                "the operators do not add up to the stage",
                place=f"{place}.{name}",
                expected=total,
                found=getattr(stage, name),
            )
