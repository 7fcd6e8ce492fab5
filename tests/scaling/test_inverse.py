"""The largest size within a budget and the smallest that reaches a target, against values one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from questions import LAST, QUESTIONS, N, budgets, costs, values

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div
from modelmeter.scaling import Quantity


@settings(max_examples=QUESTIONS, deadline=None)
@given(costs, budgets)
def test_the_largest_is_where_values_say(cost: Quantity, budget: int) -> None:
    answer = scaling.largest("n", of=cost, under=budget)
    fits = [n for n, value in enumerate(values(cost, LAST), start=1) if value <= budget]
    assert answer.is_proved
    if answer.outcome == "never":
        assert fits == []
    elif answer.outcome == "at":
        assert answer.value is not None
        assert answer.value in fits or answer.value > LAST
        assert all(n <= answer.value for n in fits)
    else:
        assert fits or min(each.first for each in answer.fits) > LAST or answer.fits == ()
    if answer.outcome != "unbounded" or all(each.last is not None or each.first <= LAST for each in answer.fits):
        assert all(n in fits for n in range(1, LAST + 1) if any(n in each for each in answer.fits))
    answer.check()


@settings(max_examples=QUESTIONS, deadline=None)
@given(costs, budgets)
def test_the_smallest_is_where_values_say(cost: Quantity, target: int) -> None:
    answer = scaling.smallest("n", of=cost, at_least=target)
    reaches = [n for n, value in enumerate(values(cost, LAST), start=1) if value >= target]
    assert answer.is_proved
    if answer.value is not None and answer.value <= LAST:
        assert reaches[0] == answer.value
    else:
        assert reaches == []
    answer.check()


@pytest.mark.parametrize(
    ("cost", "budget", "value", "formula"),
    [
        (7 * N + 5, 100, 13, "floor(95/7)"),  # 7 * 13 + 5 = 96, and 103 > 100
        (7 * N + 5, 103, 14, "14"),
        (N**2 + N, 55, 6, "floor(-1/2 + sqrt(221)/2)"),  # 6 * 7 = 42, and 7 * 8 = 56 > 55
        (N**3, 1000, 10, "10"),
        (N**3, 999, 9, "9"),
        (64 * ceil_div(N, 64), 130, 128, "128"),
        (N + 9, 9, None, "None"),
    ],
    ids=str,
)
def test_closed_forms(cost: object, budget: int, value: int | None, formula: str) -> None:
    answer = scaling.largest("n", of=Quantity(cost, "cost"), under=budget)  # type: ignore[arg-type]
    assert answer.value == value
    assert str(answer.formula) == formula


def test_the_largest_batch_that_fits_a_card() -> None:
    model = modelmeter.load()
    request = scaling.stage(model, "request")
    memory = request.weight_bytes + request.kv_cache_bytes + request.peak_activation_bytes
    answer = scaling.largest("batch_size", of=memory, under=80 * 2**30)
    assert answer.is_proved
    assert answer.value is not None

    def bytes_at(batch: int) -> int:
        peak = max(
            int(
                modelmeter.evaluate(
                    model.formula(stage, "peak_activation_bytes"), {**model.defaults, "batch_size": batch}
                )
            )
            for stage in model.definition.stage_names
        )
        cost = model.evaluate("request", batch_size=batch)
        return cost.weight_bytes + cost.kv_cache_bytes + peak

    assert bytes_at(int(answer.value)) <= 80 * 2**30 < bytes_at(int(answer.value) + 1)
