"""Rows and evidence out of verdicts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import sympy
from attrs import evolve
from tiny import SHALLOW

from modelmeter.analysis.evidence import Evidence
from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import compile_model
from modelmeter.metrics.metric import BACKWARD_METRICS, METRICS, PEAK
from modelmeter.verify.proof import Verdict
from modelmeter.verify.results import Row, count_operators, find_gaps, gather_rows, make_evidence

X = sympy.Symbol("batch_size", integer=True, positive=True)


def make_verdict(**changes: Any) -> Verdict:
    verdict = Verdict(
        implementation="reference", subject="lm_head", layer="lm_head", stages="prefill", metric="tensor_core_flops",
        kind="identity", domain="batch_size >= 2", dimensions=("batch_size",), derived=3 * X, measured=3 * X,
        difference=sympy.Integer(0), seconds=2.0,
    )  # fmt: skip
    return evolve(verdict, **changes)


@pytest.fixture(scope="module")
def compiled() -> CompiledModel:
    return compile_model(SHALLOW)


def test_verdicts_that_differ_in_place_and_domain_are_one_row() -> None:
    (row,) = gather_rows(
        [
            make_verdict(),
            make_verdict(subject="other", dimensions=("seq_len",)),
            make_verdict(domain="batch_size = 1", dimensions=(), seconds=3.0),
        ]
    )
    assert (row.scope, row.name) == ("layer", "lm_head")
    assert row.modules == ("lm_head", "other")
    assert row.domains == ("batch_size >= 2", "batch_size = 1")
    assert row.dimensions == ("batch_size", "seq_len")
    assert row.seconds == 5.0, "one trace of two modules took its time once"


def test_a_difference_is_what_a_row_shows() -> None:
    (row,) = gather_rows(
        [make_verdict(), make_verdict(derived=4 * X, difference=X, domain="elsewhere"), make_verdict()]
    )
    assert not row.is_equal
    assert (row.derived, row.measured, row.difference) == (4 * X, 3 * X, X)


def test_other_metrics_kinds_and_implementations_are_other_rows_in_the_order_of_metrics() -> None:
    rows = gather_rows(
        [
            make_verdict(metric="io_bytes"),
            make_verdict(),
            make_verdict(kind="exact at n points"),
            make_verdict(implementation="transformers"),
        ]
    )
    assert [row.metric for row in rows] == ["tensor_core_flops"] * 3 + ["io_bytes"]
    assert {row.evidence for row in rows} == {"identity", "exact at 1 point"}


def test_verdicts_on_the_whole_model_are_on_their_stages_too() -> None:
    rows = gather_rows([make_verdict(subject="", layer="whole", stages="vision+projector"), make_verdict()])
    assert [(row.scope, row.name) for row in rows] == [
        ("layer", "whole"), ("layer", "lm_head"), ("stage", "vision"), ("stage", "projector")
    ]  # fmt: skip


def test_a_verdict_on_a_stage_only_is_on_no_layer_and_comes_after_the_metrics() -> None:
    whole = make_verdict(subject="", layer="whole", stages="prefill")
    rows = gather_rows([make_verdict(subject="", layer="", stages="prefill", metric=PEAK), whole])
    assert [(row.scope, row.name, row.metric) for row in rows] == [
        ("layer", "whole", "tensor_core_flops"),
        ("stage", "prefill", "tensor_core_flops"),
        ("stage", "prefill", PEAK),
    ]


def test_what_is_alive_beside_the_operators_of_a_layer_is_of_that_layer_only() -> None:
    """Also where the layer is the whole model: the peak of a stage is more than that."""
    rows = gather_rows(
        [
            make_verdict(subject="", layer="whole", metric=PEAK, kind="exact at n points"),
            make_verdict(subject="model.norm", layer="norm", metric=PEAK, kind="exact at n points"),
            make_verdict(subject="", layer="", metric=PEAK, kind="exact at n points"),
        ]
    )
    assert [(row.scope, row.name) for row in rows] == [("layer", "whole"), ("layer", "norm"), ("stage", "prefill")]


def test_operators_are_counted_once_a_trace_and_named_by_use() -> None:
    seen = {"mm": 3, "add": 5, "mul_": 13, "clone": 7, "floor_divide": 2, "scaled_dot_product_attention": 17}
    verdicts = [
        make_verdict(operators=seen),
        make_verdict(operators=seen, metric="io_bytes"),  # the same trace
        make_verdict(operators={"mm": 11, "clone": 2}, implementation="transformers"),
        make_verdict(),
    ]
    assert count_operators(verdicts) == {
        "reference": {
            "matrix product": Counter(mm=3),
            "vector arithmetic": Counter(add=5, mul_=13),
            "data movement": Counter(clone=7, floor_divide=2),
            "attention": Counter(scaled_dot_product_attention=17),
        },
        "transformers": {"matrix product": Counter(mm=11), "no matrix product": Counter(clone=2)},
    }  # fmt: skip


def test_gaps_are_metrics_that_no_torch_module_was_compared_with() -> None:
    rows = gather_rows(
        [make_verdict(metric=metric) for metric in METRICS[1:]] + [make_verdict(implementation="formulas")]
    )
    backward = tuple(f"lm_head {metric}" for metric in BACKWARD_METRICS)
    step = tuple(f"training_step {metric}" for metric in METRICS)
    first = ("lm_head tensor_core_flops", "lm_head fused_io_bytes")
    assert find_gaps(rows, layers=["lm_head"], stages=[]) == (*first, *backward, *step)
    vision = tuple(f"vision {metric}" for metric in (*METRICS, "fused_io_bytes", PEAK))
    assert find_gaps(rows, layers=[], stages=["vision"]) == (*vision, *step)


def test_backwards_are_rows_of_their_layer_and_evidence_of_the_training_step(compiled: CompiledModel) -> None:
    points = {"stages": "training_step", "kind": "exact at n points"}
    verdicts = [
        make_verdict(metric=BACKWARD_METRICS[0], **points),
        make_verdict(metric=BACKWARD_METRICS[0], subject="model.norm", layer="deepseek_v2_rms_norm", **points),
        make_verdict(metric="io_bytes", subject="", layer="", **points),
    ]
    rows = gather_rows(verdicts)
    assert {(row.scope, row.name, row.metric) for row in rows} == {
        ("layer", "lm_head", BACKWARD_METRICS[0]), ("layer", "deepseek_v2_rms_norm", BACKWARD_METRICS[0]),
        ("stage", "training_step", BACKWARD_METRICS[0]), ("stage", "training_step", "io_bytes"),
    }  # fmt: skip
    evidence = make_record(compiled, rows)
    assert evidence.layers["lm_head"].checks == ()
    assert {check.metrics: check.modules for check in evidence.stages["training_step"].checks} == {
        ("io_bytes",): ("",), (BACKWARD_METRICS[0],): ("lm_head", "model.norm")
    }  # fmt: skip
    assert len(evidence.describe_stage("training_step", compiled.training_step)) == 2


def make_record(compiled: CompiledModel, rows: tuple[Row, ...]) -> Evidence:
    return make_evidence(
        rows,
        {},
        catalogue=compiled.catalogue,
        totals=compiled.totals,
        peaks=compiled.peaks,
        training_step=compiled.training_step,
    )


def test_what_is_alive_beside_operators_is_no_evidence_of_the_formulas_on_the_page_of_a_layer(
    compiled: CompiledModel,
) -> None:
    live = make_verdict(metric=PEAK, kind="exact at n points")
    evidence = make_record(compiled, gather_rows([live, make_verdict(), evolve(live, subject="", layer="")]))
    (check,) = evidence.layers["lm_head"].checks
    assert check.metrics == ("tensor_core_flops",)
    assert [check.metrics for check in evidence.stages["prefill"].checks] == [(PEAK,)]


def test_evidence_is_of_the_formulas_that_were_proved(compiled: CompiledModel) -> None:
    verdicts = [make_verdict(metric=metric) for metric in METRICS] + [make_verdict(implementation="transformers")]
    evidence = make_record(compiled, gather_rows(verdicts))
    assert Evidence.from_json(evidence.to_json()) == evidence
    first, second = evidence.layers["lm_head"].checks
    assert (set(first.metrics), second.metrics) == (set(METRICS), ("tensor_core_flops",))
    assert evidence.domains == {first.domains: ("batch_size >= 2",)}
    (entry,) = [entry for entry in compiled.catalogue if entry.name == "lm_head"]
    first, _ = evidence.describe_layer("lm_head", entry.cost, entry.fused_io_bytes)
    assert first == (
        "Proved symbolically (expanded difference is 0): all metrics, against the torch modules of the reference "
        "model; 1 module, 1 domain; symbols for ``batch_size``."
    )
    assert evidence.describe_layer("lm_head", evolve(entry.cost, io_bytes=entry.cost.io_bytes + 1)) == ()
    assert evidence.describe_layer("unknown", entry.cost) == ()
