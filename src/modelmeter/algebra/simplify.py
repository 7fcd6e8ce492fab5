"""From formulas as the layers state them to a short integer program, by named rules in order.

Every rule is exact, and the report says how many operations each one leaves. Sympy's own ``simplify``,
``factor`` and ``cse`` are not used: on totals they are slow and leave longer programs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache

import sympy
from attrs import frozen

from modelmeter.algebra.circuit import Circuit, nest
from modelmeter.algebra.draft import Call, Draft, Monomial, Polynomial, draft_polynomials
from modelmeter.algebra.polynomials import Polynomials, read_polynomials
from modelmeter.algebra.program import Program
from modelmeter.algebra.sharing import share_pairs
from modelmeter.dimensions.functions import BRACKETS, IntegerFunction, Size
from modelmeter.dimensions.symbols import ANY_LAYER, Dimensions

_BRACKETS = frozenset(function.__name__ for function in BRACKETS)


@frozen
class Combination:
    """An output made of other outputs: their sum (``+``) or their maximum (``max``)."""

    function: str
    names: tuple[str, ...]


@frozen
class SimplifyReport:
    """Operations after each rule, in order; the first row is the formulas as they were built."""

    rows: tuple[tuple[str, int], ...]

    @property
    def before(self) -> int:
        """Operations of the formulas as they were built, each computed on its own."""
        return self.rows[0][1]

    @property
    def after(self) -> int:
        """Operations of the program."""
        return self.rows[-1][1]


def build_program(
    outputs: Mapping[str, Size | Combination],
    *,
    constants: Mapping[str, int] | None = None,
    dimensions: Dimensions = ANY_LAYER,
) -> Program:
    """Return one program for all ``outputs``; see :func:`simplify`."""
    return _simplify(outputs, constants or {}, dimensions, lambda _rule, _count: None)


def simplify(
    outputs: Mapping[str, Size | Combination],
    *,
    constants: Mapping[str, int] | None = None,
    dimensions: Dimensions = ANY_LAYER,
) -> tuple[Program, SimplifyReport]:
    """Return one program for all ``outputs``, and what each rule did.

    Parameters
    ----------
    outputs
        Formulas by name. An output may also be the sum or the maximum of other outputs.
    constants
        Symbols that become numbers, such as a known architecture.
    dimensions
        The order of the symbols.

    Raises
    ------
    FormulaError
        If a formula is not made of exact sums, products, powers and integer functions.
    """
    rows: list[tuple[str, int]] = []
    program = _simplify(outputs, constants or {}, dimensions, lambda rule, count: rows.append((rule, count())))
    return program, SimplifyReport(tuple(rows))


def _simplify(
    outputs: Mapping[str, Size | Combination],
    constants: Mapping[str, int],
    dimensions: Dimensions,
    report: Callable[[str, Callable[[], int]], None],
) -> Program:
    """Apply the rules; ``report`` gets the name of each with a function that counts the operations after it."""
    formulas = {name: value for name, value in outputs.items() if not isinstance(value, Combination)}
    report("as_built", lambda: sum(count_built(sympy.sympify(formula)) for formula in formulas.values()))
    draft = clear_denominators(formulas, collect_terms(formulas, constants, dimensions))
    report("collect_terms", lambda: draft.operations)
    draft = flatten_brackets(draft)
    report("flatten_brackets", lambda: draft.operations)
    draft = gather_terms(draft)
    report("gather_terms", lambda: draft.operations)
    circuit = nest_products(draft)
    for name, value in outputs.items():
        if isinstance(value, Combination):
            circuit.combine(name, value.function, value.names)
    report("nest_products", lambda: circuit.count_operations(outputs))
    share_operations(circuit)
    program = circuit.program(outputs)
    report("share_operations", lambda: program.operations)
    return program


def collect_terms(
    formulas: Mapping[str, Size], constants: Mapping[str, int], dimensions: Dimensions = ANY_LAYER
) -> Polynomials:
    """Put the constants in, multiply out and add like terms."""
    return read_polynomials(list(formulas.values()), constants, dimensions=dimensions)


def clear_denominators(formulas: Mapping[str, Size], polynomials: Polynomials) -> Draft:
    """Divide once, at the end of each formula, by one integer."""
    return draft_polynomials(formulas, polynomials)


def flatten_brackets(draft: Draft) -> Draft:
    """A bracket is 0 or 1, so every power of it is the bracket itself."""
    brackets = {
        number
        for number, unknown in enumerate(draft.unknowns)
        if isinstance(unknown, Call) and unknown.function in _BRACKETS
    }

    def flatten(polynomial: Polynomial) -> Polynomial:
        flat: Counter[Monomial] = Counter()
        for monomial, coefficient in polynomial.items():
            once = brackets.intersection(monomial)
            flat[tuple(sorted([*once, *(number for number in monomial if number not in once)]))] += coefficient
        return {monomial: coefficient for monomial, coefficient in flat.items() if coefficient}

    return draft.replace_polynomials(map(flatten, draft.polynomials()))


def gather_terms(draft: Draft) -> Draft:
    """Give a name to every sum of two monomials that is multiplied by several things.

    Stages count the same work on several inputs, such as the global view and the tiles. What they
    multiply by one coefficient is then added up once for all outputs.
    """
    polynomials = list(draft.polynomials())
    owners: list[tuple[int, int]] = []
    groups: list[list[Monomial]] = []
    for number, polynomial in enumerate(polynomials):
        by_coefficient: defaultdict[int, list[Monomial]] = defaultdict(list)
        for monomial, coefficient in polynomial.items():
            by_coefficient[coefficient].append(monomial)
        for coefficient, monomials in by_coefficient.items():
            owners.append((number, coefficient))
            groups.append(monomials)
    sums: list[Polynomial] = []

    def name_sum(rests: tuple[Monomial, Monomial]) -> int:
        sums.append(dict.fromkeys(rests, 1))
        return len(draft.unknowns) + len(sums) - 1

    share_pairs(
        groups,
        key_of=lambda _, one, other: _split_common(one, other)[1],
        define=name_sum,
        replace=lambda one, other, name: (*_split_common(one, other)[0], name),
        is_part=lambda monomial, rests: any(_contains(monomial, rest) for rest in rests),
    )
    gathered: list[Polynomial] = [{} for _ in polynomials]
    for (number, coefficient), monomials in zip(owners, groups, strict=True):
        gathered[number].update(dict.fromkeys(monomials, coefficient))
    return draft.replace_polynomials(gathered, *sums)


def nest_products(draft: Draft) -> Circuit:
    """Take out common factors, greedily: Horner's scheme in many variables."""
    return nest(draft)


