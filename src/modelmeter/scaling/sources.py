"""Quantities of a compiled model: of its stages, modules and operators, and its sizes."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import sympy
from attrs import evolve, field, frozen

from modelmeter.analysis.bind import BoundModule
from modelmeter.analysis.breakdown import OperatorRow, list_states
from modelmeter.metrics.metric import FUSED_IO, METRIC_RECORDS, METRICS, PEAK
from modelmeter.model.refused_stages import refuse_stage
from modelmeter.model.stages import REQUEST, TRAINING_STEP
from modelmeter.scaling.compiled_formulas import CompiledFormulas, make_context
from modelmeter.scaling.context import Context
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.selection import list_stages, no_module, walk_fitting
from modelmeter.support.suggestions import unknown_name

_STATES = ("weight_bytes", "kv_cache_bytes")


@frozen(eq=False)
class Source:
    """Something of a model that has metrics: a stage, or the modules or operators of one.

    Each metric is a property: ``source.io_bytes`` is a :class:`~modelmeter.scaling.Quantity`.

    Parameters
    ----------
    model
        The compiled model.
    stage
        The stage, or ``request``.
    patterns
        Of module paths, with ``*`` and ``?``: a module counts with all that is below it, and must fit each pattern.
    operators
        The ATen operator of each row must be each of these.
    classes
        Torch classes: a module counts with all that is below it.
    """

    model: CompiledFormulas = field(repr=False)
    stage: str
    patterns: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    def modules(self, pattern: str) -> Source:
        """Return the modules whose path fits a pattern, each with all that is below it.

        Raises
        ------
        UnknownNameError
            If no module that runs in the stage fits; where those that do run elsewhere, it says in which stages.
        """
        self._expect_operators()
        found = evolve(self, patterns=(*self.patterns, pattern))
        if not found._has_any():
            paths = sorted(filter(None, self._paths()))
            ends = {f"*.{path.rpartition('.')[2]}" for path in paths if "." in path}  # for patterns that come close
            raise no_module("module", self.stage, pattern, paths, ends, found._list_other_stages())
        return found

    def module_class(self, name: str) -> Source:
        """Return the modules of a torch class, each with all that is below it.

        Raises
        ------
        UnknownNameError
            If none runs in the stage; where some run elsewhere, it says in which stages.
        """
        self._expect_operators()
        found = evolve(self, classes=(*self.classes, name))
        if not found._has_any():
            paths = self._paths()
            nodes = {each.node.class_name for each in self.model.model.walk() if each.node.path in paths}
            raise no_module("module class", self.stage, name, sorted(nodes), (), found._list_other_stages())
        return found

    def operator(self, name: str) -> Source:
        """Return the operators of a name, as ``scaled_dot_product_attention``.

        Raises
        ------
        UnknownNameError
            If the stage has none.
        """
        found = evolve(self, operators=(*self.operators, name))
        if not found.rows():
            raise unknown_name(f"operator of {self.name}", name, sorted({row.operator for row in self.rows()}))
        return found

    @property
    def name(self) -> str:
        """As ``modelmeter solve`` reads it."""
        parts = [f"modules({each})" for each in self.patterns]
        parts += [f"module_class({each})" for each in self.classes] + [f"operator({each})" for each in self.operators]
        return ".".join([self.stage, *parts])

    @property
    def context(self) -> Context:
        """What is known of the model's sizes."""
        return make_context(self.model, settled=False)

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole stage."""
        return not (self.patterns or self.operators or self.classes)

    def rows(self) -> list[OperatorRow]:
        """Return the operators that count."""
        self._expect_operators()
        paths = self._paths()
        return [
            row
            for name in self._stages
            for row in self.model.operators(name)
            if row.path in paths and all(row.operator == operator for operator in self.operators)
        ]

    @property
    def _stages(self) -> tuple[str, ...]:
        """The stages that operators are of: a request has those of all."""
        return self.model.definition.stage_names if self.stage == REQUEST else (self.stage,)

    def _expect_operators(self) -> None:
        if self.stage == TRAINING_STEP:
            raise unknown_name("stage with operators", self.stage, (*self.model.definition.stage_names, REQUEST))

    def _paths(self) -> set[str]:
        """Return the paths of the modules of the stage that count, those below others among them."""
        stages = set(self._stages)
        return {
            each.node.path
            for _, each in walk_fitting(self.model.model, self._fits)
            if list_stages(self.model.definition, each) & stages
        }

    def _has_any(self) -> bool:
        """Tell whether anything of the stage counts."""
        return bool(self.rows() if self.operators else self._paths())

    def _list_other_stages(self) -> list[str]:
        """Return the stages that have what this stage lacks, in their order."""
        return [name for name in self.model.definition.stage_names if evolve(self, stage=name)._has_any()]

    def _fits(self, above: Iterable[BoundModule]) -> bool:
        chain = [each.node for each in above]
        return all(any(fnmatchcase(node.path, pattern) for node in chain) for pattern in self.patterns) and all(
            any(node.class_name == name for node in chain) for name in self.classes
        )

    def metric(self, name: str) -> Quantity:
        """Return a metric as a quantity.

        Raises
        ------
        UnknownNameError
            If there is no such metric, or this has none of it: a peak is of a whole stage, parameters and a cache
            are of modules.
        """
        if name not in METRIC_RECORDS:
            raise unknown_name(f"metric of {self.name}", name, METRIC_RECORDS)
        make = self._make_whole if self.is_whole else self._make_part
        return Quantity(
            formula=make(name), name=f"{self.name}.{name}", unit=METRIC_RECORDS[name].unit,
            context=make_context(self.model, settled=name == PEAK),
        )  # fmt: skip

    def _make_whole(self, name: str) -> sympy.Expr:
        return self.model.formula(self.stage, name, symbolic=name != PEAK)

    def _make_part(self, name: str) -> sympy.Expr:
        known: list[str] = [metric for metric in METRICS if not self.operators or metric not in _STATES]
        known += [] if self.operators else [FUSED_IO]
        if name not in known:
            raise unknown_name(f"metric of {self.name}", name, known)
        if name == FUSED_IO:
            return self._fused_io()
        if name in _STATES:
            return self._states(name)
        return sympy.Add(*(getattr(row.cost, name) for row in self.rows()))

    def _states(self, name: str) -> sympy.Expr:
        definition, paths = self.model.definition, self._paths()
        held: dict[str, Any] = {}  # of stages in a row, the last: the parameters are the same, and the cache grows
        for row in list_states(self.model.model, definition.stage_of, definition.loop):
            if row.path in paths and row.stage in self._stages:
                held[row.path] = getattr(row, name)
        return sympy.Add(*held.values())

    def _fused_io(self) -> sympy.Expr:
        tops = {each.node.path for is_top, each in walk_fitting(self.model.model, self._fits) if is_top}
        by_module = self.model.totals.fused_io_by_module
        return sympy.Add(*(by_module[path].get(stage, 0) for path in sorted(tops) for stage in self._stages))

    def __getattr__(self, name: str) -> Quantity:
        if name in METRIC_RECORDS:
            return self.metric(name)
        raise AttributeError(f"{name!r} is no metric; known are {', '.join(METRIC_RECORDS)}")


def stage(model: CompiledFormulas, name: str) -> Source:
    """Return a stage of a model, ``request`` or ``training_step``: what its quantities are taken from.

    Raises
    ------
    UnknownNameError
        If the model has no such stage.

    Examples
    --------
    >>> import modelmeter
    >>> prefill = stage(modelmeter.load(), "prefill")
    >>> prefill.operator("scaled_dot_product_attention").tensor_core_flops.name
    'prefill.operator(scaled_dot_product_attention).tensor_core_flops'
    """
    if name not in model.stages:
        refuse_stage(name, model.definition.refused, model.stages)
        raise unknown_name("stage", name, model.stages)
    return Source(model=model, stage=name)


def size(model: CompiledFormulas, name: str) -> Quantity:
    """Return a size of the workload, of storage or of the architecture as a quantity without a unit.

    Raises
    ------
    UnknownNameError
        If the model has no such size.

    Examples
    --------
    >>> import modelmeter
    >>> size(modelmeter.load(), "seq_len").formula
    seq_len
    """
    if name not in model.defaults:
        raise unknown_name("size", name, model.defaults)
    return Quantity(
        formula=model.definition.dimensions.symbol(name), name=name, context=make_context(model, settled=False)
    )
