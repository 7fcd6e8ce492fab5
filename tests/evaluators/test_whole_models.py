"""A layer that holds a model is the sum of its stages, and of what is left."""

from __future__ import annotations

from math import ceil

import pytest
from attrs import evolve
from small_package import ARCHITECTURE, DEFAULTS, make_spec

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.evaluators.programs import build_stages
from modelmeter.evaluators.spec import LayerFormula
from modelmeter.evaluators.whole_models import split_whole_model
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import METRICS

SPEC = make_spec()
STAGES = ("vision", "projector", "prefill")
STAGES_PROGRAM = build_stages(SPEC, {}).program
SIZES = {
    name: size for name, size in {**DEFAULTS, **ARCHITECTURE}.items() if name not in ("decode_steps", "max_new_tokens")
}


def make_whole(extra: int) -> LayerFormula:
    """Return the first three stages and ``extra`` weights, without the sizes that only logits depend on."""
    cost = Cost(**{metric: sum(SPEC.costs[stage][metric] for stage in STAGES) for metric in METRICS})
    return LayerFormula(
        name="whole",
        class_name="Whole",
        doc="",
        cost=evolve(cost, weight_bytes=cost.weight_bytes + extra),
        fused_io_bytes=sum(SPEC.fused_io[stage] for stage in STAGES),
        sizes=SIZES,
        holds_layers=True,
    )


@pytest.mark.parametrize("extra", [0, 17])
def test_the_stages_and_the_rest_are_the_layer(extra: int) -> None:
    whole = split_whole_model(make_whole(extra), SPEC, STAGES_PROGRAM)
    assert whole is not None
    assert whole.stages == STAGES
    assert not whole.cancelled
    assert whole.rest.inputs == whole.fused_rest.inputs == ()
    rest = {output.name: output.numerator for output in whole.rest.outputs}
    assert rest == {**dict.fromkeys(METRICS, 0), "weight_bytes": extra}


def test_sizes_that_only_the_stages_have_cancel_out() -> None:
    """Without logits: those of the prefill are taken away again."""
    layer = make_whole(0)
    without = {name: size for name, size in SIZES.items() if name != "logits_tokens"}
    logits = SPEC.dimensions.symbol("logits_tokens")
    cost = evolve(layer.cost, tensor_core_flops=layer.cost.tensor_core_flops.subs(logits, 0))
    whole = split_whole_model(evolve(layer, cost=cost, sizes=without), SPEC, STAGES_PROGRAM)
    assert whole is not None
    assert whole.cancelled == {"logits_tokens": 1}
    names = {"batch_size": 3, "hidden_size": 42, "vocab_size": 211, "logits_tokens": 1}
    (flops,) = (output.numerator for output in whole.rest.outputs if output.name == "tensor_core_flops")
    exact = evaluate(cost.tensor_core_flops, {**SIZES, **names}) - sum(
        evaluate(SPEC.costs[stage].tensor_core_flops, {**SIZES, **names}) for stage in STAGES
    )
    assert ceil(exact) == -2 * 3 * 42 * 211
    assert set(whole.rest.inputs) == names.keys()
    assert flops != 0


def test_what_is_mostly_something_else_is_no_sum() -> None:
    layer = make_whole(0)
    layer = evolve(layer, cost=Cost(tensor_core_flops=layer.cost.tensor_core_flops))
    assert split_whole_model(layer, SPEC, STAGES_PROGRAM) is None
