"""Which buffers are alive together, on tiny forwards."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from attrs import frozen

from modelmeter.layers.activation import GELU
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import Child, once
from modelmeter.layers.container import ModuleList, Sequential
from modelmeter.layers.linear import Linear
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import FormulaError

CAST = Operator(name="_to_copy", reads=Elements(activation=7), writes=Elements(float32=7))


def write(elements: int) -> Operator:
    """Return an operator that writes as many activations."""
    return Operator(name="clone", writes=Elements(activation=elements))


def given(elements: int) -> Buffer:
    return Buffer(Elements(activation=elements))


def alive(tape: Tape) -> list[Elements]:
    return [live.alive for live in tape.list_operators()]


def activations(tape: Tape) -> list[object]:
    """Return the activations beside each operator, where nothing else is alive."""
    assert {elements for each in alive(tape) for elements in (each.weight, each.kv, each.index, each.float32)} == {0}
    return [each.activation for each in alive(tape)]


# --- how long a buffer is alive ----------------------------------------------------------------------------


def test_a_buffer_is_alive_from_its_writer_to_its_last_reader() -> None:
    tape = Tape()
    first = tape.run(write(3))
    second = tape.run(write(5), first)
    third = tape.run(write(7), second)
    tape.run(write(11), first)
    tape.run(write(13), third)
    # 3 and 3 + 5 are in 3 + 5 + 7; 3 + 7 + 11, where the second is gone; 7 + 13, where the first is, too.
    assert activations(tape) == [15, 21, 20]


def test_what_no_operator_writes_is_alive_from_its_first_reader_on() -> None:
    tape, late = Tape(), given(13)
    tape.run(write(3))
    tape.run(write(5), late)
    assert activations(tape) == [3, 18]


def test_buffers_of_one_size_are_two_and_a_buffer_that_is_read_twice_is_one() -> None:
    tape, one, other = Tape(), given(13), given(13)
    tape.run(write(0), one, one)
    tape.run(write(1), one, other)
    assert activations(tape) == [13, 27]


def test_an_operator_writes_neither_parameters_nor_the_cache_into_a_buffer() -> None:
    writes = Elements(activation=5, index=7, float32=3, kv=11, weight=13)
    assert Tape().run(Operator(name="top", writes=writes)).elements == Elements(activation=5, index=7, float32=3)


def test_several_outputs_end_on_their_own() -> None:
    tape = Tape()
    one, other = tape.run_all(write(0), (Elements(activation=3), Elements(index=5)))
    tape.run(write(7), one)
    tape.run(write(11), other)
    # The index lives on beside the second operator, and the activations do not beside the third. Beside the first is
    # nothing that is not beside the second.
    assert alive(tape) == [Elements(activation=10, index=5), Elements(activation=11, index=5)]


def test_what_is_changed_in_place_stays_the_buffer_that_it_is() -> None:
    tape, target, values = Tape(), given(13), given(5)
    changed = tape.change(write(99), target, values)
    tape.run(write(3), changed)
    # What an operator that works in place writes is no buffer of its own.
    assert changed is target
    assert activations(tape) == [18, 16]


def test_what_the_code_holds_when_an_operator_runs_is_alive_although_nothing_reads_it() -> None:
    tape = Tape()
    held = tape.run(write(3))
    tape.run(write(5))
    tape.run(write(7))
    tape.keep(held)
    tape.run(write(11))
    # 3 is beside 5, which nothing reads, and beside 7, when it is let go.
    assert activations(tape) == [8, 10, 11]


def test_what_is_reserved_is_alive_from_the_next_operator_on() -> None:
    tape, reserved = Tape(), given(13)
    tape.run(write(3))
    tape.reserve(reserved)
    tape.run(write(5))
    tape.run(write(7))
    tape.keep(reserved)
    tape.run(write(1))
    assert activations(tape) == [3, 18, 20, 1]


def test_before_any_operator_there_is_nothing_to_hold_a_buffer_beside() -> None:
    tape = Tape()
    tape.keep(given(13))
    tape.run(write(3))
    assert activations(tape) == [3]


# --- casts -------------------------------------------------------------------------------------------------


def test_a_cast_writes_a_buffer_of_its_own_where_there_are_casts() -> None:
    tape, features = Tape(casts=True), given(7)
    wide = tape.cast(CAST, features)
    assert wide.elements == Elements(float32=7)
    assert alive(tape) == [Elements(activation=7, float32=7)]


def test_without_casts_there_is_no_operator_and_the_buffer_is_the_same() -> None:
    tape, features = Tape(casts=False), given(7)
    assert tape.cast(CAST, features) is features
    assert alive(tape) == []


# --- what is left out --------------------------------------------------------------------------------------


def test_an_operator_is_left_out_where_all_beside_it_is_beside_another() -> None:
    """Of two with the same buffers beside them, the first stays."""
    tape, one = Tape(), given(13)
    with tape.inside("first", GELU(shape=(13,))):
        tape.change(write(0), one)
    with tape.inside("second", GELU(shape=(13,))):
        tape.change(write(0), one)
    assert [live.path for live in tape.list_operators()] == ["first"]


def test_an_operator_is_left_out_only_for_another_of_its_part() -> None:
    tape, one = Tape(), given(13)
    for name, size in (("vision", 3), ("prefill", 7), ("vision", 5)):
        with tape.inside(name, GELU(shape=(13,))):
            tape.change(write(size), one)
    assert [live.path for live in tape.list_operators()] == ["vision"]
    assert [live.path for live in tape.list_operators(str)] == ["vision", "prefill"]


def test_one_that_may_not_run_covers_only_those_that_run_where_it_does() -> None:
    tape, one, condition = Tape(), given(13), symbol("decode_steps")
    tape.change(write(0), one)
    with tape.only_if(condition):
        two = tape.run(write(5), one)
        tape.run(write(7), two, one)
    # 13 + 5 is in 13 + 5 + 7, which runs where it does; 13 alone is beside an operator that always runs.
    assert [(live.factor, live.alive.activation) for live in tape.list_operators()] == [(1, 13), (condition, 25)]


def test_one_beside_which_more_is_held_is_not_covered_by_one_beside_which_less_is() -> None:
    tape, one = Tape(), given(13)
    with tape.holding(Elements(activation=100), at_most=Elements(activation=200)):
        tape.change(write(0), one)
    tape.run(write(5), one)
    assert activations(tape) == [113, 18]


def test_what_is_held_counts_beside_every_operator_of_its_context() -> None:
    tape = Tape()
    tape.run(write(3))
    with tape.holding(Elements(activation=100), at_most=Elements(activation=200)):
        with tape.holding(Elements(index=10), at_most=Elements(index=10)):
            tape.run(write(5))
        tape.run(write(7))
    tape.run(write(11))
    assert [(live.alive, live.at_most) for live in tape.list_operators()] == [
        (Elements(activation=3), Elements(activation=3)),
        (Elements(activation=105, index=10), Elements(activation=205, index=10)),
        (Elements(activation=107), Elements(activation=207)),
        (Elements(activation=11), Elements(activation=11)),
    ]


def test_what_does_not_run_is_listed_with_its_condition_or_not_at_all() -> None:
    tape, steps = Tape(), symbol("decode_steps")
    with tape.only_if(steps), tape.only_if(3):
        tape.run(write(5))
    with tape.only_if(0):
        tape.run(write(7))
    tape.run(write(1))
    assert [(live.factor, live.alive.activation) for live in tape.list_operators()] == [(3 * steps, 5), (1, 1)]


def test_a_buffer_that_may_be_empty_is_as_large_as_it_is_where_it_is_not() -> None:
    condition, whole = symbol("decode_steps"), Buffer(Elements(activation=7, index=3))
    part = whole.only_if(condition)
    assert part is not whole
    assert part.elements == Elements(activation=7 * condition, index=3 * condition)


# --- modules -----------------------------------------------------------------------------------------------


def paths(tape: Tape) -> Iterable[tuple[str, str, object]]:
    return [(live.path, live.layer, live.alive.activation) for live in tape.list_operators()]


NARROW = Linear(leading_shape=(5,), in_features=11, out_features=3)
WIDE = Linear(leading_shape=(5,), in_features=3, out_features=11)


def test_operators_have_the_path_and_the_class_of_the_module_that_calls_them() -> None:
    inner = Sequential(layers=(WIDE, GELU(shape=(5, 11)), NARROW))
    tape = Tape("Outer")
    Sequential(layers=(inner, WIDE)).replay(tape, given(15))
    # The input of the inner sequence, 15, is alive until that returns: 15 + 55, in the next; 15 + 55 + 55;
    # 15 + 55 + 15; then 15 + 55.
    assert paths(tape) == [("0.1", "GELU", 125), ("0.2", "Linear", 85), ("1", "Linear", 70)]


def test_what_a_module_itself_does_has_no_name_below_its_own() -> None:
    tape = Tape("Outer")
    tape.run(write(5))
    with tape.inside("one", WIDE), tape.inside("two", GELU(shape=(1,))):
        tape.run(write(7))
    tape.run(write(3))
    assert paths(tape) == [("", "Outer", 5), ("one.two", "GELU", 7), ("", "Outer", 3)]


def test_what_a_caller_hands_to_a_module_is_alive_until_the_module_returns() -> None:
    tape = Tape()
    layer = Sequential(layers=(Sequential(layers=(WIDE, GELU(shape=(5, 11)))),))
    handed = tape.run(write(15))
    tape.call(layer, "0", handed)
    # Nothing reads the 15 once they are projected; they are beside the 55 + 55 of the function all the same.
    assert paths(tape)[-1] == ("0.1", "GELU", 125)


def test_a_call_of_another_size_is_replayed_at_that_size() -> None:
    larger = Linear(leading_shape=(7,), in_features=3, out_features=11)
    groups = ModuleList(groups=(Child(calls=((WIDE, 1), (larger, 2))),))
    tape = Tape()
    tape.call(groups, "0", given(21), call=1)
    assert activations(tape) == [21 + 77]


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
