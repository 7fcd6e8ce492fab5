"""``torch.nn.Sequential``, ``torch.nn.ModuleList``, and what takes no part in a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from attrs import frozen
from torch import Tensor, nn

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.layers.activation import GELU
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, never, once, repeat
from modelmeter.layers.container import Absent, ModuleList, Sequential
from modelmeter.layers.linear import Linear
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.dimensions import symbol

i, o = symbol("in_features"), symbol("out_features")


def test_a_sequence_adds_up_its_layers_and_ends_as_the_last_does(check_layer: Callable[..., None]) -> None:
    module = nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 11, bias=False)).to("meta")
    shape = (2, 3)
    layer = Sequential(
        layers=(
            Linear(leading_shape=shape, in_features=i, out_features=o),
            GELU(shape=(*shape, o)),
            Linear(leading_shape=shape, in_features=o, out_features=11, bias=False),
        )
    )
    rows = torch.empty(2, 3, 5, device="meta")
    check_layer(layer, {"in_features": 5, "out_features": 7}, module, lambda: module(rows))


class Stack(nn.Module):
    """Three square layers, then two wider ones that nothing calls."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([*(nn.Linear(5, 5) for _ in range(3)), *(nn.Linear(5, 7) for _ in range(2))])

    def forward(self, rows: Tensor) -> Tensor:
        for layer in self.layers[:3]:
            rows = layer(rows)
        return rows


@frozen(kw_only=True, slots=False)
class StackLayer(BaseLayer):
    """The layer of ``Stack``."""

    square: Linear
    unused: Linear
    num_layers: Size

    @property
    def output_shape(self) -> Shape:
        return self.square.output_shape

    def build_children(self) -> Mapping[str, Child]:
        return {"layers": once(ModuleList(groups=(repeat(self.square, self.num_layers), *[never(self.unused)] * 2)))}


def test_a_list_multiplies_a_group_by_its_siblings_and_stores_what_is_never_called(
    check_layer: Callable[..., None],
) -> None:
    layer = StackLayer(
        square=Linear(leading_shape=(3,), in_features=i, out_features=i),
        unused=Linear(leading_shape=(3,), in_features=i, out_features=o),
        num_layers=symbol("num_layers"),
    )
    stack, rows = Stack().to("meta"), torch.empty(3, 5, device="meta")
    sizes = {"in_features": 5, "out_features": 7, "num_layers": 3}
    check_layer(layer, sizes, stack, lambda: stack(rows))


def test_a_list_is_as_the_last_of_its_groups() -> None:
    groups = tuple(repeat(Linear(leading_shape=(3,), in_features=i, out_features=size), 2) for size in (5, 7))
    assert ModuleList(groups=groups).output_shape == (3, 7)


def test_nothing_costs_nothing() -> None:
    assert all(Absent().cost[metric] == 0 for metric in METRICS)
    assert Absent().output_shape == ()


# --- replays -----------------------------------------------------------------------------------------------

NARROW = Linear(leading_shape=(5,), in_features=11, out_features=3)
WIDE = Linear(leading_shape=(5,), in_features=3, out_features=11)


def given(elements: int) -> Buffer:
    return Buffer(Elements(activation=elements))


def list_alive(tape: Tape) -> list[tuple[str, Size]]:
    return [(live.path, live.alive.activation) for live in tape.list_operators()]


def test_a_list_is_not_called_so_it_holds_nothing() -> None:
    """The first of its layers returns before the second runs: 15 + 55, then 55 + 15."""
    groups = ModuleList(groups=(once(WIDE), once(NARROW)))
    tape = Tape()
    groups.replay(tape, given(15))
    assert list_alive(tape) == [("0", 70), ("1", 70)]
    called, listed = Tape(), Tape()
    for tape, layer in ((called, Sequential(layers=(WIDE, NARROW))), (listed, groups)):
        tape.call(Sequential(layers=(layer,)), "0", given(15))
    # The 15 that the sequence is given are beside its second layer, too: 15 + 55 + 15.
    assert list_alive(called) == [("0.1", 85)]
    assert list_alive(listed) == [("0.0", 70), ("0.1", 70)]


def test_alike_siblings_are_recorded_once_or_twice_and_only_where_there_are_some() -> None:
    """The first of them, beside which is what the caller still holds, and one of the others."""
    layers, dense = symbol("num_hidden_layers"), symbol("first_k_dense_replace")
    square = Linear(leading_shape=(5,), in_features=3, out_features=3)
    tape, handed = Tape(), given(15)
    ModuleList(groups=(repeat(square, layers), repeat(square, dense))).replay(tape, handed)
    tape.keep(handed)
    # What goes into the list is held to the end: beside what goes into each of the others, and what comes out.
    assert list_alive(tape) == [("0", 30), ("0", 45), ("1", 45), ("1", 45)]
    for counts, expected in (((2, 0), [1, 1, 0, 0]), ((1, 1), [1, 0, 1, 0]), ((3, 2), [1, 1, 1, 1])):
        sizes = dict(zip(("num_hidden_layers", "first_k_dense_replace"), counts, strict=True))
        assert [evaluate(live.factor, sizes) for live in tape.list_operators()] == expected


def test_nothing_happens_in_a_part_that_is_idle() -> None:
    tape, features = Tape(), given(7)
    assert Absent().replay(tape, features) == (features,)
    assert list_alive(tape) == []
