"""The traces of a decoder with sizes of its config as symbols, each held to what was traced."""

from __future__ import annotations

import sympy
from attrs import define, field

from modelmeter.dimensions.functions import Size, routed_reads
from modelmeter.frontend.general.config_sizes import CHOSEN_EXPERTS, EXPERTS
from modelmeter.frontend.general.count_keys import COEFFICIENTS, Key, flatten
from modelmeter.frontend.general.lift import Lift
from modelmeter.frontend.general.small_configs import ForwardName, Seen
from modelmeter.frontend.operator_parts import PARTS, list_parts, make_operator
from modelmeter.frontend.records import TracedForward, TracedOperator, TracedRun
from modelmeter.frontend.substitution import substitute
from modelmeter.metrics.cost import Operator
from modelmeter.support.errors import CountError


@define(kw_only=True)
class LiftedRuns:
    """Makes traces of the formulas of a lift.

    Parameters
    ----------
    lift
        With the counts that it interpolates.
    """

    lift: Lift
    _own: dict[sympy.Symbol, sympy.Expr] = field(init=False)
    _fitted: dict[Key, Size] = field(init=False, factory=dict)
    _same: set[tuple[Size, Size]] = field(init=False, factory=set)

    @_own.default
    def _find_own(self) -> dict[sympy.Symbol, sympy.Expr]:
        lift = self.lift
        return {lift.dimensions.symbol(name): sympy.Integer(size) for name, size in lift.family.sizes.items()}

    def make_runs(self) -> tuple[dict[str, TracedRun], dict[str, Size]]:
        """Return the traces with sizes of the config as symbols, and the parameters of each node of the graph.

        Raises
        ------
        CountError
            If a number is no polynomial, or differs from the traced one at the sizes of the model.
        """
        lift = self.lift
        flat = [flatten(count) for count in lift.counts]
        self._fitted = {key: lift.fit(key, [numbers[key] for numbers in flat]) for key in flat[0]}
        for key, formula in self._fitted.items():
            self._expect_same(lift.name(key), lift.find_traced(key), formula)
        runs = {
            name: TracedRun(
                stage=run.stage,
                forwards=tuple(
                    self._make_forward((name, number), forward) for number, forward in enumerate(run.forwards)
                ),
            )
            for name, run in lift.traced.runs.items()
        }
        parameters: dict[str, Size] = {}
        for node in lift.traced.graph.walk():
            path = lift.shorten(lift.traced.traced_paths[node.path][0])
            parameters[node.path] = self._fitted["parameters", path]
            self._expect_same(node.path, node.own_parameter_count, parameters[node.path])
        return runs, parameters

    def _expect_same(self, place: str, traced: Size | None, formula: Size) -> None:
        if traced is None or (traced, formula) in self._same:
            return
        self._same.add((traced, formula))
        found = substitute(formula, self._own)
        if sympy.expand(found - traced) != 0:
            raise CountError(
                "at the sizes of the model an interpolated formula is not the traced one", place=place,
                expected=traced, found=found,
            )  # fmt: skip

    def _make_forward(self, region: ForwardName, forward: TracedForward) -> TracedForward:
        lift, fitted = self.lift, self._fitted
        operators: list[TracedOperator] = []
        rows = zip(lift.aligned[region], lift.counts[0].forwards[region].seen, strict=True)
        for place, (row, seen) in enumerate(rows):
            if seen.experts is None:
                made = [make_operator(seen.name, {part: fitted[region, place, part] for part in PARTS})]
            else:
                made = self._make_loop(region, place, seen)
                self._compare_loop(region[0], made, row)
            operators += (TracedOperator(path=row[0].path, operator=operator) for operator in made)
        shapes: dict[str, dict[int, dict[int, Size]]] = {}
        for key, size in fitted.items():
            if key[0] == region and key[1] == "shape":
                shapes.setdefault(lift.expand(key[2]), {}).setdefault(key[3], {})[key[4]] = size
        return TracedForward(
            condition=forward.condition, at=forward.at, region=forward.region, operators=tuple(operators), lifetimes=(),
            kv_elements={lift.expand(key[2]): size for key, size in fitted.items() if key[:2] == (region, "kv")},
            output_shapes={
                path: tuple(tuple(axes.values()) for axes in calls.values()) for path, calls in shapes.items()
            },
            copies={}, call_counts=forward.call_counts,
        )  # fmt: skip

    def _compare_loop(self, stage: str, made: list[Operator], row: list[TracedOperator]) -> None:
        """Hold the operators of a loop over experts to those of the trace, which has some beside that do nothing."""
        blank = [Operator(name="")] * (len(row) - len(made))
        for operator, traced in zip([*made, *blank], row, strict=True):
            for part, size in list_parts(operator).items():
                self._expect_same(f"{stage} {traced.path} {part}", list_parts(traced.operator)[part], size)

    def _make_loop(self, region: ForwardName, place: int, seen: Seen) -> list[Operator]:
        """Return the operators of a loop over experts, with the expected number of distinct ones."""
        lift, fitted = self.lift, self._fitted
        experts = next(name for name in EXPERTS if name in lift.family.sizes)
        chosen = (lift.dimensions.symbol(experts), lift.dimensions.symbol(CHOSEN_EXPERTS))
        tokens = fitted[region, place, "tokens"]

        def combine(number: int, part: str) -> Size:
            constant, each, expert, both = (fitted[region, place, number, part, name] for name in COEFFICIENTS)
            total = constant + each * tokens
            if expert == 0 and both == 0:
                return total
            return total + routed_reads(*chosen, tokens, expert + both * tokens)

        loop = () if seen.experts is None else seen.experts.operators
        return [
            make_operator(name, {part: combine(number, part) for part in PARTS})
            for number, (name, _) in enumerate(loop)
        ]
