"""Experts that tokens choose among: which modules they are, and how many of their weights are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sympy
from attrs import frozen

from modelmeter.analysis.bind import BoundModule
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import RoutedReads
from modelmeter.layers.base import BaseLayer
from modelmeter.model.stages import REQUEST
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.sources import stage
from modelmeter.scaling.studies.asking import Worded
from modelmeter.scaling.studies.parts import slug
from modelmeter.support.errors import FormulaError


@frozen
class RoutedModule:
    """Alike modules that tokens choose among, in one layer.

    Parameters
    ----------
    id, words
        In ids, and for people.
    experts, per_token, parameters
        How many there are, how many a token chooses, and the parameters of one.
    """

    id: str
    words: str
    experts: int
    per_token: int
    parameters: int

    @property
    def weights_of_all(self) -> int:
        """Parameters of all experts of a layer."""
        return self.experts * self.parameters


def list_routed(model: CompiledFormulas) -> Iterator[RoutedModule]:
    """Yield the modules that tokens choose among, the outermost only."""
    yield from _walk(model, model.model, is_routed=False)


def _walk(model: CompiledFormulas, module: BoundModule, *, is_routed: bool) -> Iterator[RoutedModule]:
    routing = next((call.routing for call in module.calls if call.routing is not None), None)
    if routing is not None and not is_routed:
        sizes = model.architecture.dimension_values()
        path = module.node.path
        counts = [
            int(evaluate(sympy.sympify(size), sizes))
            for size in (routing.n_routed_experts, routing.num_experts_per_tok, module.layer.parameters)
        ]
        yield RoutedModule(slug(path.rpartition(".")[0].rpartition(".")[2] or path), f"{path}", *counts)
    for child in module.children:
        yield from _walk(model, child, is_routed=routing is not None or is_routed)


def read_share(model: CompiledFormulas, routed: RoutedModule, over: str) -> Worded:
    """Return the parameters that a decode step of so many sequences reads, as expected with uniform routing."""
    formula = RoutedReads(routed.experts, routed.per_token, model.definition.dimensions.symbol(over), routed.parameters)
    context = stage(model, REQUEST).metric("io_bytes").context
    quantity = Quantity(formula=formula, name=f"routed_reads({routed.words})", unit="parameters", context=context)
    return Worded(
        quantity,
        f"the expected number of parameters, to the nearest whole one, of {routed.words} that one decode step reads "
        "in a layer",
    )


def count_active_parameters(model: CompiledFormulas, name: str) -> int:
    """Return the parameters that a token passes through in matrix products of a stage: of experts, those it chooses."""
    sizes = model.architecture.dimension_values()
    total = 0
    for module in model.model.walk():
        calls = [call for call in module.calls if model.definition.stage_of(call.run, module.node.path) == name]
        if not calls or not any(operator.tensor_core_flops != 0 for operator in calls[0].layer.operators()):
            continue
        passed = module.layer.own_parameters - _count_unchosen(calls[0].layer, sizes)
        held = evaluate(sympy.sympify(module.count * passed), sizes)
        routing = calls[0].routing
        if routing is not None:
            chosen = evaluate(sympy.sympify(routing.num_experts_per_tok), sizes)
            held = held * chosen // evaluate(sympy.sympify(routing.n_routed_experts), sizes)
        total += int(held)
    return total


def _count_unchosen(layer: BaseLayer, sizes: Mapping[str, int]) -> int:
    """Return the parameters that a token does not choose in a layer of all experts: their reads say which those are."""
    weights = sympy.Add(*(operator.reads.weight for operator in layer.operators()))
    reads = weights.atoms(RoutedReads)
    of_all, of_chosen = (
        weights.xreplace({read: read.args[count] * read.args[-1] for read in reads}) for count in (0, 1)
    )
    unchosen = int(evaluate(sympy.expand(of_all - of_chosen), sizes))
    held = int(evaluate(sympy.sympify(layer.own_parameters), sizes))
    if unchosen > held:
        raise FormulaError(
            "a layer of experts reads its weights more than once, so that they do not say which a token chooses",
            place=type(layer).__name__, expected=f"at most {held} parameters", found=unchosen,
        )  # fmt: skip
    return unchosen
