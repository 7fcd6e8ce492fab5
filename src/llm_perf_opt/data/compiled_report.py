"""The report of a request to a compiled model: any model whose evaluators are in a folder of their own."""

from __future__ import annotations

from typing import ClassVar

from attrs import converters, field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.data.modules import AnalyticModuleNode, ModuleMetricsSnapshot, check_module_tree
from llm_perf_opt.data.prediction import Prediction
from llm_perf_opt.data.report import check_metrics, check_ratio
from llm_perf_opt.data.target_operators import OperatorCategory


@frozen(kw_only=True)
class CompiledModelSpec:
    """The compiled model that a report is about.

    Parameters
    ----------
    model_id
        Its name in the registry.
    qualified_class_name
        The class of its outermost module, with the package.
    evaluators
        The digest of its evaluators, which tells apart models that were compiled under one name.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    model_id: str = field(validator=rules.IDENTIFIER)
    qualified_class_name: str = field(validator=rules.IDENTIFIER)
    evaluators: str = field(validator=rules.IDENTIFIER)


@frozen(kw_only=True)
class CompiledWorkload:
    """The request: its sizes are those of the prediction.

    Parameters
    ----------
    profile_id
        What snapshots call it.
    description
        What it is, in a sentence.
    page_width, page_height
        Sides of the page in pixels which sizes follow from, both or neither.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    profile_id: str = field(validator=rules.IDENTIFIER)
    description: str = field(validator=rules.TEXT)
    page_width: int | None = field(default=None, validator=rules.or_none(rules.whole_number(1)))
    page_height: int | None = field(default=None, validator=rules.or_none(rules.whole_number(1)))


@frozen(kw_only=True)
class CompiledModelReport:
    """What a request to a compiled model costs, module by module.

    Files that hold it begin with the key ``schema_version``, which is :attr:`SCHEMA_VERSION`.

    Parameters
    ----------
    report_id
        The name of the report.
    model, workload
        What it is about.
    modules
        The modules, in any order; they are one tree.
    operator_categories
        The kinds of operators that the snapshots tell apart.
    module_metrics
        What the modules cost, at most one snapshot each.
    profile_run_id
        The run whose measurement the report is compared with, if any.
    predicted_total_time_ms, measured_total_time_ms
        Time of the whole request in milliseconds, predicted and, if known, measured.
    predicted_vs_measured_ratio
        The first by the second; given exactly where the second is.
    notes
        Anything else, for people.
    layer_docs_dir
        Absolute path of the folder with a page per module, if there is one and the path is asked for.
    prediction
        What the predicted times are made of, with exact integers.

    Raises
    ------
    RecordError
        If a field breaks its rule, an id is not unique or names nothing, the modules are not one tree, or the
        ratio is not that of the two times.
    """

    SCHEMA_VERSION: ClassVar[int] = 1

    report_id: str = field(validator=rules.IDENTIFIER)
    model: CompiledModelSpec = field(validator=rules.record(CompiledModelSpec))
    workload: CompiledWorkload = field(validator=rules.record(CompiledWorkload))
    modules: tuple[AnalyticModuleNode, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(AnalyticModuleNode), key="module_id")
    )
    operator_categories: tuple[OperatorCategory, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(OperatorCategory), key="category_id")
    )
    module_metrics: tuple[ModuleMetricsSnapshot, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(ModuleMetricsSnapshot), key="module_id")
    )
    profile_run_id: str | None = field(default=None, validator=rules.or_none(rules.IDENTIFIER))
    predicted_total_time_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)
    measured_total_time_ms: float | None = field(
        default=None,
        converter=converters.optional(rules.as_float),
        validator=rules.or_none(rules.MEASURED_MILLISECONDS),
    )
    predicted_vs_measured_ratio: float | None = field(
        default=None, converter=converters.optional(rules.as_float), validator=rules.or_none(rules.RATIO)
    )
    notes: str = field(default="", validator=rules.TEXT)
    layer_docs_dir: str | None = field(default=None, validator=rules.or_none(rules.ABSOLUTE_PATH))
    prediction: Prediction = field(validator=rules.record(Prediction))

    def __attrs_post_init__(self) -> None:
        check_module_tree(self.modules)
        check_metrics(
            self.modules, self.operator_categories, self.module_metrics, self.prediction, self.workload.profile_id
        )
        check_ratio(self.predicted_total_time_ms, self.measured_total_time_ms, self.predicted_vs_measured_ratio)
