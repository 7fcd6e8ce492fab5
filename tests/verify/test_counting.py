"""Counted forwards of tiny nets, against numbers worked out by hand in the comments: what whole modules do."""

from __future__ import annotations

import pytest
import torch
from nets import Apply, count, make, meta
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.metrics.cost import Elements
from modelmeter.metrics.operator_table import VIEW_OPERATORS
from modelmeter.support.errors import CountError
from modelmeter.verify import dispatch
from modelmeter.verify.counting import count_forward


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


def test_a_module_is_the_operators_that_it_and_its_children_dispatch() -> None:
    # 3 sequences of 7 rows of 5 channels: 105 elements; linear 2 * 21 * 5 * 5 = 1,050 FLOPs, 30 weights.
    # The learned row is expanded over the sequences, and read once: 5. View and expand are no operators.
    linear, add, cat = count(Tail(), meta(3, 7, 5)).operators
    assert (linear.path, linear.name, linear.tensor_core_flops) == ("linear", "addmm", 1050)
    assert add == make("add", cuda_core_flops=105, reads=Elements(activation=210), writes=Elements(activation=105))
    assert cat == make("cat", reads=Elements(activation=105, weight=5), writes=Elements(activation=120))


def test_work_adds_up_along_the_module_paths_and_a_module_called_twice_counts_twice() -> None:
    model = Outer()
    seen = count(model, meta(3, 7, 5))
    assert [(operator.path, operator.name) for operator in seen.operators] == [
        *[("tail.linear", "addmm"), ("tail", "add"), ("tail", "cat")] * 2,
        ("", "mul"),
    ]
    assert seen.calls == {"addmm": 2, "add": 2, "cat": 2, "mul": 1}
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


class CopyingRows(nn.Module):
    """Turns rows, once where it has to be copied and once where it has not, and squares them in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(meta(5, dtype=torch.bfloat16))

    def forward(self, rows: Tensor) -> Tensor:
        turned = rows.t().reshape(-1)  # a copy
        shown = rows.reshape(-1)  # a view
        return self.scale * (turned * shown).view(7, 5).float().pow(2).to(rows.dtype)


def test_copies_and_casts_are_work_of_the_module_that_makes_them() -> None:
    # 7 rows of 5: each operator but the last reads and writes 35, the first product reads 70; the last reads 35 + 5.
    model = nn.Sequential(CopyingRows())
    seen = count(model, meta(7, 5, dtype=torch.bfloat16))
    assert seen.calls == {"clone": 1, "mul": 2, "_to_copy": 2, "pow": 1}
    work = seen.by_path()["0"]
    assert work.reads == Elements(activation=35 + 70 + 35 + 35, float32=35 + 35, weight=5)
    assert work.writes == Elements(activation=35 + 35 + 35 + 35, float32=35 + 35)
    assert work.cuda_core_flops == 3 * 35


@pytest.mark.parametrize(
    ("module", "shape", "cuda_core_flops", "written"),
    [
        (Apply(lambda rows: rows.sum(dim=1)), (3, 5), 15, 3),  # one for each element that is summed
        (Apply(lambda rows: functional.interpolate(rows, size=11, mode="linear")), (1, 5, 7), 3 * 55, 55),
        (Apply(lambda rows: torch.sigmoid(rows) - 1.5), (3, 5), 4 * 15 + 15, 30),
        # A norm also writes the mean and the deviation of each row.
        (nn.LayerNorm(5, device="meta"), (3, 5), 7 * 15, 15 + 2 * 3),
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
    """Keeps what it is given first, and appends later input; attends over all that is cached."""

    def __init__(self, capacity: int = 0) -> None:
        super().__init__()
        self.kept = [meta(2, 3, capacity, 5)] if capacity else []

    def forward(self, states: Tensor, length: int) -> Tensor:
        if not length:
            self.kept = [states * 2.0]
            return functional.scaled_dot_product_attention(states, self.kept[0], self.kept[0])
        (cache,), stop = self.kept, length + states.shape[2]
        cache[:, :, length:stop].copy_(states)
        return functional.scaled_dot_product_attention(states, cache[:, :, :stop], cache[:, :, :stop])


def test_the_cache_is_counted_apart_and_only_as_far_as_it_is_filled() -> None:
    model = nn.Sequential(Caching(capacity=13))
    unused = meta(2, 3, 13, 5)
    # Two sequences, 3 heads, 4 positions behind 7 cached ones, 5 channels: 120 new elements, 2 * 3 * 11 * 5 = 330
    # in the cache afterwards, of which a capacity of 13 positions leaves 60 untouched.
    seen = count_forward(model, lambda: model[0](meta(2, 3, 4, 5), 7), cache=lambda: [*model[0].kept, unused])
    append, attend = seen.operators
    assert (append.name, append.reads, append.writes) == ("copy_", Elements(activation=120), Elements(kv=120))
    assert (append.cuda_core_flops, append.differentiated) == (0, Elements(kv=120))
    assert attend.reads == Elements(activation=120, kv=330)
    assert seen.cached_by_path == {"0": 330}, "the second tensor of the cache is never used"
    assert seen.kv_elements == 330


def test_what_a_forward_makes_and_keeps_is_the_cache_from_the_next_operator_on() -> None:
    model = Caching()
    make_keys, attend = count_forward(model, lambda: model(meta(2, 3, 4, 5), 0), cache=lambda: model.kept).operators
    assert make_keys.writes == Elements(activation=120), "it is in the cache only after it has run"
    assert attend.reads == Elements(activation=120, kv=120)


def test_of_a_tensor_that_several_modules_touch_the_largest_part_counts_once() -> None:
    cache = meta(7, 5)

    def touch(rows: Tensor) -> Tensor:
        return cache[: rows.shape[0]].copy_(rows)

    model = nn.ModuleList([Apply(touch), Apply(touch)])
    seen = count_forward(model, lambda: (model[0](meta(3, 5)), model[1](meta(6, 5))), cache=lambda: [cache])
    assert seen.cached_by_path == {"1": 30}


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Apply(lambda rows: rows.cumprod(dim=0)), r"the model: an operator .* found aten\.cumprod"),
        (nn.Sequential(nn.Hardswish()), r"^0: an operator that nothing accounts for; found aten\.hardswish"),
        (Apply(lambda rows: torch.fmod(rows, 2)), r"found aten\.fmod"),
        (Apply(lambda rows: functional.dropout(rows, 0.5)), r"found aten\.native_dropout"),
    ],
    ids=["arithmetic", "leaf", "comparison", "dropout"],
)
def test_what_is_not_known_is_an_error_that_names_it(module: nn.Module, message: str) -> None:
    with pytest.raises(CountError, match=message):
        count(module, meta(3, 5))


def test_matrix_products_that_no_operator_has_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a product taken for a view, it would be no operator; but torch counts its 2 * 3 * 3 * 5 FLOPs."""
    monkeypatch.setattr(dispatch, "VIEW_OPERATORS", VIEW_OPERATORS | {"mm"})
    with pytest.raises(CountError, match="matrix products outside all operators; expected 90; found 0"):
        count(Apply(lambda rows: rows @ rows.t()), meta(3, 5))


def test_the_hooks_are_gone_after_an_error() -> None:
    with pytest.raises(CountError):
        count(nn.Hardswish(), meta(3, 5))
    stranger = nn.Hardswish()
    assert stranger(meta(3, 5)).shape == (3, 5)
