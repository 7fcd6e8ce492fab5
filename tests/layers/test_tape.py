"""Which buffers are alive together, on tiny forwards."""

from __future__ import annotations

import pytest
from attrs import frozen

from modelmeter.cost import Elements, Operator
from modelmeter.errors import FormulaError
from modelmeter.layers.activation import GELU
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import once, repeat
from modelmeter.layers.container import Idle, ModuleList, Sequential
from modelmeter.layers.linear import Linear
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.symbols import symbol


def alive(tape: Tape) -> list[tuple[str, object]]:
    return [(live.path, live.elements) for live in tape.list_operators()]


def test_a_buffer_is_alive_from_its_writer_to_its_last_reader() -> None:
    tape = Tape()
    first = tape.run(3)
    second = tape.run(5, first)
    tape.run(7, second)
    tape.run(11, first)
    # 3; 3 + 5; 3 + 5 + 7; 3 + 11
    assert [elements for _, elements in alive(tape)] == [3, 8, 15, 14]


def test_what_no_operator_writes_is_alive_from_its_first_reader_on() -> None:
    tape, given = Tape(), Buffer(13)
    tape.run(3)
    tape.run(5, given)
    assert [elements for _, elements in alive(tape)] == [3, 18]


def test_buffers_of_one_size_are_two_and_a_buffer_that_is_read_twice_is_one() -> None:
    tape, one, other = Tape(), Buffer(13), Buffer(13)
    tape.run(0, one, other)
    tape.run(0, one, one)
    assert [elements for _, elements in alive(tape)] == [26, 13]


def test_an_operator_writes_its_floating_output_only() -> None:
    operator = Operator(name="top", writes=Elements(activation=5, index=7, kv=11))
    assert Tape().run(operator).elements == 5


def test_several_outputs_end_on_their_own() -> None:
    tape = Tape()
    one, other = tape.run_all((3, 5))
    tape.run(7, one)
    tape.run(11, other)
    assert [elements for _, elements in alive(tape)] == [8, 15, 16]


def test_what_is_held_counts_beside_every_operator_of_its_context() -> None:
    tape = Tape()
    tape.run(3)
    with tape.holding(100, at_most=200):
        with tape.holding(10, at_most=10):
            tape.run(5)
        tape.run(7)
    tape.run(11)
    assert [(live.elements, live.at_most) for live in tape.list_operators()] == [
        (3, 3),
        (115, 215),
        (107, 207),
        (11, 11),
    ]


def test_what_does_not_run_keeps_nothing_alive() -> None:
    tape, steps = Tape(), symbol("decode_steps")
    with tape.only_if(steps), tape.only_if(3):
        tape.run(5)
    assert [elements for _, elements in alive(tape)] == [15 * steps]


def test_operators_have_the_path_of_the_module_that_calls_them() -> None:
    narrow = Linear(leading_shape=(5,), in_features=11, out_features=3)
    wide = Linear(leading_shape=(5,), in_features=3, out_features=11)
    inner = Sequential(layers=(wide, GELU(shape=(5, 11)), narrow))
    tape = Tape()
    Sequential(layers=(inner, wide)).replay(tape, Buffer(15))
    # 15 + 55; 55 + 55; 55 + 15; 15 + 55
    assert alive(tape) == [("0.0", 70), ("0.1", 110), ("0.2", 70), ("1", 70)]


def test_alike_siblings_are_recorded_once_and_only_where_there_are_some() -> None:
    layers, dense = symbol("num_layers"), symbol("first_k_dense_replace")
    linear = Linear(leading_shape=(5,), in_features=3, out_features=3)
    tape = Tape()
    ModuleList(groups=(repeat(linear, layers), repeat(linear, dense))).replay(tape, Buffer(15))
    (_, every), (_, some) = alive(tape)
    assert every == 30
    assert [some.xreplace({dense: count}) for count in (0, 7)] == [0, 30]


def test_nothing_happens_in_a_part_that_is_idle() -> None:
    tape, given = Tape(), Buffer(7)
    assert Idle().replay(tape, given) == (given,)
    assert alive(tape) == []


@frozen(kw_only=True, slots=False)
class Disordered(BaseLayer):
    """Two operators, in no order."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (1,)

    def operators(self) -> tuple[Operator, ...]:
        return (Operator(name="one"), Operator(name="other"))


def test_a_layer_whose_order_is_not_known_fails() -> None:
    with pytest.raises(FormulaError, match="Disordered"):
        Sequential(layers=(Disordered(),)).replay(Tape())


def test_a_child_that_is_not_there_fails() -> None:
    layer = ModuleList(groups=(once(Disordered()),))
    with pytest.raises(FormulaError, match="lacks"):
        Tape().call(layer, "norm")
