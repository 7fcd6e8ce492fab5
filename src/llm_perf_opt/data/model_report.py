"""What reports of all kinds have: modules of one tree, what each costs, and the time of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from attrs import Attribute, converters, field, fields, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.data.modules import AnalyticModuleNode, ModuleMetricsSnapshot, check_module_tree
from llm_perf_opt.data.prediction import Prediction
from llm_perf_opt.data.target_operators import OperatorCategory
from llm_perf_opt.errors import RecordError


@frozen(kw_only=True)
class ModelReport:
    """What a model costs under a workload, module by module; each kind says what both are.

    Files that hold it begin with the key ``schema_version``, which is ``SCHEMA_VERSION`` of its kind.

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
        Time of the whole workload in milliseconds, predicted and, if known, measured.
    predicted_vs_measured_ratio
        The first by the second; given exactly where the second is.
    notes
        Anything else, for people.
    layer_docs_dir
        Absolute path of the folder with a page per module, if there is one and the path is asked for.
    prediction
        What the predicted times are made of, with exact integers, if the report says so.

    Raises
    ------
    RecordError
        If a field breaks its rule, an id is not unique or names nothing, the modules are not one tree, or the
        ratio is not that of the two times.
    """

    report_id: str = field(validator=rules.IDENTIFIER)
    model: Any
    workload: Any
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
    prediction: Prediction | None

    def __attrs_post_init__(self) -> None:
        check_module_tree(self.modules)
        check_metrics(
            self.modules, self.operator_categories, self.module_metrics, self.prediction, self.workload.profile_id
        )
        check_ratio(self.predicted_total_time_ms, self.measured_total_time_ms, self.predicted_vs_measured_ratio)


def keep_order(_: type[Any], kind: list[Attribute[Any]]) -> list[Attribute[Any]]:
    """Return the fields of a kind of report in the order of all reports, whichever of them it says anew."""
    order = [each.name for each in fields(ModelReport)]
    return sorted(kind, key=lambda each: order.index(each.name))


def check_metrics(
    modules: Sequence[AnalyticModuleNode],
    categories: Sequence[OperatorCategory],
    metrics: Sequence[ModuleMetricsSnapshot],
    prediction: Prediction | None,
    profile_id: str,
) -> None:
    """Check that snapshots and operators are of modules, categories and a workload that a report has.

    Raises
    ------
    RecordError
        At the first id that names nothing.
    """
    module_ids = {node.module_id for node in modules}
    category_ids = {category.category_id for category in categories}
    for index, snapshot in enumerate(metrics):
        here = f"module_metrics[{index}]"
        if snapshot.module_id not in module_ids:
            raise RecordError("no module has this id", place=f"{here}.module_id", found=snapshot.module_id)
        if snapshot.profile_id != profile_id:
            raise RecordError(
                "not the workload of the report",
                place=f"{here}.profile_id",
                expected=profile_id,
                found=snapshot.profile_id,
            )
        for position, operators in enumerate(snapshot.operator_breakdown):
            if operators.category_id not in category_ids:
                raise RecordError(
                    "no operator category has this id",
                    place=f"{here}.operator_breakdown[{position}].category_id",
                    found=operators.category_id,
                )
    for index, row in enumerate(prediction.operators if prediction else ()):
        here = f"prediction.operators[{index}]"
        if row.module_id not in module_ids:
            raise RecordError("no module has this id", place=f"{here}.module_id", found=row.module_id)
        if row.category_id not in category_ids:
            raise RecordError("no operator category has this id", place=f"{here}.category_id", found=row.category_id)


def check_ratio(predicted: float, measured: float | None, ratio: float | None) -> None:
    """Check that ``ratio`` is given where a measured time is, and is the predicted time by the measured one.

    Raises
    ------
    RecordError
        At ``predicted_vs_measured_ratio``.
    """
    expected = None if measured is None else predicted / measured
    # Other programs may divide in another order, which moves the last bits.
    agree = ratio is expected if ratio is None or expected is None else math.isclose(ratio, expected, rel_tol=1e-12)
    if not agree:
        raise RecordError(
            "not the predicted time by the measured time",
            place="predicted_vs_measured_ratio",
            expected="null" if expected is None else repr(expected),
            found="null" if ratio is None else repr(ratio),
        )
