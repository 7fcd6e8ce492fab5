"""Where one cost overtakes another, against values one by one."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings
from questions import LAST, QUESTIONS, N, costs, values

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import RoutedReads, expected_routed_reads
from modelmeter.scaling import Quantity
from modelmeter.support.errors import CertificateError


def check_against_values(answer: scaling.Crossover, differences: list[int]) -> None:
    """Check an answer against ``a - b`` at 1, 2, ..."""
    assert answer.is_proved
    holds = [difference >= 0 for difference in differences]
    if answer.outcome == "always":
        assert answer.value == 1
        assert all(holds)
    elif answer.outcome == "never":
        assert answer.value is None
        assert not any(holds)
    elif answer.outcome == "from":
        assert answer.value is not None
        assert all(holds[answer.value - 1 :])
        assert answer.value > len(holds) or not holds[answer.value - 2], "the first from which on it holds"
    if answer.outcome != "by residue":
        assert holds == [any(n in each for each in answer.holds) for n in range(1, len(holds) + 1)]
    elif len(answer.holds):
        assert all(holds[n - 1] for n in range(1, len(holds) + 1) if any(n in each for each in answer.holds))


@settings(max_examples=QUESTIONS, deadline=None)
@given(costs, costs)
def test_a_crossover_is_where_values_say(one: Quantity, other: Quantity) -> None:
    answer = scaling.crossover(one, other, over="n")
    check_against_values(answer, [a - b for a, b in zip(values(one, LAST), values(other, LAST), strict=True)])
    answer.check()


def test_attention_overtakes_the_mlps() -> None:
    prefill = scaling.stage(modelmeter.load(), "prefill")
    attention = prefill.operator("scaled_dot_product_attention").tensor_core_flops
    answer = scaling.crossover(attention, prefill.modules("*.mlp").tensor_core_flops, over="seq_len")
    # A layer: 4 n^2 1280 of attention; 11 of 12 have 6 experts and 2 shared ones of 3 matrices 1280 x 896, and a gate
    # of 1280 x 64; the first has 3 of 1280 x 6848. 12 * 4 * 1280 n = 2 * (11 * (8 * 3 * 896 + 64) + 3 * 6848) * 1280.
    assert 12 * 4 * 32224 == 3 * 2 * (11 * (8 * 3 * 896 + 64) + 3 * 6848)
    assert str(answer.threshold) == "32224/3"
    assert answer.value == 10742
    assert answer.outcome == "from"


@pytest.mark.parametrize(
    ("one", "other", "outcome", "value"),
    [
        (3 * N, 2 * N, "always", 1),
        (N, 2 * N, "never", None),
        (N**2, 10 * N, "from", 10),
        (N**2 + 23, 10 * N, "from", 7),  # 7^2 + 23 = 72 > 70; also at 1 to 3, and not at 4 to 6
        (20 - N, N, "only", None),
    ],
    ids=str,
)
def test_each_outcome(one: object, other: object, outcome: str, value: int | None) -> None:
    answer = scaling.crossover(Quantity(one, "a"), Quantity(other, "b"), over="n")  # type: ignore[arg-type]
    assert (answer.outcome, answer.value) == (outcome, value)


def test_where_no_proof_is_found_the_checked_range_is_said() -> None:
    """Ever more experts have no pieces: every size has a value of its own, and nothing is claimed beyond those seen."""
    reads = Quantity(RoutedReads(N + 3, 2, sympy.Integer(7), sympy.Integer(5)), "reads")
    answer = scaling.crossover(reads, Quantity(sympy.Integer(60), "60"), over="n", bounds={"n": (1, None)})
    assert answer.known == "checked on 1..10000"
    assert not answer.is_proved
    assert answer.domain.ranges["n"].maximum == 10_000
    assert "nothing is known beyond" in answer.sentence
    assert answer.certificates == ()
    # 14 choices, each of another expert where there are many: 70 weights in the end, and 60 from some number on.
    assert answer.value is not None
    assert (
        expected_routed_reads(int(answer.value) + 3, 2, 7, 5)
        >= 60
        > expected_routed_reads(int(answer.value) + 2, 2, 7, 5)
    )
    with pytest.raises(CertificateError, match="has no certificate"):
        answer.remake(known="proved").check()
