"""Operators as they are dispatched: what is taken apart, what stays whole, what is refused, and where it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from nets import AfterLinear, Apply, indices, learned, meta
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.metrics.operator_table import (
    ATTENTION,
    FRESH_MEMORY,
    MATRIX_OPERATORS,
    MOVING_OPERATORS,
    VECTOR_FLOPS,
    VIEW_OPERATORS,
)
from modelmeter.support.errors import CountError
from modelmeter.verify.dispatch import (
    Dispatched,
    DispatchFollower,
    is_listed,
    lay_out_heads,
    next_node_number,
    storage_key,
    tensors_in,
)


class Log(DispatchFollower):
    """Lists what runs, what is reserved, and how often an operator was announced."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.seen: list[Dispatched] = []
        self.reserved: list[Tensor] = []
        self.announced: list[int] = []

    def before(self) -> None:
        self.announced.append(len(self.seen))

    def note(self, operator: Dispatched) -> None:
        self.seen.append(operator)

    def reserve(self, outputs: list[Tensor]) -> None:
        self.reserved += outputs

    @property
    def names(self) -> list[str]:
        return [operator.name for operator in self.seen]


def follow(model: nn.Module, forward: Callable[[], object]) -> Log:
    log = Log(model)
    with torch.inference_mode(), log.modules.watch_modules(), log:
        forward()
    return log


def follow_learning(model: nn.Module, forward: Callable[[], object]) -> Log:
    log = Log(model)
    with torch.enable_grad(), log.modules.watch_modules(), log, log.follow_attention():
        forward()
    return log


@pytest.mark.parametrize(
    ("compose", "names"),
    [
        (lambda: functional.linear(meta(7, 5), meta(3, 5), meta(3)), ["addmm"]),
        (lambda: functional.linear(meta(2, 7, 5), meta(3, 5)), ["mm"]),
        (lambda: meta(7, 5) @ meta(5, 3), ["mm"]),
        (lambda: meta(2, 7, 5) @ meta(2, 5, 3), ["bmm"]),
        # The queries of a row have to be beside each other: SAM's product for its relative positions.
        (lambda: torch.einsum("bhwc,hkc->bhwk", meta(2, 3, 5, 7), meta(3, 11, 7)), ["clone", "bmm"]),
        (lambda: meta(3, 5).t().reshape(15), ["clone"]),
        (lambda: meta(3, 5).t().contiguous(), ["clone"]),
        (lambda: meta(3, 5, dtype=torch.bfloat16).softmax(-1, dtype=torch.float32), ["_to_copy", "_softmax"]),
        (lambda: functional.layer_norm(meta(3, 5), (5,), meta(5), meta(5)), ["native_layer_norm"]),
        (lambda: functional.interpolate(meta(1, 3, 5), size=11, mode="linear"), ["upsample_linear1d"]),
        (lambda: functional.pad(meta(3, 5), (0, 2)), ["constant_pad_nd"]),
        (lambda: functional.embedding(indices(7), meta(11, 5)), ["embedding"]),
        (lambda: indices(7).argsort(), ["sort"]),
        (lambda: meta(11, 5)[indices(7)], ["index"]),
        (lambda: meta(11, 5).__setitem__(indices(7), meta(7, 5)), ["index_put_"]),
        (lambda: meta(11, 5).__setitem__(slice(7), meta(7, 5)), ["copy_"]),
        (lambda: functional.silu(meta(3, 5)).mul_(2.0), ["silu", "mul_"]),
    ],
)
def test_functions_are_taken_apart_into_what_reaches_the_kernels(
    compose: Callable[[], object], names: list[str]
) -> None:
    assert follow(nn.Identity(), compose).names == names


@pytest.mark.parametrize(
    "show",
    [
        lambda: meta(3, 5).reshape(15).view(5, 3).t(),
        lambda: meta(3, 5).contiguous(),
        lambda: meta(3, 5).to(torch.float32),
        lambda: meta(3, 5)[1:, None].expand(2, 7, 5).transpose(0, 1),
        lambda: meta(3, 1, 5).squeeze(1).unbind(0),
        lambda: torch.split(meta(3, 5), [1, 2]),
        lambda: meta(3, 5).detach().flatten(0, 1),
    ],
)
def test_views_and_copies_that_are_not_needed_are_nothing(show: Callable[[], object]) -> None:
    log = follow(nn.Identity(), show)
    assert log.names == []
    assert [tuple(tensor.shape) for tensor in log.reserved] in ([(3, 5)], [(3, 1, 5)]), "what is shown is reserved"


