"""torch's own quotients, with and without the facts."""

from __future__ import annotations

from itertools import product

import pytest
import sympy
from torch.utils._sympy.functions import FloorDiv, Mod, PythonMod

from modelmeter.dimensions.functions import CeilDiv
from modelmeter.verify.sympy_facts import exact_quotients, name_chunks, simplify_floor, simplify_remainder

k = sympy.Symbol("k", integer=True, positive=True)


def test_windows_of_a_grid_are_polynomials_while_the_context_is_open() -> None:
    # -(28 k + 5) mod 14 = 9 patches of padding make 28 k + 14: 2 k + 1 windows.
    with exact_quotients():
        assert PythonMod(-28 * k - 5, 14) == 9
        assert Mod(28 * k + 5, 14) == 5
        assert FloorDiv(28 * k + 14, 14) == 2 * k + 1


def test_torch_is_as_before_afterwards() -> None:
    before = FloorDiv(28 * k + 5, 14), Mod(28 * k + 5, 14), PythonMod(-28 * k - 5, 14)
    originals = [function.__dict__["eval"] for function in (FloorDiv, Mod, PythonMod)]

    def fail() -> None:
        with exact_quotients():
            assert PythonMod(-28 * k - 5, 14) == 9
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [function.__dict__["eval"] for function in (FloorDiv, Mod, PythonMod)] == originals
    assert (FloorDiv(28 * k + 5, 14), Mod(28 * k + 5, 14), PythonMod(-28 * k - 5, 14)) == before
    assert PythonMod(-28 * k - 5, 14) != 9, "without the facts torch does not know: sympy's cache was cleared"


@pytest.mark.parametrize(("factor", "offset", "divisor"), [*product((14, -28, 6), (-17, 0, 5), (2, 14))])
def test_the_facts_are_what_python_says(factor: int, offset: int, divisor: int) -> None:
    dividend = factor * k + offset
    floor, remainder = (simplify(dividend, sympy.Integer(divisor)) for simplify in (simplify_floor, simplify_remainder))
    assert (floor is None) == (remainder is None) == (factor % divisor != 0)
    if floor is not None and remainder is not None:
        for value in range(1, 8):
            quotient_and_rest = divmod(factor * value + offset, divisor)
            assert (sympy.sympify(floor).subs(k, value), sympy.sympify(remainder).subs(k, value)) == quotient_and_rest


def test_numbers_and_division_by_zero_stay_with_torch() -> None:
    with exact_quotients():
        assert FloorDiv(sympy.Integer(17), sympy.Integer(5)) == 3
        assert Mod(sympy.Integer(17), sympy.Integer(5)) == 2
        with pytest.raises(ZeroDivisionError):
            FloorDiv(k, sympy.Integer(0))


def test_what_is_missing_to_whole_chunks_is_a_polynomial_in_their_number() -> None:
    with exact_quotients():
        missing = name_chunks(PythonMod(64 - PythonMod(k, 64), 64))
        assert name_chunks(FloorDiv(k, 64)) == FloorDiv(k, 64), "a quotient that is rounded down has no such name"
    assert missing == 64 * CeilDiv(k, sympy.Integer(64)) - k
    assert [missing.xreplace({k: sympy.Integer(size)}) for size in (1, 63, 64, 65, 130)] == [63, 1, 0, 63, 62]
