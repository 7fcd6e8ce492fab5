"""The request for an analytic report, and its summary, as other programs exchange them with ours.

:mod:`llm_perf_opt.data.serialization` turns both into plain data, JSON and YAML, and back.
"""

from __future__ import annotations

from typing import get_args

from attrs import converters, field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.data.model_report import check_ratio
from llm_perf_opt.data.modules import COUNT, Stage, check_twin


@frozen(kw_only=True)
class DeepSeekOCRAnalyticRequest:
    """A request for the analytic report of a model under a workload.

    Parameters
    ----------
    model_id, model_variant
        The name of the published model, and ours for the variant of it.
    workload_profile_id
        The workload profile, by its id.
    profile_run_id
        The run to compare with, if any.
    force_rebuild
        Whether a report that exists already is made anew.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    model_id: str = field(validator=rules.IDENTIFIER)
    model_variant: str = field(validator=rules.IDENTIFIER)
    workload_profile_id: str = field(validator=rules.IDENTIFIER)
    profile_run_id: str | None = field(default=None, validator=rules.or_none(rules.IDENTIFIER))
    force_rebuild: bool = field(default=False, validator=rules.FLAG)


@frozen(kw_only=True)
class AnalyticModuleSummary:
    """One module in the summary of a report.

    Parameters
    ----------
    module_id, name
        The module's id in the report, and what people call it.
    stage
        The part of the work that it belongs to.
    share_of_model_time
        Its part of the model's time, from 0 to 1.
    total_time_ms
        Its predicted time in milliseconds.
    total_flops_tflops
        Its FLOPs, in units of 10^12; one multiply-accumulate is two.
    memory_activations_gb
        Memory for its operators' outputs, in units of 2^30 bytes.
    flops, io_bytes, activation_bytes
        Its FLOPs, what it reads and writes, and the same memory: exact counts, bytes rounded up. None where the report
        lacks them.

    Raises
    ------
    RecordError
        If a field breaks its rule, or two that say the same disagree.
    """

    module_id: str = field(validator=rules.IDENTIFIER)
    name: str = field(validator=rules.IDENTIFIER)
    stage: Stage = field(validator=rules.choice(*get_args(Stage)))
    share_of_model_time: float = field(converter=rules.as_float, validator=rules.SHARE)
    total_time_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)
    total_flops_tflops: float = field(converter=rules.as_float, validator=rules.TFLOPS)
    memory_activations_gb: float = field(converter=rules.as_float, validator=rules.GIBIBYTES)
    flops: int | None = field(default=None, validator=COUNT)
    io_bytes: int | None = field(default=None, validator=COUNT)
    activation_bytes: int | None = field(default=None, validator=COUNT)

    def __attrs_post_init__(self) -> None:
        check_twin("flops", self.flops, "total_flops_tflops", self.total_flops_tflops, unit=10**12)
        check_twin(
            "activation_bytes", self.activation_bytes, "memory_activations_gb", self.memory_activations_gb, unit=2**30
        )


@frozen(kw_only=True)
class DeepSeekOCRAnalyticReportSummary:
    """What a report says, for readers in a hurry.

    Parameters
    ----------
    report_id, model_variant, workload_profile_id
        The report, and what it is about.
    predicted_total_time_ms, measured_total_time_ms
        Time of the whole workload in milliseconds, predicted and, if known, measured.
    predicted_vs_measured_ratio
        The first by the second; given exactly where the second is.
    top_modules
        The modules that take the most time, the slowest first.
    notes
        Anything else, for people.

    Raises
    ------
    RecordError
        If a field breaks its rule, a module appears twice, or the ratio is not that of the two times.
    """

    report_id: str = field(validator=rules.IDENTIFIER)
    model_variant: str = field(validator=rules.IDENTIFIER)
    workload_profile_id: str = field(validator=rules.IDENTIFIER)
    predicted_total_time_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)
    measured_total_time_ms: float | None = field(
        default=None,
        converter=converters.optional(rules.as_float),
        validator=rules.or_none(rules.MEASURED_MILLISECONDS),
    )
    predicted_vs_measured_ratio: float | None = field(
        default=None, converter=converters.optional(rules.as_float), validator=rules.or_none(rules.RATIO)
    )
    top_modules: tuple[AnalyticModuleSummary, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(AnalyticModuleSummary), key="module_id")
    )
    notes: str = field(default="", validator=rules.TEXT)

    def __attrs_post_init__(self) -> None:
        check_ratio(self.predicted_total_time_ms, self.measured_total_time_ms, self.predicted_vs_measured_ratio)
