"""The formulas of a traced decoder with sizes of its config as symbols, by interpolation over small configs.

Each number of each operator (its FLOPs, and the elements of each kind that it reads and writes) is what torch computes
from shapes, and shapes are products and sums of sizes of the config. So it is taken to be a sum over the terms of its
traced formula, such as ``batch_size * seq_len**2``, with a coefficient that is a polynomial of degree one in each size
that it depends on. One config for each size, in which that one differs, tells which those are; configs drawn by chance
give as many equations as there are unknowns and some beside, which are solved in rational numbers. What is no such
polynomial is refused with its operator.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from math import comb
from typing import Final

import sympy
from attrs import define, field

from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import Dimensions
from modelmeter.frontend.general.config_sizes import HEADS, KEY_HEADS
from modelmeter.frontend.general.count_keys import Key, check_structure, describe_structure, flatten
from modelmeter.frontend.general.small_configs import (
    ConfigCount,
    Family,
    ForwardName,
    count_config,
    draw_workload,
    shorten_path,
)
from modelmeter.frontend.interpolation import Interpolation
from modelmeter.frontend.operator_parts import PARTS, list_parts
from modelmeter.frontend.records import TracedForward, TracedModel, TracedOperator
from modelmeter.support.errors import CountError

_KEYS: Final = sympy.Symbol("keys", integer=True, positive=True)
"""Positions that a step sees."""

BESIDE: Final = 6
"""Configs beyond those that the unknowns need: every count has to fit there, too."""

Begin = Callable[[str], None]


@define(kw_only=True, slots=False)
class Lift:
    """Interpolates the numbers of a traced model over counts of small configs.

    Parameters
    ----------
    family
        The configs.
    traced
        The model.
    dimensions
        Its sizes, with those that vary in the family.
    begin
        Is called with the name of each step as it begins.
    """

    family: Family
    traced: TracedModel
    dimensions: Dimensions
    begin: Begin
    counts: list[ConfigCount] = field(init=False, factory=list)
    depends: dict[Key, set[str]] = field(init=False, factory=dict)
    _known: dict[object, Interpolation] = field(init=False, factory=dict)

    @property
    def forwards(self) -> dict[ForwardName, TracedForward]:
        """The traced forwards by stage and number."""
        return {
            (name, number): forward
            for name, run in self.traced.runs.items()
            for number, forward in enumerate(run.forwards)
        }

    def count(self, chance: random.Random) -> None:
        """Count as many configs as interpolation needs, and find what each number depends on.

        Raises
        ------
        ModelMeterError
            If a config cannot be counted, or its code calls other operators.
        """
        base, workloads = self.family.draw(chance), self.draw_workloads(chance)
        self.begin("count a small config")
        self.counts = [count_config(self.family, base, workloads)]
        first = flatten(self.counts[0])
        self.depends = {key: set() for key in first}
        if KEY_HEADS in base:  # where no head shares keys, code may copy less
            self.add({**base, KEY_HEADS: base[HEADS]}, workloads)
        for name in self.family.varying:
            self.begin(f"count a small config with another {name}")
            for key, size in self.add(self.family.vary(base, name), workloads).items():
                if size != first[key]:
                    self.depends[key].add(name)
        self.draw(max(map(self.count_unknowns, self.depends)) + BESIDE, chance)

    def draw(self, configs: int, chance: random.Random) -> None:
        """Count as many configs more, drawn by chance."""
        self._known.clear()
        for number in range(1, configs + 1):
            self.begin(f"count small config {number} of {configs}")
            self.add(self.family.draw(chance), self.draw_workloads(chance))

    def count_unknowns(self, key: Key, degree: int | None = None) -> int:
        """Return how many coefficients a number may have, up to a degree: by default the likely one."""
        names, terms = len(self.depends[key]), len(self.find_terms(key))
        likely = 3 if terms < 2 else 2
        return terms * sum(comb(names, each) for each in range((likely if degree is None else degree) + 1))

    def add(self, sizes: Mapping[str, int], workloads: Mapping[ForwardName, Mapping[str, int]]) -> dict[Key, int]:
        """Count one more config, and return its numbers.

        Raises
        ------
        CountError
            If it calls other operators than the first one.
        """
        counted = count_config(self.family, sizes, workloads)
        check_structure(describe_structure(self.counts[0]), describe_structure(counted), sizes)
        numbers = flatten(counted)
        if numbers.keys() != self.depends.keys():
            raise CountError(
                "another config has other modules, shapes or caches", place=self.traced.model_type, found=sizes
            )
        self.counts.append(counted)
        return numbers

    def draw_workloads(self, chance: random.Random) -> dict[ForwardName, dict[str, int]]:
        """Return a small workload for each forward."""
        longest = self.traced.longest_context
        return {name: draw_workload(forward, longest, chance) for name, forward in self.forwards.items()}

    @cached_property
    def aligned(self) -> dict[ForwardName, list[list[TracedOperator]]]:
        """The traced operators of the first layer of each kind, each by itself, those of a loop over experts together.

        Raises
        ------
        CountError
            If small configs call other operators.
        """
        return {region: self._align(region, forward) for region, forward in self.forwards.items()}

    def _align(self, region: ForwardName, forward: TracedForward) -> list[list[TracedOperator]]:
        seen = self.counts[0].forwards[region].seen
        loops = {each.path for each in seen if each.experts is not None}
        rows: list[list[TracedOperator]] = []
        for each in forward.operators:
            path = self.shorten(each.path)
            if path is None:
                continue
            if rows and path in loops and rows[-1][0].path == each.path:
                rows[-1].append(each)
            else:
                rows.append([each])
        for row, other in zip(rows, seen, strict=False):
            path = self.shorten(row[0].path)
            if path != other.path or (other.experts is None and row[0].operator.name != other.name):
                raise CountError(
                    "small configs call other operators", place=f"{region[0]} {row[0].path}",
                    expected=row[0].operator.name, found=f"{other.name} in {other.path}",
                )  # fmt: skip
        if len(rows) != len(seen):
            raise CountError(
                "small configs call another number of operators", place=region[0], expected=len(rows), found=len(seen)
            )
        return rows

    def shorten(self, path: str) -> str | None:
        """Return the path by kind of layer, if it is of the first layer of its kind."""
        return shorten_path(path, self.family.stack.layers, self.family.stack.traced)

    def expand(self, path: str) -> str:
        """Return the traced path that a path by kind of layer stands for."""
        layers = self.family.stack.layers
        if not path.startswith(f"{layers}.kind"):
            return path
        kind, dot, below = path.removeprefix(f"{layers}.kind").partition(".")
        return f"{layers}.{self.family.stack.traced.index(int(kind))}{dot}{below}"

    def find_traced(self, key: Key) -> Size | None:
        """Return the number in the traced model, in sizes of the workload; None for what no number there is."""
        region, *place = key
        if region == "parameters":
            return None
        forward = self.forwards[region]
        try:
            match place:
                case ["kv", path]:
                    return forward.kv_elements[self.expand(path)]
                case ["shape", path, call, axis]:
                    return forward.output_shapes[self.expand(path)][call][axis]
        except LookupError as error:
            raise CountError(
                "small configs have other shapes or caches than the model", place=f"{region[0]} {place[1]}"
            ) from error
        match place:
            case [int(number), str(part)] if part in PARTS:
                return list_parts(self.aligned[region][number][0].operator)[part]
        return None

    def find_terms(self, key: Key) -> tuple[sympy.Expr, ...]:
        """Return the terms in sizes of the workload that a number is a sum of."""
        traced = self.find_traced(key)
        if traced is not None:
            return self._split(traced, is_step=key[0][0] == "decode")
        if key[-1] != "tokens" or len(key) != 3:
            return (sympy.S.One,)
        stage, at = key[0][0], self.forwards[key[0]].at
        symbols = [
            self.dimensions.symbol(name) for name in ("batch_size", *(("seq_len",) if stage == "prefill" else ()))
        ]
        return (sympy.Mul(*(symbol for symbol in symbols if symbol not in at)),)

    def _split(self, size: Size, *, is_step: bool) -> tuple[sympy.Expr, ...]:
        """Return the terms of a formula; those of a step are in the number of keys where they depend on that alone."""
        if size == 0:
            return ()
        found = sympy.sympify(size).expand()
        if is_step:
            prompt, step = self.dimensions.symbol("seq_len"), self.dimensions.symbol("decode_step")
            in_keys = found.xreplace({step: _KEYS - prompt}).expand()
            if not in_keys.has(prompt):
                return tuple(term.xreplace({_KEYS: prompt + step}) for term in in_keys.as_coefficients_dict())
        return tuple(found.as_coefficients_dict())

    def fit(self, key: Key, values: Sequence[int]) -> Size:
        """Return a number as a formula in sizes of the workload and of the config.

        Raises
        ------
        CountError
            If it is no polynomial of degree one in each size.
        """
        if not any(values):
            return 0
        place = f"general: {key[0] if key[0] == 'parameters' else key[0][0]} {self.name(key)}"
        names = self.dimensions.sort(self.depends[key])
        if not self.find_terms(key):
            raise CountError("small configs count what the model does not", place=place, found=max(values))
        for degree in range(len(names) + 1):
            if self.count_unknowns(key, degree) + BESIDE > len(values):
                break
            try:
                return self._interpolate(key, names, degree).fit(values, place)
            except CountError:
                continue
        raise CountError(
            "a count is no polynomial of degree one in each size", place=place,
            found=", ".join(names) or "another number in each small config",
        )  # fmt: skip

    def _interpolate(self, key: Key, names: Sequence[str], degree: int) -> Interpolation:
        region, terms = None if key[0] == "parameters" else key[0], self.find_terms(key)
        known = (region, terms, tuple(names), degree)
        if known not in self._known:
            symbols = [self.dimensions.symbol(name) for name in names]
            products = [sympy.Mul(*some) for length in range(degree + 1) for some in combinations(symbols, length)]
            self._known[known] = Interpolation(
                [term * product for term in terms for product in products],
                [{**count.sizes, **({} if region is None else count.workloads[region])} for count in self.counts],
            )
        return self._known[known]

    def name(self, key: Key) -> str:
        """Return the module and the operator that a number is of."""
        region, *place = key
        if region == "parameters" or not isinstance(place[0], int):
            return ".".join(map(str, place))
        seen = self.counts[0].forwards[region].seen[place[0]]
        return f"{seen.path} {seen.name} {place[-1]}"
