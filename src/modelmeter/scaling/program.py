"""Terms as lists of instructions: what occurs twice is computed once, and nothing is looked up by its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from attrs import frozen

from modelmeter.scaling import terms
from modelmeter.scaling.terms import Number, Term
from modelmeter.support.errors import FormulaError


@frozen
class Instruction:
    """One operation.

    Parameters
    ----------
    head
        The operation of a term; ``number`` or ``size`` for what has no parts.
    parts
        The places of what it is applied to.
    number
        The number, or the exponent of a power.
    name
        The size.
    """

    head: str
    parts: tuple[int, ...] = ()
    number: Number = 0
    name: str = ""


@frozen
class Instructions:
    """Terms as instructions; the parts of each come before it.

    Parameters
    ----------
    instructions
        In order.
    outputs
        The places of the terms.
    """

    instructions: tuple[Instruction, ...]
    outputs: tuple[int, ...]

    def evaluate(self, values: Mapping[str, Number]) -> list[Number]:
        """Return the values of the terms.

        Raises
        ------
        FormulaError
            If a size has no value, a rounding gets a fraction, or a term divides by zero.
        """
        found: list[Number] = []
        for instruction in self.instructions:
            head = instruction.head
            if head == "number":
                found.append(instruction.number)
            elif head == "size":
                if instruction.name not in values:
                    raise FormulaError("a size of the formula has no value", place=instruction.name)
                found.append(values[instruction.name])
            elif head == "^":
                found.append(terms.raise_to(found[instruction.parts[0]], int(instruction.number)))
            else:
                found.append(terms.apply(head, [found[part] for part in instruction.parts]))
        return [found[output] for output in self.outputs]


def compile_terms(listed: Sequence[Term]) -> Instructions:
    """Return terms as instructions."""
    places: dict[Term, int] = {}
    instructions: list[Instruction] = []

    def visit(term: Term) -> int:
        if term in places:
            return places[term]
        if isinstance(term, int):
            instruction = Instruction("number", number=term)
        elif isinstance(term, str):
            instruction = Instruction("size", name=term)
        elif term[0] == "/":
            instruction = Instruction("number", number=Fraction(term[1], term[2]))
        elif term[0] == "^":
            instruction = Instruction("^", (visit(term[1]),), number=term[2])
        else:
            instruction = Instruction(term[0], tuple(map(visit, term[1:])))
        places[term] = len(instructions)
        instructions.append(instruction)
        return places[term]

    outputs = tuple(map(visit, listed))
    return Instructions(tuple(instructions), outputs)