def test_memory_that_is_reserved_or_filled_is_told_apart_from_operators() -> None:
    log = follow(nn.Identity(), lambda: (torch.zeros_like(meta(3, 5)), torch.arange(7, device="meta")))
    assert log.names == []
    assert [tuple(tensor.shape) for tensor in log.reserved] == [(3, 5), (3, 5), (7,)]


def test_every_operator_is_announced_before_it_runs() -> None:
    log = follow(nn.Identity(), lambda: torch.sigmoid(meta(3, 5) + 1.0).view(15) * 2.0)
    assert log.names == ["add", "sigmoid", "mul"]
    assert list(dict.fromkeys(log.announced)) == [0, 1, 2]


def attend(device: str = "meta", **options: Any) -> Tensor:
    # 2 sequences, 6 query heads over 3 of keys and values, 5 queries, 7 keys, 4 channels.
    query, key, value = (
        torch.ones(2, heads, length, 4, device=device, requires_grad=torch.is_grad_enabled())
        for heads, length in ((6, 5), (3, 7), (3, 7))
    )
    return functional.scaled_dot_product_attention(query, key, value, enable_gqa=True, **options)


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("run", [follow, follow_learning], ids=["inference", "learning"])
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}], ids=str)
def test_attention_is_one_operator(run: Callable[..., Log], device: str, options: dict[str, Any]) -> None:
    log = run(nn.Identity(), lambda: attend(device, **options))
    (operator,) = [operator for operator in log.seen if operator.name != "clone"]
    assert operator.name == ATTENTION
    assert [tuple(tensor.shape) for tensor in operator.inputs] == [(2, 6, 5, 4), (2, 3, 7, 4), (2, 3, 7, 4)]
    assert [tuple(tensor.shape) for tensor in operator.outputs] == [(2, 6, 5, 4)]


@pytest.mark.parametrize("run", [follow, follow_learning], ids=["inference", "learning"])
@pytest.mark.parametrize("options", [{}, {"attn_mask": meta(5, 7)}], ids=["plain", "mask"])
def test_a_mask_is_an_input_of_attention_however_it_is_given(run: Callable[..., Log], options: dict[str, Any]) -> None:
    (operator,) = run(nn.Identity(), lambda: attend(**options)).seen
    assert len(operator.inputs) == 3 + len(options)


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("run", [follow, follow_learning], ids=["inference", "learning"])
def test_the_heads_of_attention_are_last_but_one_in_memory_so_joining_them_is_a_view(
    run: Callable[..., Log], device: str
) -> None:
    joined: list[Tensor] = []

    def join() -> None:
        attended = attend(device)
        # 5 queries of 6 heads of 4 channels: a head is 4 elements behind the one before it, a query 24.
        assert attended.stride() == (120, 4, 24, 1)
        joined.append(attended.transpose(1, 2).reshape(2, 5, 24))
        assert storage_key(joined[0]) == storage_key(attended)

    assert run(nn.Identity(), join).names == [ATTENTION]


def test_laying_out_the_heads_changes_no_number() -> None:
    attended = torch.arange(2 * 3 * 5 * 7.0).view(2, 3, 5, 7)
    laid_out = lay_out_heads(attended)
    assert torch.equal(laid_out, attended)
    assert laid_out.transpose(1, 2).is_contiguous()


def test_attention_computes_what_it_computes_unwatched() -> None:
    torch.manual_seed(3)
    tensors = [torch.randn(2, 3, 5, 7, requires_grad=True) for _ in range(3)]
    expected = functional.scaled_dot_product_attention(*tensors)
    found: list[Tensor] = []
    follow_learning(nn.Identity(), lambda: found.append(functional.scaled_dot_product_attention(*tensors)))
    torch.testing.assert_close(found[0], expected)
    assert found[0].requires_grad


