"""The files of a report: the record as JSON and YAML, a summary, and a page for each module."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Final

from attrs import frozen
from jinja2 import Environment

from llm_perf_opt.data import AnalyticModuleNode, OperatorCost, Prediction
from llm_perf_opt.data.hardware import Unit
from llm_perf_opt.data.serialization import to_json, to_yaml
from llm_perf_opt.reporting.work import total_time
from llm_perf_opt.terminal import format_integer, format_quantity
from llm_perf_opt.visualize import report_tables as tables
from llm_perf_opt.visualize.environment import make_environment
from llm_perf_opt.visualize.report_subject import Report, describe_subject, read_prediction

TOP_MODULES: Final = 10


def render_files(report: Report, conventions: Sequence[str]) -> dict[str, str]:
    """Return every file of a report by its path in the report's folder.

    Parameters
    ----------
    report
        A report with a prediction.
    conventions
        What is counted and how, as lines of text.
    """
    own = tables.own_operators(report)
    pages = _Pages(report=report, prediction=read_prediction(report), own=own, inside=_add_up(report, own))
    return {
        "report.json": to_json(report),
        "report.yaml": to_yaml(report),
        "summary.md": pages.render_summary(conventions),
        **{f"layers/{page_name(node.module_id)}": pages.render_module(node) for node in report.modules},
    }


def page_name(module_id: str) -> str:
    """Return the file name of a module's page."""
    return f"{module_id}.md"


def _add_up(report: Report, own: Mapping[str, Sequence[OperatorCost]]) -> dict[str, list[OperatorCost]]:
    """Return the operators of each module and of everything in it."""
    rows = {identity: list(operators) for identity, operators in own.items()}
    for node in reversed(report.modules):  # a parent comes before its children
        if node.parent_id is not None:
            rows[node.parent_id] += rows[node.module_id]
    return rows


@frozen(kw_only=True)
class _Pages:
    """The pages of one report, with the operators of each module: its own, and those of everything in it."""

    report: Report
    prediction: Prediction
    own: Mapping[str, Sequence[OperatorCost]]
    inside: Mapping[str, Sequence[OperatorCost]]

    @property
    def total(self) -> float:
        return self.report.predicted_total_time_ms

    @property
    def category_names(self) -> Mapping[str, str]:
        return {category.category_id: category.display_name for category in self.report.operator_categories}

    def render_summary(self, conventions: Sequence[str]) -> str:
        """Return the summary of the report."""
        report, subject = self.report, describe_subject(self.report)
        peak, unit = self.prediction.hardware.matrix_peak(
            self.prediction.dtype, self.prediction.float32_matmul_precision
        )
        return _render(
            "summary.md.jinja",
            report=report,
            workload=report.workload,
            prediction=self.prediction,
            hardware=self.prediction.hardware,
            subject=subject,
            stages=tables.stage_table(self.prediction).to_markdown(),
            estimates=self._render_estimates(),
            top=tables.top_table(
                report, TOP_MODULES, link=lambda identity: f"[{identity}](layers/{page_name(identity)})"
            ).to_markdown(),
            categories=tables.category_table(
                self.prediction.operators, self.category_names, self.total
            ).to_markdown(),
            memory=tables.memory_table(subject.needs).to_markdown(),
            matrix_peak=peak,
            matrix_type=_name_matrix_type(self.prediction, unit),
            exact=tables.exact_table(self.prediction).to_markdown(),
            conventions=conventions,
            nodes=list(self._list_nodes()),
        )  # fmt: skip

    def _render_estimates(self) -> str:
        estimate = self.prediction.estimate
        return "" if estimate is None else tables.estimate_table(estimate).to_markdown()

    def render_module(self, node: AnalyticModuleNode) -> str:
        """Return the page of one module."""
        by_id = {other.module_id: other for other in self.report.modules}
        above = list(_climb(node, by_id))
        own, inside = self.own[node.module_id], self.inside[node.module_id]
        return _render(
            "module.md.jinja",
            node=node,
            way=[*(_link(holder) for holder in reversed(above)), node.name],
            copies=math.prod(holder.repetition_count for holder in above),
            snapshot=next((each for each in self.report.module_metrics if each.module_id == node.module_id), None),
            own=tables.operator_table(own, self.category_names, self.total).to_markdown() if own else "",
            time=total_time(inside),
            share=self._share(node),
            inside=tables.category_table(inside, self.category_names, self.total).to_markdown() if inside else "",
            children=[
                {"link": _link(child), "class_name": child.class_name, "share": self._share(child)}
                for child in (by_id[identity] for identity in node.children)
            ],
        )  # fmt: skip

    def _list_nodes(self) -> Iterator[dict[str, Any]]:
        depths: dict[str | None, int] = {None: -1}
        for node in self.report.modules:
            depths[node.module_id] = depths[node.parent_id] + 1
            yield {
                "depth": depths[node.module_id],
                "name": node.name,
                "page": f"layers/{page_name(node.module_id)}",
                "class_name": node.class_name,
                "times": node.repetition_count,
                "share": self._share(node),
            }

    def _share(self, node: AnalyticModuleNode) -> float:
        return total_time(self.inside[node.module_id]) / self.total


def _climb(node: AnalyticModuleNode, by_id: Mapping[str, AnalyticModuleNode]) -> Iterator[AnalyticModuleNode]:
    """Yield what holds a module, from the inside out."""
    while node.parent_id is not None:
        node = by_id[node.parent_id]
        yield node


def _name_matrix_type(prediction: Prediction, unit: Unit) -> str:
    """Return what matrices are multiplied in, as a sentence says it."""
    if unit == "cuda_cores":
        return f"{prediction.dtype}, whose matrices are multiplied outside the tensor cores,"
    is_rounded = prediction.dtype == "float32" and prediction.float32_matmul_precision == "high"
    return "float32 rounded to TF32" if is_rounded else prediction.dtype


def _link(node: AnalyticModuleNode) -> str:
    return f"[{node.name}]({page_name(node.module_id)})"


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(values)


def _format_rate(per_second: float) -> str:
    """Return every digit of a rate, in powers of a thousand: ``989.4e12``."""
    return Decimal(str(per_second)).normalize().to_eng_string().replace("E+", "e")


@cache
def _environment() -> Environment:
    return make_environment(
        time=tables.format_time,
        share=tables.format_share,
        quantity=lambda count, unit: f"{format_quantity(count, unit)} ({format_integer(count)})",
        memory=tables.format_memory,
        rate=_format_rate,
        bits=tables.format_bits,
    )