def share_operations(circuit: Circuit) -> None:
    """Compute once every pair of summands or factors that occurs in several sums or products."""
    groups = circuit.groups()
    share_pairs(
        [operands for _, operands in groups],
        key_of=lambda number, one, other: (groups[number][0], *sorted((one, other))),
        define=lambda key: circuit.add_duplicate(key[0], key[1:]),
        replace=lambda _one, _other, name: name,
        is_part=lambda operand, key: operand in key[1:],
    )


@lru_cache(maxsize=65536)  # formulas share most of their parts
def count_built(expression: sympy.Expr) -> int:
    """Return the operations of a formula as it was built, with nothing shared."""
    below = sum(count_built(argument) for argument in expression.args)
    if expression.is_Add or expression.is_Mul:
        return below + len(expression.args) - 1
    if expression.is_Pow:
        return below + max(1, abs(int(expression.exp)) - 1)
    return below + isinstance(expression, IntegerFunction)


def _contains(monomial: Monomial, factors: Monomial) -> bool:
    return all(monomial.count(number) >= factors.count(number) for number in factors)


@lru_cache(maxsize=65536)  # the same pairs meet again in every output
def _split_common(one: Monomial, other: Monomial) -> tuple[Monomial, tuple[Monomial, Monomial]]:
    """Return the common factors of two monomials and the two rests, the smaller rest first."""
    common, rest = [], list(other)
    left = []
    for number in one:
        if number in rest:
            rest.remove(number)
            common.append(number)
        else:
            left.append(number)
    smaller, larger = sorted((tuple(left), tuple(rest)))
    return tuple(common), (smaller, larger)
