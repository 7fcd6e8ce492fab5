"""The record of a generated function, before it has a language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import field, frozen

from modelmeter.algebra.program import Node, Output, Program, split
from modelmeter.evaluators.signature import Signature
from modelmeter.support.errors import FormulaError

Steps: TypeAlias = tuple[tuple[str, Node], ...]


@frozen
class OneCost:
    """A record of metrics: the output of the program by metric."""

    outputs: Mapping[str, str]


@frozen
class StageCosts:
    """A record of metrics for each stage."""

    stages: Mapping[str, OneCost]

    @property
    def outputs(self) -> dict[str, str]:
        """All outputs, by their own names."""
        return {output: output for cost in self.stages.values() for output in cost.outputs.values()}


@frozen
class OneValue:
    """One metric, or another number: its name, and the output that it is."""

    metric: str
    output: str

    @property
    def outputs(self) -> dict[str, str]:
        """The output by the name of the metric."""
        return {self.metric: self.output}


@frozen
class Values:
    """Several numbers in order, by the names of the outputs that they are."""

    names: tuple[str, ...]

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs by their own names."""
        return {name: name for name in self.names}


Result: TypeAlias = OneCost | StageCosts | OneValue | Values
"""What an evaluator returns."""


@frozen(kw_only=True)
class Evaluator:
    """A function of sizes, exact in integers, that any backend can print.

    What it does, in order: it checks each size; then the rules between sizes that are given; then it computes what the
    guards and the intermediate results need, tests the guards, fills in the sizes that follow from others, checks the
    rules between those, and computes the rest.

    Parameters
    ----------
    summary, notes
        The first line of its documentation, and the next paragraph.
    program
        What it computes; the inputs are its parameters.
    result
        What it returns.
    guards
        Outputs of the program that must not be negative, each with its formula for the error.
    shared
        The name of the steps that it shares with others, where its program is a part of theirs: see
        :class:`~modelmeter.evaluators.package.EvaluatorPackage`.
    cancelled
        Inputs of the program that it does not depend on, and that are no parameters, each with a value.
    """

    name: str
    summary: str
    notes: str
    signature: Signature
    program: Program
    result: Result
    guards: Mapping[str, str] = field(factory=dict)
    shared: str | None = None
    cancelled: Mapping[str, int] = field(factory=dict)

    @property
    def operations(self) -> int:
        """Integer operations of one call, checks apart."""
        return self.program.operations

    def output(self, name: str) -> Output:
        """Return an output of the program.

        Raises
        ------
        FormulaError
            If the program has no such output.
        """
        for output in self.program.outputs:
            if output.name == name:
                return output
        known = [output.name for output in self.program.outputs]
        raise FormulaError("the program has no such output", place=self.name, expected=known, found=name)

    def split_steps(self) -> tuple[Steps, Steps]:
        """Return the steps that guards and intermediate results need, and the others."""
        return split(self.program, *self.guards, *self.signature.intermediates)
