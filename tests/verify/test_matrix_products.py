"""Matrix products by module, and what is refused."""

from __future__ import annotations

import pytest
import torch
from nets import meta
from torch import Tensor, nn

from modelmeter.support.errors import CountError
from modelmeter.verify.matrix_products import count_matrix_products


class Pair(nn.Module):
    """Two linear layers in a list, which is never called itself, and a product of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.ModuleList([nn.Linear(5, 3, device="meta"), nn.Linear(3, 7, device="meta")])

    def forward(self, rows: Tensor) -> Tensor:
        for linear in self.both:
            rows = linear(rows)
        return rows.t() @ rows


def test_each_module_has_its_products_and_those_below_it() -> None:
    model = Pair()
    # 11 rows: 2 * 11 * 5 * 3 = 330, 2 * 11 * 3 * 7 = 462; then 7 x 11 by 11 x 7: 2 * 7 * 11 * 7 = 1,078.
    assert count_matrix_products(model, lambda: model(meta(11, 5))).by_path == {
        "": 330 + 462 + 1078, "both": 792, "both.0": 330, "both.1": 462
    }  # fmt: skip


def test_a_model_of_which_only_parts_are_called() -> None:
    model = Pair()
    counted = count_matrix_products(model, lambda: model.both[1](meta(11, 3)))
    assert counted.by_path == {"": 462, "both": 462, "both.0": 0, "both.1": 462}


class Attend(nn.Module):
    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(query, key, key)


def test_attention_is_counted() -> None:
    model = Attend()
    # Two products of 2 * (2 * 3 * 5 * 7) * 4.
    counted = count_matrix_products(model, lambda: model(meta(2, 3, 5, 4), meta(2, 3, 7, 4)))
    assert counted.by_path == {"": 2 * 2 * 210 * 4}
    assert counted.aten_calls["bmm"] == 2


@pytest.mark.parametrize("product", [torch.mv, torch.dot], ids=["mv", "dot"])
def test_a_product_that_the_counter_has_no_rule_for_is_refused(product: torch._C._VariableFunctions) -> None:
    operands = {torch.mv: (meta(3, 5), meta(5)), torch.dot: (meta(5), meta(5))}[product]
    with pytest.raises(CountError, match="an operator that nothing accounts for; found aten"):
        count_matrix_products(nn.Identity(), lambda: product(*operands))


def test_products_outside_the_model_are_refused() -> None:
    model, stranger = nn.Identity(), Attend()
    with pytest.raises(CountError, match="Identity: matrix products outside all modules; expected 3360; found 0"):
        count_matrix_products(model, lambda: stranger(meta(2, 3, 5, 4), meta(2, 3, 7, 4)))
