"""What follows from a free size has no default, and numbers go into maxima without comparing their arguments."""

from __future__ import annotations

import sympy

from modelmeter import scaling
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.size_rules import Rule
from modelmeter.scaling.context import Context
from modelmeter.scaling.question import ask
from modelmeter.scaling.substitution import put_sizes


def test_what_follows_from_a_free_size_does_not_bound_it(published: CompiledModel) -> None:
    """Logits of all positions: as many as there are, and no 913 of the default workload."""
    question = ask([scaling.stage(published, "prefill").operator("mm").tensor_core_flops], "seq_len")
    assert question.range == scaling.Range(1)
    given = scaling.stage(published, "prefill").operator("mm").tensor_core_flops.at(logits_tokens=7)
    assert ask([given], "seq_len").range == scaling.Range(7)


def test_numbers_go_into_maxima() -> None:
    batch, length = (sympy.Symbol(name, integer=True, positive=True) for name in ("batch_size", "seq_len"))
    formula = 3 + sympy.Max(2 * batch, length + 5, batch * length, evaluate=False)
    assert put_sizes(formula, {"seq_len": sympy.Integer(7)}) == 3 + sympy.Max(2 * batch, 12, 7 * batch, evaluate=False)
    assert put_sizes(formula, {"hidden_size": sympy.Integer(7)}) is formula


def test_the_memory_of_a_request_is_a_question_of_a_moment(published: CompiledModel) -> None:
    """Every candidate of every peak is in it, and none is compared with another before numbers are in."""
    request = scaling.stage(published, "request")
    memory = request.weight_bytes + request.kv_cache_bytes + request.peak_activation_bytes
    budget = 80 * 2**30
    whole = scaling.largest("batch_size", of=memory, under=budget)
    by_stage = [
        scaling.largest(
            "batch_size", under=budget,
            of=request.weight_bytes + request.kv_cache_bytes + scaling.stage(published, name).peak_activation_bytes,
        ).value
        for name in published.definition.stage_names
    ]  # fmt: skip
    assert whole.value == min(value for value in by_stage if value is not None)


def test_a_size_that_two_numbers_divide_is_a_multiple_of_both() -> None:
    """Multiples of 4 and of 6 are those of 12; from 5 to 50 they begin at 12 and end at 48."""
    both = scaling.Range(1, None, 4).intersect(minimum=5, maximum=50, multiple_of=6)
    assert (both.multiple_of, both.first, both.last) == (12, 12, 48)
    size = sympy.Symbol("n", integer=True, positive=True)
    context = Context(
        defaults={"n": 60, "four": 4, "six": 6}, rules=(Rule("four", "divides", "n"), Rule("six", "divides", "n"))
    )
    quantity = scaling.Quantity(
        formula=size + sympy.Symbol("four") + sympy.Symbol("six"), name="sum", context=context
    )  # both rules count where their sizes are in the formula
    assert ask([quantity], "n").range == scaling.Range(1, None, 12)
    assert ask([quantity], "n", bounds={"n": scaling.Range(1, None, 10)}).range == scaling.Range(1, None, 60)
