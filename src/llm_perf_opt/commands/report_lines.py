"""What ``modelmeter report`` prints: times, what binds them, and what fits."""

from __future__ import annotations

from collections.abc import Sequence

from llm_perf_opt.analytic_run import AnalyticRun
from llm_perf_opt.data import Prediction
from llm_perf_opt.data.compiled_report import CompiledModelReport
from llm_perf_opt.lengths import list_length_notes
from llm_perf_opt.reporting.largest_batch import largest_batch
from llm_perf_opt.reporting.memory import MemoryNeed
from llm_perf_opt.terminal import open_table_console, print_lines
from llm_perf_opt.visualize import report_tables
from llm_perf_opt.visualize.report_subject import Report, Subject, describe_subject, read_prediction
from modelmeter.model.registry import DEFAULT

TOP_MODULES = 6


def print_run(run: AnalyticRun) -> None:
    """Print the lines of a report, and where its files are."""
    report, prediction, subject = run.report, read_prediction(run.report), describe_subject(run.report)
    is_compiled = isinstance(report, CompiledModelReport)
    words = report.workload.description
    name = f"{subject.model}, {words[:1].lower()}{words[1:]}," if is_compiled else subject.name
    together = f", {subject.count} {subject.items}," if subject.count > 1 and not is_compiled else ""
    print_lines(
        f"{name}{together} on {prediction.hardware.name}: {_describe_time(report, prediction, subject)} "
        f"({report_tables.describe_types(prediction)}, efficiency {prediction.efficiency:g})"
        f"{'' if subject.needs[0].fits else '; it does not fit into the memory'}\n"
    )
    estimate = prediction.estimate
    if estimate is not None:
        open_table_console().print(report_tables.estimate_table(estimate).to_rich(), sep="\n")
        above = "; the bounds above are lower, with all fused that can be" if estimate.is_fused else ""
        print_lines(f"with {estimate.description}\n")
        if subject.host_note:
            print_lines(f"{subject.host_note}\n")
        print_lines(f"The roofline at peak rates, with no operators fused{above}:\n")
    stages = report_tables.stage_table(prediction).select("stage", "time (ms)", "share", "moved", "limit")
    # The paths of modules are long: with one more column they would be folded in a terminal.
    top = report_tables.top_table(report, TOP_MODULES).select("module", "time (ms)", "share")
    open_table_console().print(stages.to_rich(), "", top.to_rich(), sep="\n")
    _print_memory(subject.needs, _describe_calls(report))
    model = subject.model if is_compiled else DEFAULT
    print_lines(f"most {subject.items} that fit at once: {_describe_batches(prediction, subject.needs, model)}")
    if is_compiled:
        for note in list_length_notes(prediction.sizes, subject.model):
            print_lines(note)
    print_lines(f"{'wrote' if run.is_new else 'unchanged'}: {run.folder}")


def _describe_time(report: Report, prediction: Prediction, subject: Subject) -> str:
    """Return the time of the request. The estimate leads where there is one, with its bound beside it."""
    predicted, estimate = report.predicted_total_time_ms, prediction.estimate
    total = f"{report_tables.format_time(predicted)} ms"
    if estimate is not None:
        request = estimate.stage("request")
        total = (
            f"{report_tables.format_time(request.time_ms)} ms estimated with {estimate.calibration}, at least "
            f"{report_tables.format_time(request.bound_ms)} ms by the roofline "
            f"{'with operators fused' if estimate.is_fused else 'with no operators fused'}"
        )
        predicted = request.time_ms
    if subject.count == 1:
        return total
    return f"{total}, {report_tables.format_time(predicted / subject.count)} ms a {subject.item}"


def _describe_calls(report: Report) -> str:
    if isinstance(report, CompiledModelReport):
        return ""
    calls = report.workload.vision_batch_size
    return f", {calls} page{'s' if calls > 1 else ''} in a call of the vision towers"


def _print_memory(needs: Sequence[MemoryNeed], calls: str) -> None:
    gib, show, card = report_tables.format_gibibytes, report_tables.format_memory, needs[0]
    print_lines(
        f"\nmemory: {gib(card.usable_bytes)} GiB usable ({gib(card.memory_bytes)} less a reserve of "
        f"{gib(card.reserve.reserve_bytes)}){calls}"
    )
    for need in needs:
        headroom = f"with {show(need.headroom_bytes)} of headroom"
        print_lines(
            f"{need.words}: {show(need.total_bytes)} at the peak, {need.verdict}, "
            f"{headroom if need.fits else f'{show(-need.headroom_bytes)} short'}"
        )


def _describe_batches(prediction: Prediction, needs: Sequence[MemoryNeed], model: str) -> str:
    sizes = prediction.sizes
    found = []
    for need in needs:
        given = {**sizes, "logits_tokens": need.logits_tokens} if "logits_tokens" in sizes else sizes
        found.append(f"{largest_batch(given, need.usable_bytes, model=model):,} with {need.words}")
    return ", ".join(found)