def test_attention_is_torchs_own_again_afterwards_also_after_an_error() -> None:
    original = functional.scaled_dot_product_attention
    with pytest.raises(CountError):
        follow_learning(nn.Identity(), lambda: (attend(), torch.erfinv(learned(3, 5))))
    assert functional.scaled_dot_product_attention is original

    def recover() -> Tensor:
        with pytest.raises(TypeError):
            functional.scaled_dot_product_attention(*[meta(1, 3, 5, 7)] * 2, None)  # type: ignore[arg-type]
        return learned(3, 5) + 1.0

    assert follow_learning(nn.Identity(), recover).names == ["add"], "what comes after is not taken for a part of it"


@pytest.mark.parametrize("run", [follow, follow_learning], ids=["inference", "learning"])
def test_an_operator_that_is_on_no_list_is_refused_with_its_name_and_place(run: Callable[..., Log]) -> None:
    model = nn.Sequential(nn.Identity(), AfterLinear(torch.erfinv).to("meta"))
    with pytest.raises(CountError, match=r"^1: an operator that nothing accounts for; found aten\.erfinv; add it to"):
        run(model, lambda: model(meta(7, 5)))
    with pytest.raises(CountError, match=r"^the model: .* found aten\.cumprod"):
        run(model, lambda: meta(7, 5).cumprod(0))


def test_a_leaf_module_is_followed_inside() -> None:
    with pytest.raises(CountError, match=r"^0: .*aten\.hardswish"):
        follow(model := nn.Sequential(nn.Hardswish()), lambda: model(meta(3, 5)))


def test_a_module_that_is_not_part_of_the_model_is_refused() -> None:
    stranger = nn.Linear(5, 2, device="meta")
    model = nn.Sequential(Apply(lambda rows: stranger(rows)))
    with pytest.raises(CountError, match="Linear: a module runs that is not part of the model"):
        follow(model, lambda: model(meta(3, 5)))
    stranger(meta(3, 5))  # and nothing is watched any more


def test_a_module_without_parameters_that_code_makes_is_a_function_of_its_caller() -> None:
    model = nn.Sequential(Apply(lambda rows: nn.Softmax(dim=-1)(rows).exp()), nn.Identity())
    log = follow(model, lambda: model(meta(3, 5)))
    assert [(operator.path, operator.name) for operator in log.seen] == [("0", "_softmax"), ("0", "exp")]


def test_operators_are_at_the_path_of_the_innermost_module_that_runs() -> None:
    model = nn.Sequential(AfterLinear(lambda rows: rows + 1.0).to("meta"), nn.Sequential(nn.GELU()))
    log = follow(model, lambda: model(meta(7, 5)) * 2.0)
    assert [(operator.path, operator.name) for operator in log.seen] == [
        ("0.linear", "addmm"), ("0", "add"), ("1.0", "gelu"), ("", "mul")
    ]  # fmt: skip


def test_what_works_on_integers_only_has_no_floats() -> None:
    seen = follow(nn.Identity(), lambda: (indices(7) // 2, indices(7) * 1.0, meta(11, 5)[indices(7)])).seen
    assert [(operator.name, operator.has_floats) for operator in seen] == [
        ("floor_divide", False), ("mul", True), ("index", True)
    ]  # fmt: skip


def test_tensors_are_found_in_their_order_wherever_they_are() -> None:
    first, second, third = meta(3), meta(5), meta(7)
    assert [tensor.shape[0] for tensor in tensors_in(first, [(second, 2.5)], {"key": third, "other": None})] == [
        3,
        5,
        7,
    ]


def test_views_have_the_key_of_their_memory_and_copies_one_of_their_own() -> None:
    rows = meta(3, 5)
    copied = rows.clone()
    assert storage_key(rows.t()[1:]) == storage_key(rows) != storage_key(copied)


def test_the_next_node_has_the_number_that_was_told() -> None:
    rows = learned(3, 5)
    number = next_node_number()
    found = rows * 2.0
    assert found.grad_fn is not None
    assert found.grad_fn._sequence_nr() == number
    assert next_node_number() == number + 1


def test_every_list_of_the_table_is_known_and_nothing_else() -> None:
    lists = (VIEW_OPERATORS, FRESH_MEMORY, MOVING_OPERATORS, MATRIX_OPERATORS, VECTOR_FLOPS)
    assert all(is_listed(name) for names in lists for name in names)
    assert is_listed("mul_"), "in place as out of place"
    assert not any(map(is_listed, ("erfinv", "cumprod", "native_dropout", "", "_")))
