"""Questions as texts, and their answers against values one by one."""

from __future__ import annotations

import pytest

import modelmeter
from modelmeter.scaling import Crossover, Largest, Order, solve
from modelmeter.support.errors import QuestionError, WorkloadError
from modelmeter.support.suggestions import UnknownNameError

MODEL = modelmeter.load()


def test_where_one_cost_overtakes_another() -> None:
    """A layer 768 -> 2304 has 2 * 768 * 2304 = 3,538,944 FLOPs a token: 283 tokens have 1.0015e9, 282 have 0.998e9."""
    found = solve("layer(linear).tensor_core_flops >= 1 GFLOP", MODEL, "num_tokens", in_features=768, out_features=2304)
    assert isinstance(found, Crossover)
    assert (found.value, found.outcome) == (283, "from")
    found.check()


def test_the_largest_within_a_budget_is_within_it_and_one_more_is_not() -> None:
    found = solve("prefill.io_bytes <= 1 TB", MODEL, "batch_size", seq_len=1201, logits_tokens=7)
    assert isinstance(found, Largest)
    assert isinstance(found.value, int)
    costs = [
        MODEL.evaluate("prefill", batch_size=found.value + more, seq_len=1201, logits_tokens=7).io_bytes
        for more in (0, 1)
    ]
    assert costs[0] <= 10**12 < costs[1]
    assert found.domain.fixed["seq_len"] == 1201


def test_two_that_grow_are_compared_from_where_the_larger_one_is() -> None:
    found = solve("prefill.tensor_core_flops <= 122880 FLOP * seq_len * seq_len", MODEL, "seq_len")
    assert isinstance(found, Crossover)
    assert isinstance(found.value, int)
    before, after = (
        MODEL.evaluate("prefill", seq_len=length).tensor_core_flops for length in (found.value - 1, found.value)
    )
    assert before > 122_880 * (found.value - 1) ** 2
    assert after <= 122_880 * found.value**2


def test_a_quantity_alone_is_asked_how_it_grows() -> None:
    found = solve("prefill.operator(scaled_dot_product_attention).tensor_core_flops", MODEL, "seq_len")
    assert isinstance(found, Order)
    assert (found.degree, found.coefficient) == (2, 61_440)


def test_what_follows_from_the_size_moves_with_it() -> None:
    """The logits are of the whole prompt unless said, so that prompts may be shorter than the default one."""
    assert solve("prefill.io_bytes >= 1", MODEL, "seq_len").value == 1
    assert solve("prefill.io_bytes >= 1", MODEL, "seq_len", logits_tokens=7).value == 7
    assert solve("request.io_bytes >= 1", MODEL, "seq_len").value == 903  # the image tokens of the page


@pytest.mark.parametrize(
    ("over", "name", "problem"),
    [
        ("seq_len", "seq_len", "the size that grows has a value too"),
        ("max_new_tokens", "decode_steps", "max_new_tokens grows, and this follows from it"),
        ("decode_steps", "max_new_tokens", "decode_steps grows, which follows from this"),
    ],
)
def test_a_size_that_grows_has_no_value(over: str, name: str, problem: str) -> None:
    with pytest.raises(WorkloadError, match=f"{name}: {problem}; found 3; leave it out"):
        solve("request.io_bytes", MODEL, over, **{name: 3})


def test_bounds_of_the_size_bound_the_answer() -> None:
    found = solve("prefill.io_bytes >= 1", MODEL, "seq_len", bounds={"seq_len": (31, 97)})
    assert [(each.first, each.last) for each in found.holds] == [(31, 97)]  # type: ignore[attr-defined]


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean seq_len"):
        solve("prefill.io_bytes >= 1", MODEL, "seqlen")
    with pytest.raises(UnknownNameError, match="did you mean batch_size"):
        solve("prefill.io_bytes >= 1", MODEL, "seq_len", batchsize=3)
    with pytest.raises(WorkloadError, match="out of range"):
        solve("prefill.io_bytes >= 1", MODEL, "seq_len", batch_size=0)
    with pytest.raises(QuestionError, match="not about a model"):
        solve("2 * (3 GB)", MODEL, "seq_len", batch_size=3)
