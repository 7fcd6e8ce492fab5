"""Proofs of a tiny model, and that every kind of wrong formula makes one fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
import sympy
import torch
from attrs import evolve
from tiny import SHALLOW, TINY

from modelmeter.dimensions.functions import CeilDiv, FloorDiv, Size
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import FUSED_IO, METRICS, MetricName
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.proofs import reference_cases, transformers_cases
from modelmeter.models.deepseek_ocr.proofs.all_proofs import formulas_of
from modelmeter.models.deepseek_ocr.proofs.oracle import TRANSFORMERS
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import (
    BATCH_SIZE,
    CACHED_TOKENS,
    EARLIER_TOKENS,
    LOGITS_TOKENS,
    K,
)
from modelmeter.support.errors import CountError
from modelmeter.verify.case import Case
from modelmeter.verify.guards import Assumed
from modelmeter.verify.model_formulas import ModelFormulas
from modelmeter.verify.proof import Verdict, compare, prove
from modelmeter.verify.symbolic_trace import Prepare, SymbolicTrace, trace_everything

CAST = "activation_bits and weight_bits other than 32; kv_bits as activation_bits"


@pytest.fixture(scope="module")
def formulas() -> ModelFormulas:
    return formulas_of(TINY)


@pytest.fixture(scope="module")
def shallow_formulas() -> ModelFormulas:
    return formulas_of(SHALLOW)


@pytest.fixture(scope="module")
def prefill() -> tuple[Case, SymbolicTrace]:
    case = reference_cases.make_prefill_case(TINY, least={})
    return case, case.run()


@pytest.fixture(scope="module")
def page() -> tuple[Case, SymbolicTrace]:
    case = reference_cases.make_page_case(SHALLOW, 16 * (28 * K + 5))
    return case, case.run()


def different(verdicts: Iterator[Verdict]) -> set[tuple[str, MetricName]]:
    return {(verdict.subject, verdict.metric) for verdict in verdicts if not verdict.is_equal}


def test_a_prompt_costs_what_the_formulas_say(formulas: ModelFormulas, prefill: tuple[Case, SymbolicTrace]) -> None:
    case, trace = prefill
    verdicts = list(compare(formulas, case, trace))
    assert different(iter(verdicts)) == set()
    assert {verdict.metric for verdict in verdicts} == set(METRICS)
    assert {verdict.stages for verdict in verdicts} == {"prefill"}
    assert {"", "model", "model.layers.1.mlp.experts.0-2.up_proj", "lm_head"} <= {
        verdict.subject for verdict in verdicts
    }
    assert not any("sam_model" in verdict.subject for verdict in verdicts)
    (root,) = [verdict for verdict in verdicts if verdict.subject == "" and verdict.metric == "tensor_core_flops"]
    # The LM head: 2 B logits_tokens 24 * 53; attention: two layers of 4 B S^2 24.
    assert root.measured.coeff(BATCH_SIZE * LOGITS_TOKENS**2) == 2 * 4 * 24
    assert {BATCH_SIZE, LOGITS_TOKENS, EARLIER_TOKENS} == root.derived.free_symbols


def test_a_page_costs_what_the_formulas_say(shallow_formulas: ModelFormulas, page: tuple[Case, SymbolicTrace]) -> None:
    case, trace = page
    verdicts = list(compare(shallow_formulas, case, trace))
    assert different(iter(verdicts)) == set()
    stages = {verdict.stages for verdict in verdicts if verdict.subject in ("", "model", "model.sam_model", "lm_head")}
    assert stages == {"vision", "projector", "prefill", "vision+projector+prefill"}
    # 28 k + 5 is never the 13 patches of the trained grid for k >= 2, and 7 k + 2 never the 7.
    assert trace.domain.excluded == {}


def test_the_stages_of_a_page_are_compared_each_on_its_own(
    shallow_formulas: ModelFormulas, page: tuple[Case, SymbolicTrace]
) -> None:
    """Work that moves from one stage to another changes no module, and is found."""
    case, trace = page
    extra = sympy.Symbol("batch_size", integer=True, positive=True)
    stages = {
        stage: evolve(cost, cuda_core_flops=cost.cuda_core_flops + {"vision": extra, "projector": -extra}.get(stage, 0))
        for stage, cost in shallow_formulas.stages.items()
    }
    verdicts = list(compare(evolve(shallow_formulas, stages=stages), case, trace))
    assert [(verdict.subject, verdict.stages, verdict.metric) for verdict in verdicts if not verdict.is_equal] == [
        ("", "vision", "cuda_core_flops"), ("", "projector", "cuda_core_flops")
    ]  # fmt: skip


def test_a_decode_step_comes_down_to_the_cached_tokens(formulas: ModelFormulas) -> None:
    case = reference_cases.make_decode_case(TINY, least={})
    verdicts = list(prove(formulas, [case]))
    assert different(iter(verdicts)) == set()
    assert all(symbol("decode_step") not in verdict.derived.free_symbols for verdict in verdicts)
    assert {verdict.domain for verdict in verdicts} == {
        f"seq_len = cached_tokens - decode_step + 1; batch_size >= 2; cached_tokens >= 2; {CAST}"
    }


@pytest.mark.parametrize(
    "case",
    [
        reference_cases.make_prefill_case(SHALLOW, least={}),
        reference_cases.make_decode_case(SHALLOW, least={}),
        reference_cases.make_page_case(SHALLOW, 16 * (28 * K + 5)),
    ],
    ids=lambda case: str(case.name),
)
def test_where_nothing_is_cast_the_formulas_hold_too(shallow_formulas: ModelFormulas, case: Case) -> None:
    verdicts = list(prove(shallow_formulas, [evolve(case, casts=False)]))
    assert different(iter(verdicts)) == set()
    assert {verdict.metric for verdict in verdicts} == {*METRICS, FUSED_IO}
    assert all(verdict.domain.endswith("; activation_bits, weight_bits and kv_bits = 32") for verdict in verdicts)
    widths = {symbol(name) for name in ("activation_bits", "weight_bits", "kv_bits")}
    assert all(widths.isdisjoint((verdict.derived + verdict.measured).free_symbols) for verdict in verdicts)


def test_pages_that_do_not_share_a_call_read_the_weights_again(shallow_formulas: ModelFormulas) -> None:
    """Two images in each of three prompts that take turns: six calls."""
    case = reference_cases.make_page_case(SHALLOW, 16 * 22, num_calls=3, images_per_prompt=2)
    verdicts = list(prove(shallow_formulas, [case]))
    assert different(iter(verdicts)) == set()
    (patches,) = [v for v in verdicts if (v.subject, v.metric) == ("model.sam_model.patch_embed.proj", "io_bytes")]
    # 3 x 16 x 16 weights for each of 15 channels, and their biases.
    assert patches.measured.coeff(symbol("weight_bits")) == sympy.Rational(6 * (768 * 15 + 15), 8)


@pytest.mark.parametrize(
    "case",
    [
        transformers_cases.make_prefill_case(TINY, least={}),
        transformers_cases.make_decode_case(TINY, least={}),
        transformers_cases.make_views_case(TINY, 16 * 33),
    ],
    ids=lambda case: str(case.name),
)
def test_transformers_does_the_same_matrix_products(formulas: ModelFormulas, case: Case) -> None:
    verdicts = list(prove(formulas, [case], counterparts=TRANSFORMERS))
    assert different(iter(verdicts)) == set()
    assert {verdict.implementation for verdict in verdicts} == {"transformers"}
    assert len({verdict.subject for verdict in verdicts}) > 20
    assert not any("rotary" in verdict.subject for verdict in verdicts)
    assert all("rotary" in verdict.note for verdict in verdicts)


def damage(
    formulas: ModelFormulas, path: str, stage: str, metric: MetricName, change: Callable[[Size], Size]
) -> ModelFormulas:
    """Return the formulas with one metric of one module changed."""
    cost: Cost = formulas.costs[path][stage]
    by_stage = {**formulas.costs[path], stage: evolve(cost, **{metric: change(sympy.sympify(cost[metric]))})}
    return evolve(formulas, costs={**formulas.costs, path: by_stage})


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "change",
    [
        lambda size: size + 1,
        lambda size: 2 * size,
        lambda size: size.xreplace({symbol("seq_len"): symbol("seq_len") + 1}) + symbol("batch_size") - 1,
    ],
    ids=["a term", "a factor", "a size"],
)
def test_a_wrong_formula_is_found_at_its_module(
    formulas: ModelFormulas, prefill: tuple[Case, SymbolicTrace], metric: MetricName, change: Callable[[Size], Size]
) -> None:
    path = "model.layers.0.self_attn"
    case, trace = prefill
    assert different(compare(damage(formulas, path, "prefill", metric, change), case, trace)) == {(path, metric)}


def test_a_wrong_ceiling_is_found(shallow_formulas: ModelFormulas, page: tuple[Case, SymbolicTrace]) -> None:
    case, trace = page
    path = "model.sam_model.net_2"
    floored = damage(
        shallow_formulas, path, "vision", "tensor_core_flops", lambda size: size.replace(CeilDiv, FloorDiv)
    )
    assert different(compare(floored, case, trace)) == {(path, "tensor_core_flops")}


def test_formulas_that_are_wrong_in_opposite_ways_are_found_though_their_sum_is_right(
    formulas: ModelFormulas, prefill: tuple[Case, SymbolicTrace]
) -> None:
    case, trace = prefill
    wrong = formulas
    for path, sign in (("model.norm", 1), ("lm_head", -1)):
        wrong = damage(wrong, path, "prefill", "io_bytes", lambda size, sign=sign: size + sign * symbol("batch_size"))
    assert different(compare(wrong, case, trace)) == {("model.norm", "io_bytes"), ("lm_head", "io_bytes")}


def test_a_stage_that_the_formulas_leave_out_is_found(
    formulas: ModelFormulas, prefill: tuple[Case, SymbolicTrace]
) -> None:
    case, trace = prefill
    without = evolve(formulas, costs={**formulas.costs, "model.norm": {}})
    assert ("model.norm", "cuda_core_flops") in different(compare(without, case, trace))


def test_a_module_that_was_not_traced_is_an_error(formulas: ModelFormulas, prefill: tuple[Case, SymbolicTrace]) -> None:
    case, trace = prefill
    costs = {path: cost for path, cost in trace.costs.items() if path != "model.norm"}
    with pytest.raises(CountError, match=r"a module was not traced; found \['model.norm'\]"):
        list(compare(formulas, case, evolve(trace, costs=costs)))


def test_a_point_that_a_guard_leaves_out_is_traced_on_its_own(formulas: ModelFormulas) -> None:
    def leave_out_seven(
        prepare: Prepare, symbols: Sequence[sympy.Symbol], assumed: Assumed, dtype: torch.dtype
    ) -> SymbolicTrace:
        trace = trace_everything(prepare, symbols, assumed, dtype)
        points = {CACHED_TOKENS: frozenset({7})} if CACHED_TOKENS in symbols else {}
        return evolve(trace, domain=evolve(trace.domain, excluded=points))

    case = evolve(reference_cases.make_decode_case(TINY, least={}), trace=leave_out_seven)
    names: list[str] = []
    verdicts = list(prove(formulas, [case], progress=names.append))
    assert different(iter(verdicts)) == set()
    assert names == ["decode step", "decode step, cached_tokens = 7"]
    assert {verdict.domain for verdict in verdicts} == {
        f"seq_len = cached_tokens - decode_step + 1; batch_size >= 2; cached_tokens >= 2; cached_tokens != 7; {CAST}",
        f"seq_len = 8 - decode_step; batch_size >= 2; {CAST}",
    }
