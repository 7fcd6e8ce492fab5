"""The walk over live storages on tiny nets, against numbers worked out by hand in the comments.

Beside an operator all is alive that the code has not let go of: what a name or a caller still holds, whether it is read
again or not.
"""

from __future__ import annotations

import pytest
import torch
from nets import indices, meta
from storage_walks import Apply, watch
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.metrics.cost import Elements
from modelmeter.support.errors import CountError
from modelmeter.verify.live_storages import watch_storages

# Five rows of 3 channels are 15 elements, of 11 channels 55. The caller holds the rows to the end.


def test_what_nothing_names_is_gone_when_the_operator_or_module_that_reads_it_is_done() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        return model.narrow(torch.sigmoid(model.widen(rows)))

    # 15 + 55; 15 + 2 * 55; the sigmoid is what the module was given: 15 + 55 + 15.
    assert watch(forward, meta(5, 3)) == [("addmm", 70), ("sigmoid", 125), ("addmm", 85)]


def test_what_a_variable_names_is_alive_though_nothing_reads_it_again() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        wide = model.widen(rows)
        squashed = torch.sigmoid(wide)
        return model.narrow(squashed)

    # As above, but the wide rows are there to the end: 15 + 55 + 55 + 15.
    assert watch(forward, meta(5, 3)) == [("addmm", 70), ("sigmoid", 125), ("addmm", 140)]


def test_a_variable_lets_go_when_it_names_something_else_or_nothing() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        wide = model.widen(rows)
        wide = torch.sigmoid(wide)  # the first wide rows are read by this, and gone after it
        narrow = model.narrow(wide)
        del wide
        return narrow * 2.0

    # 15 + 55; 15 + 2 * 55; 15 + 55 + 15; 15 + 15 + 15.
    assert watch(forward, meta(5, 3)) == [("addmm", 70), ("sigmoid", 125), ("addmm", 85), ("mul", 45)]


def test_an_input_is_alive_from_its_first_use_to_the_end() -> None:
    def forward(model: Apply, rows: Tensor, more: Tensor) -> Tensor:
        return model.narrow(model.widen(rows)) * more + 1.0

    # 15 + 55; 15 + 55 + 15; both inputs, and two of 15; the same.
    assert watch(forward, meta(5, 3), meta(5, 3)) == [("addmm", 70), ("addmm", 85), ("mul", 60), ("add", 60)]


def test_what_the_caller_has_made_before_is_alive_from_the_start() -> None:
    model, rows, page = Apply(lambda model, rows: model.widen(rows)), meta(5, 3), meta(7, 13)
    seen = watch_storages(model, lambda: model(rows), inputs=[rows, page])
    # 15 + 55, and the 91 of the page, which nothing reads.
    assert [live.alive.activation for live in seen] == [161]


class Rescale(nn.Module):
    """Gives its argument another meaning, as the decoder's attention does."""

    def forward(self, states: Tensor) -> Tensor:
        states = states * 2.0
        states = states * 3.0
        return states * 5.0


def test_what_a_caller_hands_to_a_module_is_alive_until_the_module_returns() -> None:
    model = nn.Sequential(Rescale(), Rescale())
    seen = watch_storages(model, lambda: model(meta(5, 3) + 1.0) * 7.0)
    # The sum alone, as what it was made of is gone with it: 15 + 15. In a module, beside what it was given: the first
    # product; then two of them, twice. The second module was given the output of the first. The last product: 15 + 15.
    assert [(live.path, live.name, live.alive.activation) for live in seen] == [
        ("", "add", 30),
        ("0", "mul", 30), ("0", "mul", 45), ("0", "mul", 45),
        # What is given to the sequence itself is held to its end: 15 more.
        ("1", "mul", 45), ("1", "mul", 60), ("1", "mul", 60),
        ("", "mul", 30),
    ]  # fmt: skip


def test_a_temporary_inside_a_composite_function_dies_in_it() -> None:
    def inside(model: Apply, grid: Tensor, table: Tensor) -> Tensor:
        return torch.einsum("bhwc,hkc->bhwk", grid, table) * 2.0

    def beside(model: Apply, grid: Tensor, table: Tensor) -> Tensor:
        rows_first = grid.permute(1, 0, 2, 3).reshape(3, 10, 7)
        return (rows_first @ table.transpose(1, 2)).view(3, 2, 5, 11).permute(1, 0, 2, 3) * 2.0

    # A grid of 2 x 3 x 5 x 7 = 210, turned by a copy, with a table of 3 x 11 x 7 = 231 into 2 x 3 x 5 x 11 = 330.
    # The table is first used by the product. Afterwards the copy is there only where a variable names it.
    grid, table = meta(2, 3, 5, 7), meta(3, 11, 7)
    together = [("clone", 420), ("bmm", 210 + 210 + 231 + 330)]
    assert watch(inside, grid, table) == [*together, ("mul", 210 + 231 + 2 * 330)]
    assert watch(beside, grid, table) == [*together, ("mul", 210 + 231 + 2 * 330 + 210)]


def test_a_view_keeps_all_of_its_storage_alive_and_is_none_itself() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        first, *_ = model.widen(rows).view(5, 11, 1).transpose(0, 1).unbind(0)
        other = rows * 2.0
        return first.expand(5, 3) + other

    # 15 + 55; the wide rows are held for one column of them: 15 + 55 + 15; 15 + 55 + 15 + 15.
    assert watch(forward, meta(5, 3)) == [("addmm", 70), ("mul", 85), ("add", 100)]


