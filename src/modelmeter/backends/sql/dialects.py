"""What differs between the databases: how exact integers are written, divided and refused."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from modelmeter.support.errors import FormulaError


class Dialect(Protocol):
    """How a database computes with exact integers; operands are expressions."""

    @property
    def name(self) -> str:
        """The name of the target."""
        ...

    @property
    def largest(self) -> int:
        """The largest integer of its widest type; computing a larger one is an error there."""
        ...

    def write_literal(self, value: int) -> str:
        """Return an integer that fits."""
        ...

    def write_condition(self, condition: str) -> str:
        """Return 1 where a condition holds, else 0."""
        ...

    def divide(self, dividend: str, divisor: str, *, up: bool) -> str:
        """Return a quotient by a positive integer, rounded up or down, right for negative dividends too."""
        ...

    def guard(self, operand: str) -> str:
        """Return an operand of a comparison or maximum, in which an overflow must not pass for something else."""
        ...

    def look_up(self, place: str, values: str) -> str:
        """Return one of several values, by its place from 0."""
        ...

    def refuse(self, message: str) -> str:
        """Return an expression that ends the query; ``message`` is an expression."""
        ...


@frozen
class DuckDB:
    """HUGEINT: 128 bits, of which an overflow is an error. Helpers are macros in the schema of the package.

    Parameters
    ----------
    schema
        The name of the package.
    """

    schema: str
    name: str = "duckdb"
    largest: int = 2**127 - 1

    def write_literal(self, value: int) -> str:
        """Return a literal, of HUGEINT where a small one might compute in less."""
        return str(value) if abs(value) < 2**31 else f"{value}::HUGEINT"

    def write_condition(self, condition: str) -> str:
        """Return a cast of the truth value."""
        return f"({condition})::HUGEINT"

    def divide(self, dividend: str, divisor: str, *, up: bool) -> str:
        """Return a call of a macro: ``//`` alone rounds to 0."""
        return f"{self.schema}.{'ceil' if up else 'floor'}_div({dividend}, {divisor})"

    def guard(self, operand: str) -> str:
        """Return the operand: an overflow ends the query where it happens."""
        return operand

    def look_up(self, place: str, values: str) -> str:
        """Return an element of a list, whose places count from 1."""
        return f"([{values}]::HUGEINT[])[({place})::BIGINT + 1]"

    def refuse(self, message: str) -> str:
        """Return a call of ``error``."""
        return f"error({message})"


@frozen
class Spark:
    """DECIMAL(38, 0): 38 digits. An overflow is an error in ANSI mode; without it, it is NULL, which is refused too."""

    name: str = "spark"
    largest: int = 10**38 - 1

    def write_literal(self, value: int) -> str:
        """Return a decimal literal."""
        return f"{value}BD"

    def write_condition(self, condition: str) -> str:
        """Return a choice of two decimals."""
        return f"IF({condition}, 1BD, 0BD)"

    def divide(self, dividend: str, divisor: str, *, up: bool) -> str:
        """Return an exact quotient of what is left without the remainder.

        ``div`` is of 64 bits, and ``/`` keeps 6 digits behind the point, rounded: neither may round here.
        """
        if up:
            return f"CAST(({dividend} + pmod(-({dividend}), {divisor})) / {divisor} AS DECIMAL(38, 0))"
        return f"CAST(({dividend} - pmod({dividend}, {divisor})) / {divisor} AS DECIMAL(38, 0))"

    def guard(self, operand: str) -> str:
        """Return the operand, or an error: comparisons and maxima take NULL for an answer."""
        return operand if operand.isidentifier() else f"coalesce({operand}, {self.refuse(OVERFLOW)})"

    def look_up(self, place: str, values: str) -> str:
        """Return an element of an array, whose places count from 1."""
        return f"element_at(array({values}), CAST({place} AS INT) + 1)"

    def refuse(self, message: str) -> str:
        """Return a call of ``raise_error``."""
        return f"raise_error({message})"


OVERFLOW = "'a number has more than 38 digits'"


def check_literal(value: int, dialect: Dialect) -> int:
    """Return an integer that a database can hold.

    Raises
    ------
    FormulaError
        If it is too large.
    """
    if abs(value) > dialect.largest:
        raise FormulaError(f"an integer does not fit into {dialect.name}", expected=dialect.largest, found=value)
    return value
