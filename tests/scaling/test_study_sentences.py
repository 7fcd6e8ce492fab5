"""What statements of studies say of quantities that do not depend on the size that is asked over."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sympy

from modelmeter.scaling import Quantity
from modelmeter.scaling.studies.asking import Worded, ask_limit, ask_order
from modelmeter.scaling.studies.asking_more import ask_rule
from modelmeter.scaling.studies.records import IdentifiedStatement

N = sympy.Symbol("n", integer=True, positive=True)
WEIGHTS = Worded(Quantity(sympy.Integer(7001), "weights", "bytes"), "the memory of the weights (bytes)")
NOTHING = Worded(Quantity(sympy.Integer(0), "nothing", "bytes"), "the memory of the cache (bytes)")


@pytest.mark.parametrize("ask", [ask_order, ask_limit])
@pytest.mark.parametrize(("of", "value"), [(WEIGHTS, "7,001"), (NOTHING, "0")])
def test_a_constant_does_not_depend_on_the_size(
    ask: Callable[[str, Worded, str], IdentifiedStatement], of: Worded, value: str
) -> None:
    said = ask("test", of, "n").sentence
    assert said.lower().startswith(f"{of.words} does not depend on n: it is {value} (")
    for wrong in ("grows", "tends", "is is"):
        assert wrong not in said


def test_a_constant_error_does_not_depend_on_the_size() -> None:
    """3 n for 2 n is half too much at every n; 3 n for 2 n + 1 is not: from nothing at n = 1 to nearly half."""
    rule = Worded(Quantity(3 * N, "rule", "bytes"), "the rule of three")
    for exact, words in (
        (2 * N, "gives 50 % too much, which does not depend on n"), (2 * N + 1, "gives between exactly it and"),
    ):  # fmt: skip
        assert words in ask_rule("test", rule, Worded(Quantity(exact, "exact", "bytes"), "the cost"), "n").sentence
