"""The summary of the report of a compiled model, as other programs exchange it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import converters, field, frozen

from llm_perf_opt.contracts.analytic import AnalyticModuleSummary
from llm_perf_opt.data import rules
from llm_perf_opt.data.model_report import check_ratio
from llm_perf_opt.data.prediction import EngineEstimate, StageCost
from llm_perf_opt.data.rationals import Rational, amount


@frozen(kw_only=True)
class CategorySummary:
    """The operators of one category, in all modules and stages.

    Parameters
    ----------
    category_id
        The category, by its id in the report.
    time_ms, share_of_model_time
        Their predicted time in milliseconds, and their part of the request's, from 0 to 1.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    category_id: str = field(validator=rules.IDENTIFIER)
    time_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)
    share_of_model_time: float = field(converter=rules.as_float, validator=rules.SHARE)


@frozen(kw_only=True)
class CompiledModelReportSummary:
    """What the report of a compiled model says, for readers in a hurry.

    Parameters
    ----------
    report_id, model_id, hardware_id, dtype
        The report, and what it is about.
    sizes
        What the evaluators were given.
    predicted_total_time_ms, measured_total_time_ms, predicted_vs_measured_ratio
        Time of the whole request in milliseconds, predicted and, if known, measured; the first by the second.
    stages
        The exact cost of each stage and of the request, with its predicted time.
    categories
        The time by kind of operator, the slowest first.
    top_modules
        The modules that take the most time, the slowest first.
    estimate
        The times with an engine, where one was asked for.
    notes
        Anything else, for people.

    Raises
    ------
    RecordError
        If a field breaks its rule, something appears twice, or the ratio is not that of the two times.
    """

    report_id: str = field(validator=rules.IDENTIFIER)
    model_id: str = field(validator=rules.IDENTIFIER)
    hardware_id: str = field(validator=rules.IDENTIFIER)
    dtype: str = field(validator=rules.IDENTIFIER)
    sizes: Mapping[str, Rational] = field(validator=rules.mapping_of(rules.IDENTIFIER, amount()))
    predicted_total_time_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)
    measured_total_time_ms: float | None = field(
        default=None,
        converter=converters.optional(rules.as_float),
        validator=rules.or_none(rules.MEASURED_MILLISECONDS),
    )
    predicted_vs_measured_ratio: float | None = field(
        default=None, converter=converters.optional(rules.as_float), validator=rules.or_none(rules.RATIO)
    )
    stages: tuple[StageCost, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(StageCost), key="stage")
    )
    categories: tuple[CategorySummary, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(CategorySummary), key="category_id")
    )
    top_modules: tuple[AnalyticModuleSummary, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(AnalyticModuleSummary), key="module_id")
    )
    estimate: EngineEstimate | None = field(default=None, validator=rules.or_none(rules.record(EngineEstimate)))
    notes: str = field(default="", validator=rules.TEXT)

    def __attrs_post_init__(self) -> None:
        check_ratio(self.predicted_total_time_ms, self.measured_total_time_ms, self.predicted_vs_measured_ratio)
