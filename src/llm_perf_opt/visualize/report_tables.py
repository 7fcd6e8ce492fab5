"""The tables of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Final

from llm_perf_opt.data import OperatorCost, Prediction
from llm_perf_opt.data.hardware import DTYPE_BITS
from llm_perf_opt.data.prediction import EngineEstimate
from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.reporting.memory import MemoryNeed
from llm_perf_opt.reporting.work import total_time
from llm_perf_opt.terminal import format_integer, format_quantity
from llm_perf_opt.visualize.report_subject import Report
from llm_perf_opt.visualize.table import Table

Link = Callable[[str], str]
"""Returns what stands for a module in a cell."""

LIMITS: Final = {"tensor_cores": "tensor-core-bound", "cuda_cores": "CUDA-core-bound", "memory": "memory-bound"}


def stage_table(prediction: Prediction) -> Table:
    """Return the time of every stage and what binds it."""
    rows = []
    for stage in prediction.stages:
        operators = [row for row in prediction.operators if stage.stage in (row.stage, "request")]
        rows.append(
            (
                stage.stage,
                format_time(stage.time_ms),
                format_share(stage.share_of_model_time),
                format_quantity(stage.tensor_core_flops, "FLOP"),
                format_quantity(stage.cuda_core_flops, "FLOP"),
                format_quantity(stage.io_bytes, "B"),
                describe_limit(operators),
            )
        )
    headers = ("stage", "time (ms)", "share", "tensor cores", "CUDA cores", "moved", "limit")
    return Table(headers=headers, rows=tuple(rows))


def estimate_table(estimate: EngineEstimate) -> Table:
    """Return the time of every stage with an engine, with its bound; and what the host takes beside it, if anything."""
    bound = f"{'fused' if estimate.is_fused else 'unfused'} bound"
    table = Table(
        headers=("stage", "estimated (ms)", f"{bound} (ms)", f"{bound} / estimated", "host, not included (ms)"),
        rows=tuple(
            (
                stage.stage,
                format_time(stage.time_ms),
                format_time(stage.bound_ms),
                f"{stage.bound_ms / stage.time_ms:.2f}" if stage.time_ms else "-",
                format_time(stage.host_ms),
            )
            for stage in estimate.stages
        ),
    )
    has_host = any(stage.host_ms for stage in estimate.stages)
    return table if has_host else table.select(*table.headers[:-1])


def top_table(report: Report, count: int, link: Link = str) -> Table:
    """Return the modules whose own operators take the most time."""
    rows_of = own_operators(report)
    classes = {node.module_id: node.class_name for node in report.modules}
    slowest = sorted(report.module_metrics, key=lambda snapshot: -snapshot.total_time_ms)[:count]
    return Table(
        headers=("module", "class", "time (ms)", "share", "limit"),
        rows=tuple(
            (
                link(snapshot.module_id),
                classes[snapshot.module_id],
                format_time(snapshot.total_time_ms),
                format_share(snapshot.share_of_model_time),
                describe_limit(rows_of[snapshot.module_id]),
            )
            for snapshot in slowest
        ),
        text_columns=2,
    )


def category_table(operators: Sequence[OperatorCost], names: Mapping[str, str], total: float) -> Table:
    """Return operators by category, the slowest first; ``names`` are those of the categories."""
    members: defaultdict[str, list[OperatorCost]] = defaultdict(list)
    for row in operators:
        members[row.category_id].append(row)
    ordered = sorted(members.items(), key=lambda item: -total_time(item[1]))
    return Table(
        headers=("category", "calls", "tensor cores", "CUDA cores", "moved", "time (ms)", "share", "limit"),
        rows=tuple((names[category], *_describe_work(rows, total)) for category, rows in ordered),
    )


def operator_table(operators: Sequence[OperatorCost], names: Mapping[str, str], total: float) -> Table:
    """Return operators one by one."""
    return Table(
        headers=(
            "operator", "category", "calls", "tensor cores", "CUDA cores", "moved", "time (ms)", "share", "limit"
        ),
        rows=tuple((row.operator, names[row.category_id], *_describe_work([row], total)) for row in operators),
        text_columns=2,
    )  # fmt: skip


def memory_table(needs: Sequence[MemoryNeed]) -> Table:
    """Return what stands in memory, in a column for each choice of the positions that get logits."""
    sizes: tuple[tuple[str, Callable[[MemoryNeed], int]], ...] = (
        ("weights", lambda need: need.weight_bytes),
        ("KV cache at the end", lambda need: need.kv_cache_bytes),
        ("activations at their peak", lambda need: need.peak_activation_bytes),
        ("together", lambda need: need.total_bytes),
        ("the card", lambda need: need.memory_bytes),
        ("reserve", lambda need: need.reserve.reserve_bytes),
        ("usable: the card less the reserve", lambda need: need.usable_bytes),
        ("headroom, below 0 where memory is missing", lambda need: need.headroom_bytes),
    )
    # In one unit, unless that would leave nothing of what a small model takes.
    is_small = any(0 < size_of(need) < 2**30 // 100 for need in needs for _, size_of in sizes[:4])
    show = format_memory if is_small else format_gibibytes
    return Table(
        headers=("in memory" if is_small else "in memory, in GiB", *(need.words for need in needs)),
        rows=tuple((name, *(show(size_of(need)) for need in needs)) for name, size_of in sizes),
    )


def exact_table(prediction: Prediction) -> Table:
    """Return the exact metrics of every stage."""
    metrics = (
        "tensor_core_flops", "cuda_core_flops", "io_bytes", "weight_bytes", "activation_bytes", "kv_cache_bytes",
        "peak_activation_bytes",
    )  # fmt: skip
    return Table(
        headers=("metric", *(stage.stage for stage in prediction.stages)),
        rows=tuple(
            (metric, *(format_integer(getattr(stage, metric)) for stage in prediction.stages)) for metric in metrics
        ),
    )


def own_operators(report: Report) -> Mapping[str, Sequence[OperatorCost]]:
    """Return the operators of each module itself; none for a module that only holds others."""
    rows: dict[str, list[OperatorCost]] = {node.module_id: [] for node in report.modules}
    for row in report.prediction.operators if report.prediction else ():
        rows[row.module_id].append(row)
    return rows


def describe_limit(operators: Sequence[OperatorCost]) -> str:
    """Return what binds the most of the time of some operators, and for how much of it."""
    total = total_time(operators)
    if not total:
        return "-"
    times = {limit: total_time(row for row in operators if row.bound_by == limit) for limit in LIMITS}
    limit = max(times, key=lambda name: times[name])
    return f"{LIMITS[limit]} for {format_share(times[limit] / total)} of the time"


def describe_types(prediction: Prediction) -> str:
    """Return the type that is computed in, and the bits that are stored where they are others."""
    words = {"weight_bits": "weights", "activation_bits": "activations", "kv_bits": "cache"}
    computed = DTYPE_BITS[prediction.dtype]
    parts = [prediction.dtype]
    if prediction.dtype == "float32" and prediction.float32_matmul_precision == "high":
        parts.append("matrices in TF32")
    for name, word in words.items():
        bits = prediction.sizes.get(name, computed)
        if bits != computed:
            parts.append(f"{word} of {format_bits(bits)} bits")
    return ", ".join(parts)


def format_bits(bits: Rational) -> str:
    """Return a number of bits, exactly: ``16``, ``5.5``, or ``16/3`` where no decimal fraction is it."""
    exact = Fraction(bits)
    decimal = f"{float(exact):.15g}"
    return decimal if Fraction(decimal) == exact else str(exact)


def format_time(milliseconds: float) -> str:
    """Return milliseconds with four significant digits, and never fewer than all whole ones."""
    if milliseconds >= 999.95:  # which rounds to four digits before the point
        return f"{milliseconds:,.0f}"
    return f"{milliseconds:#.4g}" if milliseconds else "0"


def format_gibibytes(count: int) -> str:
    """Return bytes in units of 2^30."""
    return f"{count / 2**30:.2f}"


def format_memory(count: int) -> str:
    """Return bytes with a unit: GiB, or where there are less than a tenth of one, what they are a tenth of or more."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if 10 * abs(count) >= 2**power:
            return f"{count / 2**power:,.2f} {unit}"
    return f"{count} B"


def format_share(share: float) -> str:
    """Return a part of 1 in percent."""
    percent = 100 * share
    if 0 < percent < 0.001:
        return "< 0.001 %"
    return f"{percent:.1f} %" if percent >= 0.1 else f"{percent:.1g} %"


def _describe_work(operators: Sequence[OperatorCost], total: float) -> tuple[str, ...]:
    time = total_time(operators)
    return (
        format_integer(sum(row.calls for row in operators)),
        format_quantity(sum(row.tensor_core_flops for row in operators), "FLOP"),
        format_quantity(sum(row.cuda_core_flops for row in operators), "FLOP"),
        format_quantity(-(-sum(row.io_bits for row in operators) // 8), "B"),
        format_time(time),
        format_share(time / total),
        describe_limit(operators),
    )
