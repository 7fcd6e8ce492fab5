"""Messages: one clear line, whatever a value from outside holds."""

from __future__ import annotations

import pytest

from modelmeter.support import errors
from modelmeter.support.errors import BindError, ModelMeterError


def test_a_message_has_place_problem_both_sides_and_remedy_in_this_order() -> None:
    error = BindError("the class differs", place="model.layers.3", expected="Linear", found="Conv2d", remedy="look")
    assert str(error) == "model.layers.3: the class differs; expected Linear; found Conv2d; look"
    assert str(BindError("it is gone")) == "it is gone"


def test_zero_and_nothing_are_values_that_can_be_found() -> None:
    assert str(BindError("no calls", expected=0, found="")) == "no calls; expected 0; found nothing"
    assert str(BindError("no calls", expected=0, found=" ")) == "no calls; expected 0; found ' '"


@pytest.mark.parametrize("hostile", ["two\nlines", "a\r\x1b[31mcolour", "tab\there", "\u2028separator"])
def test_a_message_is_one_printable_line(hostile: str) -> None:
    for error in (ModelMeterError("p", found=hostile), ModelMeterError("p", place=hostile, remedy=hostile)):
        assert len(str(error).splitlines()) == 1


def test_escape_sequences_of_a_value_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in str(ModelMeterError("p", found="\x1b[31mred"))


HUGE = {"text": "x" * 10**6, "integer": 10**400, "unprintable integer": -(10**5000), "list": list(range(10**5))}


@pytest.mark.parametrize("huge", HUGE.values(), ids=HUGE)
def test_a_huge_value_does_not_flood_the_terminal_or_fail_to_print(huge: object) -> None:
    assert len(str(ModelMeterError("p", expected=huge, found=huge))) < 1000


def test_every_error_of_the_library_is_one_of_its_own() -> None:
    """So that a caller can tell what modelmeter refuses from what it does wrong."""
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) > 5
    assert all(issubclass(value, ModelMeterError) for value in found)


def test_nothing_steers_the_terminal() -> None:
    """An escape sequence in a place or a remedy is written out, not obeyed."""
    error = ModelMeterError("a size is wrong", place="layers.\x1b[31m0", remedy="ask \x07 again")
    assert str(error) == "layers.\\x1b[31m0: a size is wrong; ask \\x07 again"


def test_an_integer_that_cannot_be_printed_is_named_inside_a_container_too() -> None:
    """Python refuses to print integers of more than a few thousand digits."""
    assert str(ModelMeterError("wrong", found=[10**5000])) == "wrong; found a list too long to print"
