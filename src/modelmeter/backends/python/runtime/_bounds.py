"""Between which numbers everything in some formulas is, from the smallest and the largest value of every size.

No size is negative, and sums of positive terms grow with all of them: one evaluation at the ends bounds every point.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ._polynomials import BRACKETS, Call, Range, Space, Value, terms_of
from ._runtime import CostError
from ._symbolic import bind


class Bounds(NamedTuple):
    """The ranges of all unknowns, what no metric exceeds, and the largest number that has to fit into a machine word.

    The metrics have to, and the operands of calls; sums and products in between may wrap.
    """

    ranges: list[Range]
    metrics: tuple[int, ...]
    largest: int

    @property
    def fixed(self) -> frozenset[tuple[int, int]]:
        """The unknowns that have one value only, by number."""
        return frozenset((number, low) for number, (low, high) in enumerate(self.ranges) if low == high)


def compile_bounds(space: Space, metrics: tuple[Value, ...]) -> Callable[[Mapping[str, Range]], Bounds]:
    """Return a function from the ranges of the sizes to the bounds of formulas; it stands before every evaluation."""
    names: dict[str, Any] = {"Bounds": Bounds, "range_of_bracket": range_of_bracket}
    lines = ["def bounds(sizes):"]
    numbers: list[str] = []
    for number, what in enumerate(space.unknowns):
        if isinstance(what, Call):
            ends = [(_write(operand, "low", "high"), _write(operand, "high", "low")) for operand in what.operands]
            if what.function in BRACKETS:
                names[f"call{number}"] = what
                operands = ", ".join(f"({low}, {high})" for low, high in ends)
                lines.append(f"    low{number}, high{number} = range_of_bracket(call{number}, [{operands}])")
            elif what.function in ("ceil_div", "floor_div") and not what.constants:
                names[f"function{number}"] = bind(what)
                (low, high), divisor = ends
                for name, choose, dividend in (("low", "min", low), ("high", "max", high)):
                    quotients = ", ".join(f"function{number}({dividend}, {end})" for end in divisor)
                    lines.append(f"    {name}{number} = {choose}({quotients})")
            else:  # it grows with its operands
                names[f"function{number}"] = bind(what)
                for place, end in enumerate(("low", "high")):
                    operands = ", ".join(pair[place] for pair in ends)
                    lines.append(f"    {end}{number} = function{number}({operands})")
            numbers += [high for _, high in ends]
            if what.function == "ceil_div":  # what is divided has the divisor less 1 added first
                numbers.append(f"{ends[0][1]} + {what.constants[0] if what.constants else ends[1][1]} - 1")
            # n (n + 1) is divided by 2.
            numbers += [f"2 * high{number}"] if what.function == "triangular" else []
        else:
            lines.append(f"    low{number}, high{number} = sizes[{what!r}]")
    ranges = ", ".join(f"(low{number}, high{number})" for number in range(len(space.unknowns)))
    highest = "".join(f"{_write(metric, 'high', 'low')}, " for metric in metrics)
    lines.append(f"    metrics = ({highest})")
    lines.append(f"    return Bounds([{ranges}], metrics, max([*metrics, {', '.join(numbers)}]))")
    # The text is made of our own formulas.
    exec("\n".join(lines), names)
    bounds: Callable[[Mapping[str, Range]], Bounds] = names["bounds"]
    return bounds


def check_agreement(space: Space, ranges: Mapping[str, Range]) -> None:
    """Raise an error if a size that is given beside what it follows from is not that, somewhere in these ranges."""
    for check in space.checks:
        if check.broken == "differs":
            gaps = (check.size - check.limit, check.limit - check.size)
            if max(compile_bounds(space, gaps)(ranges).metrics) > 0:
                raise CostError(f"{check.name} must be {check.limit_name} where both are given, and differs somewhere")


def _write(value: Value, end: str, other_end: str) -> str:
    """Return an end of the range of a value: terms that are taken away have their other end."""
    terms = [
        " * ".join([hex(coefficient), *(f"{end if coefficient > 0 else other_end}{number}" for number in monomial)])
        for monomial, coefficient in terms_of(value).items()
    ]
    return " + ".join(terms) or "0"


def range_of_bracket(call: Call, operands: list[Range]) -> Range:
    """Return the range of a comparison."""
    (low, high), (other_low, other_high) = operands
    if call.function == "exceeds":
        return int(low > other_high), int(high > other_low)
    differ = (int(high < other_low or other_high < low), int(not low == high == other_low == other_high))
    return differ if call.function == "differs" else (1 - differ[1], 1 - differ[0])
