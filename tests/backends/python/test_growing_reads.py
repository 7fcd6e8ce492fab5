"""Reads of experts over arrays where what is read of each expert grows with the tokens, against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import pytest

from modelmeter.backends.python.runtime._polynomials import Polynomial, Space
from modelmeter.backends.python.runtime._program import Formulas
from modelmeter.backends.python.runtime._runtime import CostError
from modelmeter.backends.python.runtime._symbolic import routed_reads

numpy = pytest.importorskip("numpy")

TOKENS = [*range(1, 12), 13, 17, 29, 53, 97, 211, 499, 5003, 2**31 - 1]

EXPERTS = [
    (7, 3, 0, 3),
    (7, 1, 0, 1),
    (11, 11, 0, 5),
    (13, 2, 17, 19),
    (61, 5, 10**6 + 3, 1),
    (5, 2, 7, 0),
    (1, 1, 0, 9),
]


def count_reads(experts: int, per_token: int, tokens: int, weights: int, routing: str) -> int:
    """E (1 - (1 - k/E)^N) W in exact fractions, rounded to the nearest integer, halves up; or min(E, k N) W."""
    if routing == "even":
        return min(experts, per_token * tokens) * weights
    missed = Fraction(experts - per_token, experts) ** min(tokens, 10**4)  # so many leave nothing that is not rounded
    return floor(experts * (1 - missed) * weights + Fraction(1, 2))


def trace_reads(experts: int, per_token: int, fixed: int, growth: int, routing: str) -> Formulas:
    """Return twice the reads of all tokens of a batch, and 3."""
    space = Space()
    tokens = space.unknown("batch") * space.unknown("prompt")
    reads = routed_reads(experts, per_token, tokens, fixed + growth * tokens, routing)
    return Formulas(space, (2 * reads + 3,))


@pytest.mark.parametrize("routing", ["uniform", "even"])
@pytest.mark.parametrize(("experts", "per_token", "fixed", "growth"), EXPERTS)
def test_arrays_and_their_bounds(experts: int, per_token: int, fixed: int, growth: int, routing: str) -> None:
    from modelmeter.backends.python.runtime._blocks import Routine
    from modelmeter.backends.python.runtime._bounds import compile_bounds
    from modelmeter.backends.python.runtime._tape import Recorder

    formulas = trace_reads(experts, per_token, fixed, growth, routing)
    sizes = {"batch": numpy.array([2]), "prompt": numpy.array(TOKENS)}
    expected = [
        2 * count_reads(experts, per_token, 2 * prompt, fixed + growth * 2 * prompt, routing) + 3 for prompt in TOKENS
    ]
    tape = Recorder({"prompt": (0,), "batch": ()}, (len(TOKENS),)).record(formulas.program())
    for kind in (numpy.int64, object):
        routine = Routine(tape, dict.fromkeys((*sizes, *tape.steps), kind), is_exact=kind is object)
        (seen,) = routine.run({name: array.astype(kind) for name, array in sizes.items()}, (len(TOKENS),))
        assert seen.tolist() == expected
    ranges = {"batch": (2, 2), "prompt": (TOKENS[0], TOKENS[-1])}
    assert compile_bounds(formulas.space, formulas.metrics)(ranges).metrics == (max(expected),)
    low, high = tape.ranges(ranges)[tape.metrics[0]]
    assert low <= min(expected)
    assert max(expected) <= high


@pytest.mark.parametrize("routing", ["uniform", "even"])
@pytest.mark.parametrize(("experts", "per_token", "fixed", "growth"), EXPERTS)
def test_known_tokens_are_put_in(experts: int, per_token: int, fixed: int, growth: int, routing: str) -> None:
    formulas = trace_reads(experts, per_token, fixed, growth, routing)
    for prompt in TOKENS[:13]:
        (seen,) = formulas.fold({0: 2, 1: prompt}).metrics
        assert seen == 2 * count_reads(experts, per_token, 2 * prompt, fixed + growth * 2 * prompt, routing) + 3


def weigh(name: str, batch: Any, prompt: Any) -> Any:
    """Return weights that no number of the tokens ``batch * prompt`` gives."""
    return {"square": batch * prompt * prompt, "other": 3 * prompt, "falls": 10**6 - batch * prompt}[name]


@pytest.mark.parametrize("name", ["square", "other", "falls"])
def test_weights_that_are_no_number_for_each_token_are_refused(name: str) -> None:
    space = Space()
    batch, prompt = space.unknown("batch"), space.unknown("prompt")
    tokens = batch * prompt
    assert isinstance(tokens, Polynomial)
    with pytest.raises(CostError, match="prompt must be one number each, not arrays"):
        routed_reads(7, 3, tokens, weigh(name, batch, prompt), "uniform")
