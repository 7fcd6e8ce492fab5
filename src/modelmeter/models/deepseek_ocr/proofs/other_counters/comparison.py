"""Puts the exact count, our formulas and the other counters side by side, and explains every difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext

from attrs import evolve, frozen

from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import compile_model
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.other_counters.stages import build_stages, stages_without_data
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.verify.other_counters.answers import Answer, check_count, explain
from modelmeter.verify.other_counters.calls import record_calls
from modelmeter.verify.other_counters.counters import COUNTERS, EXACT, Count, Counter


@frozen(kw_only=True)
class Comparison:
    """The counts of one workload.

    Parameters
    ----------
    workload
        What was counted.
    exact, ours
        ``tensor_core_flops`` of each stage: counted on the meta device, and by our formulas.
    answers
        Of the other counters.
    """

    workload: Workload
    exact: Mapping[str, int]
    ours: Mapping[str, int]
    answers: tuple[Answer, ...]


def compare_counters(
    architecture: DeepSeekOCRArchitecture, workload: Workload, counters: Iterable[Counter] = tuple(COUNTERS.values())
) -> Comparison:
    """Count all stages in all ways.

    Raises
    ------
    CountError
        If a counter is not installed or fails, or the known causes do not explain a difference to the last FLOP.
    """
    stages = build_stages(architecture, workload, device="meta")
    exact = {name: EXACT.count(stage).flops for name, stage in stages.items()}
    calls = {name: record_calls(stage) for name, stage in stages.items()}
    for name, found in calls.items():
        check_count("the shapes give another count", name, found.tensor_core_flops, exact[name])
    return Comparison(
        workload=workload,
        exact=exact,
        ours=evaluate_formulas(compile_model(architecture), workload),
        answers=tuple(
            explain(counter, count_stages(counter, architecture, workload), exact, calls) for counter in counters
        ),
    )


def evaluate_formulas(compiled: CompiledModel, workload: Workload) -> dict[str, int]:
    """Return ``tensor_core_flops`` of each stage by our formulas; of the decode, its first step."""
    sizes = {**compiled.defaults, **workload.dimension_values(), "decode_steps": 1}
    return {stage: int(evaluate(cost.tensor_core_flops, sizes)) for stage, cost in compiled.totals.by_stage.items()}


def count_stages(counter: Counter, architecture: DeepSeekOCRArchitecture, workload: Workload) -> dict[str, Count]:
    """Return what ``counter`` says of each stage, on tensors without data where it can."""
    stages = build_stages(architecture, workload, device="meta") if counter.device == "meta" else None
    with nullcontext(stages) if stages else stages_without_data(architecture, workload) as found:
        counts = {name: counter.count(stage) for name, stage in found.items() if name not in counter.needs_data}
    if counter.needs_data:
        # Only the towers need data; the smallest decoder saves memory.
        towers = evolve(architecture, num_hidden_layers=1, first_k_dense_replace=1, vocab_size=1)
        stages = build_stages(towers, workload, device="cpu")
        counts.update({name: counter.count(stages[name]) for name in counter.needs_data})
    return counts
