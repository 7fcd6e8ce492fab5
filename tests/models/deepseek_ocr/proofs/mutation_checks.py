"""Compares damaged formulas with traces, by the verifier's own comparison, one module at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import sympy
from attrs import evolve, frozen
from mutations import Mutant, is_of, list_parts

from modelmeter.analysis.bind import BoundModule, bind
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.metrics.cost import Cost, Precision, Work
from modelmeter.models.deepseek_ocr.build import build_layers, symbolic_sizes
from modelmeter.models.deepseek_ocr.proofs.points import PROVED
from modelmeter.models.deepseek_ocr.stages import stage_of
from modelmeter.support.errors import BindError, ModelMeterError
from modelmeter.verify.case import Case
from modelmeter.verify.model_formulas import ModelFormulas, map_cost, share_evenly
from modelmeter.verify.proof import REFERENCE, Verdict, compare
from modelmeter.verify.symbolic_trace import SymbolicTrace

MODULE_BY_MODULE = evolve(REFERENCE, is_complete=False)
"""The reference model, without the sums over whole stages that the verifier compares too."""


@frozen(kw_only=True)
class Check:
    """A trace that formulas are compared with, and the modules of the traced architecture.

    Parameters
    ----------
    graph
        The modules.
    case, trace
        What was traced; every dimension of the architecture is among the sizes of the case.
    model
        The modules bound to undamaged layers.
    """

    graph: ModuleGraph
    case: Case
    trace: SymbolicTrace
    model: BoundModule

    @classmethod
    def make(cls, graph: ModuleGraph, case: Case, trace: SymbolicTrace) -> Check:
        """Prepare a check: module by module without what is below, so that only the damaged one is looked at."""
        sized = evolve(case, sizes={**graph.architecture, **case.sizes})
        own = {path: _leave_out_below(path, trace.costs) for path in trace.costs}
        return cls(graph=graph, case=sized, trace=evolve(trace, costs=own), model=bind_layers(graph))

    def compare(self, bound: BoundModule, members: tuple[str, ...]) -> Iterator[Verdict]:
        """Compare the own work of one module with its own work in the trace, as the verifier compares all work."""
        alone = evolve(bound, node=evolve(bound.node, members=members), children=())
        formulas = ModelFormulas(
            model=alone, costs={bound.node.path: _cost_alone(bound)}, stages={}, unfused={}, proved=PROVED
        )
        return compare(formulas, self.case, self.trace, MODULE_BY_MODULE)


def bind_layers(graph: ModuleGraph) -> BoundModule:
    """Bind the layers as the verifier does."""
    return bind(graph, build_layers(symbolic_sizes()), {**graph.architecture, **graph.workload, "decode_step": 1})


def list_members(model: BoundModule) -> Iterator[tuple[BoundModule, tuple[str, ...]]]:
    """Yield every module with the paths of the modules that it stands for."""
    return ModelFormulas(model=model, costs={}, stages={}, unfused={}, proved=PROVED).members()


def find_witnesses(mutant: Mutant, checks: Sequence[Check], graphs: Sequence[ModuleGraph]) -> tuple[str, ...]:
    """Return what shows that ``mutant`` is wrong; nothing if it survives.

    It cannot be bound to one of ``graphs``, or has an error, or some metrics of a module differ.
    """
    with mutant.applied():
        try:
            models = {id(graph): bind_layers(graph) for graph in graphs} if mutant.statement == "build_children" else {}
            for check in checks:
                model = models.get(id(check.graph), check.model)
                before = {bound.node.path: bound for bound in check.model.walk()}
                for bound, members in list_members(model):
                    is_changed = bound.calls != before[bound.node.path].calls
                    if is_changed or any(is_of(part, mutant.variant) for part in list_parts(bound.layer)):
                        different = [
                            verdict.metric for verdict in check.compare(bound, members) if not verdict.is_equal
                        ]
                        if different:
                            return tuple(different)
        except BindError:
            return ("binding",)
        except ModelMeterError as error:
            return (type(error).__name__,)
    return ()


def describe(witnesses: Mapping[Mutant, tuple[str, ...]]) -> str:
    """Return how many mutants there are by class, by subject, by kind, and by what shows that they are wrong."""
    tables = {
        "class": Counter(mutant.variant.layer_class.__name__ for mutant in witnesses),
        "subject": Counter(mutant.subject for mutant in witnesses),
        "kind": Counter(mutant.kind for mutant in witnesses),
        "witness": Counter(name for found in witnesses.values() for name in found or ("none",)),
    }
    return "\n".join(f"{title}: {dict(sorted(table.items()))}" for title, table in tables.items())


def _cost_alone(bound: BoundModule) -> dict[str, Cost]:
    """Return what a module does itself in each stage, without what is below it."""
    costs: dict[str, Cost] = {}
    for stage in dict.fromkeys(stage_of(call.run, bound.node.path) for call in bound.calls):
        calls = [call for call in bound.calls if stage_of(call.run, bound.node.path) == stage]
        cost = Cost.of(
            work=Work.of(call.own_work() for call in calls),
            parameters=bound.count * bound.layer.own_parameters,
            kv_elements=bound.count * calls[0].layer.own_kv_elements,
            precision=Precision(),
        )
        costs[stage] = map_cost(cost, share_evenly)
    return costs


def _leave_out_below(path: str, costs: Mapping[str, Cost]) -> Cost:
    below = [cost for name, cost in costs.items() if name and name.rpartition(".")[0] == path]
    own = sum((map_cost(cost, lambda size: -size) for cost in below), start=costs[path])
    return map_cost(own, sympy.expand)
