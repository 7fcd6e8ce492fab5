"""Quantities of the steps of a serving engine: a chunk of a prefill, and one step of sequences of any lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import sympy
from attrs import evolve, field, frozen

from modelmeter.evaluators.server_steps import DEFAULTS
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import METRIC_RECORDS, METRICS
from modelmeter.scaling.compiled_formulas import CompiledFormulas, make_context
from modelmeter.scaling.context import Context
from modelmeter.scaling.quantity import Quantity
from modelmeter.support.suggestions import unknown_name


@frozen(eq=False)
class ServerStep:
    """A step of a serving engine, with a property for each metric that flows or is kept; it has no peak.

    Parameters
    ----------
    model
        The compiled model.
    name
        ``chunk`` or ``step``.
    """

    model: CompiledFormulas = field(repr=False)
    name: str

    @property
    def context(self) -> Context:
        """What is known of its sizes: those of the model, ``cached_tokens`` and ``context_tokens``.

        ``logits_tokens`` may be 0: a part of a prompt needs no logits.
        """
        known = make_context(self.model, settled=False)
        describe = self.model.definition.dimensions.describe
        own = {name: describe(name) for name in DEFAULTS}
        logits = {"logits_tokens": evolve(describe("logits_tokens"), minimum=0)}
        return evolve(
            known, defaults={**known.defaults, **DEFAULTS}, dimensions={**known.dimensions, **own, **logits}
        )  # fmt: skip

    def metric(self, name: str) -> Quantity:
        """Return a metric as a quantity.

        Raises
        ------
        UnknownNameError
            If a step has no such metric.
        """
        if name not in METRICS:
            raise unknown_name(f"metric of {self.name}", name, METRICS)
        formula = sympy.sympify(read_server_steps(self.model)[self.name][name])
        return Quantity(
            formula=formula, name=f"{self.name}.{name}", unit=METRIC_RECORDS[name].unit, context=self.context
        )

    def __getattr__(self, name: str) -> Quantity:
        if name in METRICS:
            return self.metric(name)
        raise AttributeError(f"{name!r} is no metric; known are {', '.join(METRICS)}")


def server_step(model: CompiledFormulas, name: str) -> ServerStep:
    """Return a step of a serving engine, which quantities are taken from.

    Raises
    ------
    UnknownNameError
        If the model has no such step.

    Examples
    --------
    >>> import modelmeter
    >>> chunk = server_step(modelmeter.load(), "chunk")
    >>> chunk.io_bytes.name
    'chunk.io_bytes'
    """
    steps = read_server_steps(model)
    if name not in steps:
        raise unknown_name("step of a serving engine", name, steps)
    return ServerStep(model=model, name=name)


def read_server_steps(model: CompiledFormulas) -> Mapping[str, Cost]:
    """Return the costs of the steps of a serving engine, by name; a model need not have any."""
    return _list_steps(model.definition.list_server_steps)


@lru_cache(maxsize=8)
def _list_steps(list_server_steps: Callable[[], dict[str, Cost]]) -> Mapping[str, Cost]:
    return list_server_steps()
