"""Guards that traces of tiny modules keep: those that are no loss, leave out points, or make a trace invalid."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
import sympy
from nets import rows, trace_rows
from torch import Tensor

from modelmeter.support.errors import CountError
from modelmeter.verify.guards import LEAST_SIZE, read_domain


def test_a_guard_that_leaves_out_a_point_makes_the_domain_smaller() -> None:
    # 3 rows = 51 for 17 rows; 3 rows = 50 for none.
    traced = trace_rows(lambda features: features if features.numel() == 51 else features + features)
    assert traced.domain.excluded == {rows: frozenset({17})}
    assert traced.costs[""].cuda_core_flops == 3 * rows
    assert trace_rows(lambda features: features if features.numel() == 50 else -features).domain.excluded == {}


def test_a_guard_that_leaves_out_a_half_is_an_error_unless_it_is_assumed() -> None:
    def branch(features: Tensor) -> Tensor:
        return features + features if features.shape[0] > 1000 else features

    with pytest.raises(
        CountError, match="a guard leaves out more than single points; expected none; found rows > 1000"
    ):
        trace_rows(branch)
    assert trace_rows(branch, assumed=[rows > 1000]).costs[""].cuda_core_flops == 3 * rows
    below = trace_rows(branch, assumed=[rows <= 1000])
    assert below.costs[""].cuda_core_flops == 0
    assert below.domain.assumed == (rows <= 1000,)


def test_a_guard_that_holds_anyway_is_no_loss() -> None:
    traced = trace_rows(lambda features: features if features.shape[0] >= 2 and features.numel() > 5 else -features)
    assert traced.costs[""].cuda_core_flops == 0
    assert traced.domain.excluded == {}


def test_a_size_that_is_turned_into_a_number_is_an_error() -> None:
    def pin(features: Tensor) -> Tensor:
        return features.view(int(features.shape[0]), 3)

    with pytest.raises(CountError, match=r"a symbolic size was pinned; found \{'rows': 1009\}"):
        trace_rows(pin)


@pytest.mark.parametrize(
    ("holds", "fails"),
    [
        (sympy.Ge(rows, 2), sympy.Ge(rows, 3)),
        (sympy.Gt(rows, 1), sympy.Gt(rows, 2)),
        (sympy.Le(2, rows), sympy.Le(3, rows)),
        (sympy.Lt(1, rows), sympy.Lt(2, rows)),
        (sympy.Eq(rows * (rows + 1), rows**2 + rows, evaluate=False), sympy.Eq(rows, 3)),
        (sympy.And(sympy.Gt(rows, 1), sympy.Ge(3 * rows, 6)), sympy.And(sympy.Gt(rows, 1), sympy.Ne(rows, 3))),
    ],
    ids=str,
)
def test_a_guard_holds_from_the_least_size_on_or_not(holds: sympy.Basic, fails: sympy.Basic) -> None:
    """The least size is 2: what holds there holds for all larger ones, and the others fail at 2 or at 3."""
    assert LEAST_SIZE == 2
    for condition in (holds, fails):
        environment = SimpleNamespace(
            replacements={}, deferred_runtime_asserts={}, guards=[SimpleNamespace(expr=condition)]
        )
        call = partial(read_domain, environment, {rows: rows}, assumed=())
        if condition is holds:
            assert call().excluded == {}
        else:
            with pytest.raises(CountError, match="a guard leaves out more than single points"):
                call()
