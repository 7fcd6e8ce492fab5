"""Counted forwards of tiny nets, against numbers worked out by hand in the comments: what whole modules do."""

from __future__ import annotations

import pytest
import torch
from nets import Apply, count, meta
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.cost import Elements
from modelmeter.errors import CountError
from modelmeter.verify.counting import count_forward
from modelmeter.verify.operators import CountedOperator


def test_a_bias_that_aten_adds_in_a_step_of_its_own_costs_no_flops_either() -> None:
    linear = nn.Linear(5, 3, device="meta")
    seen = count(linear, meta(7, 2, 5).transpose(0, 1))
    assert seen.aten_calls["add"] == 1, "the input must be one that ATen does not give to addmm"
    assert seen.operators == count(linear, meta(2, 7, 5)).operators


class Tail(nn.Module):
    """A linear layer with a residual, and a learned row at the end of each sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 5, device="meta")
        self.row = nn.Parameter(meta(5))

    def forward(self, rows: Tensor) -> Tensor:
        rows = self.linear(rows) + rows
        return torch.cat((rows, self.row.expand(rows.shape[0], 1, -1)), dim=1).view(-1, 5)


class Outer(nn.Module):
    """Calls one module twice, with a product after it."""

    def __init__(self) -> None:
        super().__init__()
        self.tail = Tail()

    def forward(self, rows: Tensor) -> Tensor:
        return 2.0 * self.tail(self.tail(rows).view(3, 8, 5))


def test_a_composite_module_is_its_leaf_modules_and_the_functions_it_calls() -> None:
    # 3 sequences of 7 rows of 5 channels: 105 elements; linear 2 * 21 * 5 * 5 = 1,050 FLOPs, 30 weights.
    # The learned row is expanded over the sequences, and read once: 5. View and expand are no operators.
    linear, add, cat = count(Tail(), meta(3, 7, 5)).operators
    assert (linear.path, linear.name, linear.tensor_core_flops) == ("linear", "Linear", 1050)
    assert add == CountedOperator(
        path="", name="add", cuda_core_flops=105, reads=Elements(activation=210), writes=Elements(activation=105)
    )
    assert cat == CountedOperator(
        path="", name="cat", reads=Elements(activation=105, weight=5), writes=Elements(activation=120)
    )


def test_work_adds_up_along_the_module_paths_and_a_module_called_twice_counts_twice() -> None:
    model = Outer()
    seen = count(model, meta(3, 7, 5))
    assert [(operator.path, operator.name) for operator in seen.operators] == [
        *[("tail.linear", "Linear"), ("tail", "add"), ("tail", "cat")] * 2,
        ("", "mul"),
    ]
    by_path = seen.by_path()
    # The second call has 24 rows: 2 * 24 * 25 = 1,200 after 1,050. Its cat writes 3 * 9 * 5 = 135 elements.
    assert by_path["tail.linear"].tensor_core_flops == 2250
    assert by_path["tail"].cuda_core_flops == 105 + 120
    assert by_path["tail"].writes == Elements(activation=2 * 105 + 120 + 2 * 120 + 135)
    assert by_path[""] == seen.work
    assert by_path[""].cuda_core_flops == 105 + 120 + 135

    with FlopCounterMode(display=False) as flops:
        model(meta(3, 7, 5))
    vendor = {path: sum(counts.values()) for path, counts in flops.get_flop_counts().items()}
    assert vendor["Outer.tail.linear"] == vendor["Outer"] == by_path["tail.linear"].tensor_core_flops


@pytest.mark.parametrize(
    ("module", "shape", "cuda_core_flops", "written"),
    [
        (Apply(lambda rows: rows.sum(dim=1)), (3, 5), 15, 3),  # one for each element that is summed
        (Apply(lambda rows: functional.interpolate(rows, size=11, mode="linear")), (1, 5, 7), 3 * 55, 55),
        (Apply(lambda rows: torch.sigmoid(rows) - 1.5), (3, 5), 4 * 15 + 15, 30),
        (nn.LayerNorm(5, device="meta"), (3, 5), 7 * 15, 15),
        (nn.Softmax(dim=-1), (3, 5), 5 * 15, 15),
    ],
    ids=["sum", "interpolate", "sigmoid", "norm", "softmax"],
)
def test_vector_work_is_weighed_by_the_published_table(
    module: nn.Module, shape: tuple[int, ...], cuda_core_flops: int, written: int
) -> None:
    work = count(module, meta(*shape)).work
    assert work.cuda_core_flops == cuda_core_flops
    assert work.tensor_core_flops == 0
    assert work.writes == Elements(activation=written)


class Caching(nn.Module):
    """Appends its input to a cache and attends over all that is cached."""

    def __init__(self) -> None:
        super().__init__()
        self.child = nn.Identity()

    def forward(self, states: Tensor, cache: Tensor, length: int) -> Tensor:
        stop = length + states.shape[2]
        cache[:, :, length:stop].copy_(states)
        return functional.scaled_dot_product_attention(states, cache[:, :, :stop], cache[:, :, :stop])


def test_the_cache_is_counted_apart_and_only_as_far_as_it_is_filled() -> None:
    model, cache = Caching(), meta(2, 3, 13, 5)
    # Two sequences, 3 heads, 4 positions behind 7 cached ones, 5 channels: 120 new elements, 2 * 3 * 11 * 5 = 330
    # in the cache afterwards, of which a capacity of 13 positions leaves 60 untouched.
    seen = count_forward(model, lambda: model(meta(2, 3, 4, 5), cache, 7), cache=[cache, meta(2, 3, 13, 5)])
    append, attend = seen.operators
    assert append == CountedOperator(path="", name="copy_", reads=Elements(activation=120), writes=Elements(kv=120))
    assert attend.reads == Elements(activation=120, kv=330)
    assert seen.cached_shapes == ((2, 3, 11, 5),), "the second tensor of the cache is never used"
    assert seen.kv_elements == 330


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Apply(lambda rows: rows.cumsum(dim=0)), r"cumsum: arithmetic .* found aten\.cumsum"),
        (nn.Sequential(nn.Tanh()), r"0: Tanh: arithmetic .* found aten\.tanh"),
        (Apply(lambda rows: rows.clone()), "a torch function that nothing accounts for; found clone"),
        (Apply(lambda rows: torch.zeros_like(rows)), "a torch function that nothing accounts for; found zeros_like"),
        (Apply(lambda rows: rows.__setitem__(slice(1), rows[:1])), "found setitem"),
        (Apply(lambda rows: rows > 0), "arithmetic .* found aten.gt"),
    ],
    ids=["arithmetic", "leaf", "copy", "fill", "assignment", "comparison"],
)
def test_what_is_not_known_is_an_error_that_names_it(module: nn.Module, message: str) -> None:
    with pytest.raises(CountError, match=message):
        count(module, meta(3, 5))


def test_matrix_products_that_no_operator_has_are_an_error() -> None:
    # A function of integers is free and so no operator, but FlopCounterMode counts 2 * 3 * 3 * 5 FLOPs.
    model = Apply(lambda rows: rows @ rows.t())
    with pytest.raises(CountError, match="matrix products outside all operators; expected 90; found 0"):
        count(model, torch.zeros(3, 5, dtype=torch.int64, device="meta"))


def test_the_hooks_are_gone_after_an_error() -> None:
    with pytest.raises(CountError):
        count(nn.Tanh(), meta(3, 5))
    stranger = nn.Tanh()
    assert stranger(meta(3, 5)).shape == (3, 5)