def test_a_storage_is_as_large_as_it_is_however_it_is_expanded() -> None:
    # A row of 3 is stored for five; the sum has 15.
    assert watch(lambda _, row: row.expand(5, 3) + 1.0, meta(1, 3)) == [("add", 18)]


def test_a_copy_for_another_layout_is_a_storage_and_one_that_needs_no_copy_is_not() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        turned = rows.t().reshape(15)
        flat = rows.reshape(15)
        return turned * flat

    # 15 + 15; and the product.
    assert watch(forward, meta(5, 3)) == [("clone", 30), ("mul", 45)]


def test_an_operator_in_place_makes_no_storage() -> None:
    def forward(model: Apply, rows: Tensor, more: Tensor) -> Tensor:
        target = rows * 2.0
        same = target.mul_(3.0)
        target[:, 1:3].copy_(more * 5.0)
        return same

    # 15 + 15; the same; the other input of 10 and its product: 30 + 20; the same.
    found = watch(forward, meta(5, 3), meta(5, 2))
    assert found == [("mul", 30), ("mul_", 30), ("mul", 50), ("copy_", 50)]


def test_kinds_are_told_apart() -> None:
    model = Apply(lambda model, rows, order: rows[order].float().pow(2)).to(torch.bfloat16)
    rows, order = meta(5, 3, dtype=torch.bfloat16), indices(5)
    # The rows and what is taken of them; the same, and a float32 copy; the copy and its square.
    assert [live.alive for live in watch_storages(model, lambda: model(rows, order))] == [
        Elements(activation=30, index=5),
        Elements(activation=30, index=5, float32=15),
        Elements(activation=15, index=5, float32=30),
    ]


def test_parameters_and_buffers_do_not_count_but_what_is_made_of_them_does() -> None:
    # The row and the column are the model's; their product has 15 elements, and is gone after the sum.
    found = watch(lambda model, rows: rows + model.row * model.column, meta(5, 3))
    assert found == [("mul", 15), ("add", 45)]


def test_what_a_list_holds_is_alive() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        parts = [rows * factor for factor in (2.0, 3.0, 5.0)]
        return torch.cat(parts)

    # 15 and one, two, three parts; then three and the 45 of all.
    assert watch(forward, meta(5, 3)) == [("mul", 30), ("mul", 45), ("mul", 60), ("cat", 15 + 45 + 45)]


def test_of_several_outputs_one_may_outlive_another() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        normed = functional.layer_norm(rows, (3,))
        return normed * 2.0

    # 15 + 15, with a mean and a deviation for each of 5 rows; these are gone: 3 * 15.
    assert watch(forward, meta(5, 3)) == [("native_layer_norm", 40), ("mul", 45)]


def test_attention_stores_no_scores_and_its_heads_are_joined_by_a_view() -> None:
    def forward(_: Apply, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        attended = functional.scaled_dot_product_attention(query, key, value)
        return attended.transpose(1, 2).reshape(2, 5, 12) + 1.0

    # Queries 2 * 4 * 5 * 3 = 120, keys and values 2 * 4 * 7 * 3 = 168 each, as many outputs as queries.
    found = watch(forward, meta(2, 4, 5, 3), meta(2, 4, 7, 3), meta(2, 4, 7, 3))
    assert found == [("scaled_dot_product_attention", 576), ("add", 576 + 120)]


def test_a_bias_of_scores_is_alive_as_long_as_it_is_named() -> None:
    def forward(_: Apply, query: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        bias = (rows + columns).view(1, 2, 15, 15)
        return functional.scaled_dot_product_attention(query, query, query, attn_mask=bias) * 2.0

    # 2 heads over 3 x 5 positions of 7 channels: 210; terms 2 * 15 * 3 = 90 and 150; 2 * 15 * 15 = 450 scores.
    found = watch(forward, meta(1, 2, 15, 7), meta(2, 15, 3, 1), meta(2, 15, 1, 5))
    assert found == [
        ("add", 90 + 150 + 450),
        ("scaled_dot_product_attention", 90 + 150 + 450 + 2 * 210),
        ("mul", 90 + 150 + 450 + 3 * 210),
    ]


def test_each_operator_has_the_path_of_the_module_that_calls_it() -> None:
    model = nn.Sequential(Apply(lambda model, rows: model.narrow(model.widen(rows)) + 1.0))
    paths = [live.path for live in watch_storages(model, lambda: model(meta(5, 3)))]
    assert paths == ["0.widen", "0.narrow", "0"]


def test_a_walk_leaves_nothing_behind() -> None:
    model = Apply(lambda model, rows: model.narrow(model.widen(rows)))
    rows = meta(5, 3)
    first = watch_storages(model, lambda: model(rows))
    assert watch_storages(model, lambda: model(rows)) == first
    nn.Linear(3, 3, device="meta")(rows)  # no module is a stranger any more


def test_an_operator_that_is_on_no_list_fails() -> None:
    with pytest.raises(CountError, match=r"the model: an operator that nothing accounts for; found aten\.cumprod"):
        watch(lambda _, rows: rows.cumprod(0), meta(5, 3))


def test_a_module_of_another_model_fails() -> None:
    stranger = nn.Linear(3, 3, device="meta")
    with pytest.raises(CountError, match="Linear: a module runs that is not part of the model"):
        watch(lambda _, rows: stranger(rows), meta(5, 3))
