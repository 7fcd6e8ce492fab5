"""The walk over live storages on tiny nets, against numbers worked out by hand in the comments."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.errors import CountError
from modelmeter.verify.live_storages import watch_storages


class Apply(nn.Module):
    """A composite module, because it has a child, whose forward calls ``function`` with itself."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function
        self.widen = nn.Linear(3, 11, device="meta")
        self.narrow = nn.Linear(11, 3, device="meta")
        self.row = nn.Parameter(meta(3))

    def forward(self, *inputs: Tensor) -> object:
        return self.function(self, *inputs)


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, device="meta", dtype=dtype)


def watch(function: Callable[..., object], *inputs: Tensor, cache: tuple[Tensor, ...] = ()) -> list[tuple[str, int]]:
    """Return the name of each operator, and the elements alive while it runs."""
    model = Apply(function)
    return [(live.name, live.elements) for live in watch_storages(model, lambda: model(*inputs), cache=cache)]


# Five rows of 3 channels are 15 elements, of 11 channels 55.


def test_a_residual_is_held_until_it_is_added() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        return rows + model.narrow(model.widen(rows))

    # 15 + 55; the input is held: 15 + 55 + 15; both and their sum: 3 * 15.
    assert watch(forward, meta(5, 3)) == [("Linear", 70), ("Linear", 85), ("add", 45)]


def test_what_is_read_for_the_last_time_is_gone_before_the_next_operator() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        return model.narrow(torch.sigmoid(model.widen(rows)))

    # 15 + 55; 2 * 55 without the input; 55 + 15.
    assert watch(forward, meta(5, 3)) == [("Linear", 70), ("sigmoid", 110), ("Linear", 70)]


def test_an_input_counts_from_its_first_read_on() -> None:
    def forward(model: Apply, rows: Tensor, more: Tensor) -> Tensor:
        return model.narrow(model.widen(rows)) * more

    assert watch(forward, meta(5, 3), meta(5, 3)) == [("Linear", 70), ("Linear", 70), ("mul", 45)]


def test_a_view_keeps_all_of_its_storage_alive_and_costs_nothing_itself() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        first, *_ = model.widen(rows).view(5, 11, 1).transpose(0, 1).unbind(0)
        other = rows * 2.0
        return first.expand(5, 3) + other

    # 15 + 55; the wide rows are held for one column of them: 15 + 55 + 15; 55 + 15 + 15.
    assert watch(forward, meta(5, 3)) == [("Linear", 70), ("mul", 85), ("add", 85)]


def test_a_cast_and_a_copy_for_another_layout_are_the_storage_that_they_come_from() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        wide = model.widen(rows).to(torch.float64)
        turned = wide.t().reshape(5, 11).float()  # torch copies twice
        return turned + wide

    # 15 + 55; the two operands are one storage: 55 + 55.
    assert watch(forward, meta(5, 3)) == [("Linear", 70), ("add", 110)]


def test_a_copy_of_an_input_before_its_first_read_is_the_input() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        return model.widen(rows.t().reshape(5, 3)).sum() + rows

    # 15 + 55; the input is held: 15 + 55 + 1; 15 + 1 + 15.
    assert watch(forward, meta(5, 3)) == [("Linear", 70), ("sum", 71), ("add", 31)]


def test_writing_into_a_part_of_a_storage_makes_no_other() -> None:
    def forward(model: Apply, rows: Tensor, more: Tensor) -> Tensor:
        target = rows * 2.0
        target[:, 1:3].copy_(more * 3.0)
        return target

    # 15 + 15; the target is held: 15 + 10 + 10; 15 + 10.
    assert watch(forward, meta(5, 3), meta(5, 2)) == [("mul", 30), ("mul", 35), ("copy_", 25)]


def test_reserved_memory_counts_from_when_it_is_written() -> None:
    def forward(model: Apply, rows: Tensor, order: Tensor) -> Tensor:
        target = torch.empty_like(rows)
        moved = rows[order]
        target[order] = moved * 2.0
        return target

    # 15 + 15 each; integers do not count.
    found = watch(forward, meta(5, 3), meta(5, dtype=torch.int64))
    assert found == [("index", 30), ("mul", 30), ("index_put", 30)]


def test_parameters_and_the_cache_do_not_count() -> None:
    cache = meta(7, 3)

    def forward(model: Apply, rows: Tensor) -> Tensor:
        cache[:5].copy_(rows * model.row)
        return cache[:5].to(torch.float16) + model.row.to(torch.float16).expand(5, 3)

    # 15 + 15; the copy into the cache: 15; the sum alone: 15.
    assert watch(forward, meta(5, 3), cache=(cache,)) == [("mul", 30), ("copy_", 15), ("add", 15)]


def test_what_is_returned_stays_to_the_end() -> None:
    def forward(model: Apply, rows: Tensor) -> tuple[Tensor, Tensor]:
        wide = model.widen(rows)
        return wide, model.narrow(torch.sigmoid(rows * 2.0).expand(5, 3) @ meta(3, 11))

    # 15 + 55, then 55 held beside 15 + 15; 15 + 15; 15 + 33 + 55; 55 + 15.
    assert watch(forward, meta(5, 3)) == [
        ("Linear", 70), ("mul", 85), ("sigmoid", 85), ("matmul", 158), ("Linear", 125)
    ]  # fmt: skip


def test_returned_integers_do_not_count() -> None:
    # 15 + 15, with the numbers of the rows beside them.
    found = watch(lambda _, rows, order: (rows[order], order + 1), meta(5, 3), meta(5, dtype=torch.int64))
    assert found == [("index", 30)]


def test_attention_stores_no_scores() -> None:
    def forward(_: Apply, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(query, key, value)

    # Queries 2 * 5 * 3, keys and values 2 * 7 * 3 each, as many outputs as queries.
    assert watch(forward, meta(2, 5, 3), meta(2, 7, 3), meta(2, 7, 3)) == [("scaled_dot_product_attention", 144)]


def test_each_operator_has_the_path_of_the_module_that_calls_it() -> None:
    model = nn.Sequential(Apply(lambda model, rows: model.narrow(model.widen(rows)) + 1.0))
    paths = [live.path for live in watch_storages(model, lambda: model(meta(5, 3)))]
    assert paths == ["0.widen", "0.narrow", "0"]


def test_a_function_that_is_on_no_list_fails() -> None:
    with pytest.raises(CountError, match="cumsum"):
        watch(lambda _, rows: rows.cumsum(0), meta(5, 3))


def test_a_module_of_another_model_fails() -> None:
    stranger = nn.Linear(3, 3, device="meta")
    with pytest.raises(CountError, match="not part of the model"):
        watch(lambda _, rows: stranger(rows), meta(5, 3))
