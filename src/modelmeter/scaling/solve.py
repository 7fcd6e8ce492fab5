"""The answer to a question that is written as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.crossover import crossover
from modelmeter.scaling.inverse import largest
from modelmeter.scaling.language import Comparison, read_comparison
from modelmeter.scaling.order import order
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.question import Bounds, ask
from modelmeter.scaling.statement import Statement
from modelmeter.support.errors import QuestionError, WorkloadError


def solve(
    text: str,
    model: CompiledFormulas,
    over: str,
    *,
    own: Mapping[str, Quantity] | None = None,
    bounds: Bounds | None = None,
    **sizes: Any,
) -> Statement:
    """Return what a text asks: ``a >= b``, ``a <= budget``, or how a quantity grows.

    Parameters
    ----------
    text
        As :func:`~modelmeter.scaling.read_comparison` reads it. ``a >= b`` asks from which integer on it holds,
        ``a <= b`` up to which if ``b`` does not grow, and else from which; a quantity alone, what its leading term is.
    over
        The size that grows.
    own
        More names and what they stand for.
    bounds
        Bounds of the size.
    sizes
        Of the model; the others have their defaults.

    Raises
    ------
    QuestionError
        If the text is not of the language of questions.
    UnknownNameError
        If a name does not exist.
    FormulaError
        If units differ, or there is no closed form.
    WorkloadError
        If a size is out of range, or the one that grows has a value.

    Examples
    --------
    >>> import modelmeter
    >>> solve("prefill.io_bytes <= 1 TB", modelmeter.load(), "batch_size").value
    127
    """
    _check_free(over, sizes, model)
    comparison = _put(read_comparison(text, model, own), sizes)
    left, right = comparison.left, comparison.right
    if right is None:
        return order(left, over, bounds=bounds)
    if comparison.relation == ">=":
        return crossover(left, right, over, bounds=bounds)
    question = ask((left, right), over, bounds=bounds)
    if question.symbols[over] in question.formulas[1].free_symbols:
        return crossover(right, left, over, bounds=bounds)
    return largest(over, of=left, under=right, bounds=bounds)


def _check_free(over: str, sizes: Mapping[str, Any], model: CompiledFormulas) -> None:
    """Refuse a value for the size that grows, or for what stands for it under another name, as steps for tokens."""
    same = {over}
    for each in model.definition.derivations:
        if over in (each.name, each.replaces) and each.replaces is not None:
            same |= {each.name, each.replaces}
    for name in sorted(same & sizes.keys()):
        problem = "the size that grows has a value too" if name == over else f"{over} grows, and this follows from it"
        if name != over and not any(each.name == name for each in model.definition.derivations):
            problem = f"{over} grows, which follows from this"
        raise WorkloadError(
            problem, place=name, found=sizes[name],
            remedy=f"leave it out; --from and --to, or bounds in Python, bound {over}",
        )  # fmt: skip


def _put(comparison: Comparison, sizes: Mapping[str, Any]) -> Comparison:
    """Return a comparison with numbers for sizes, on the sides that are of the model."""
    left, right = comparison.left, comparison.right
    if not sizes:
        return comparison
    if not left.context.defaults and (right is None or not right.context.defaults):
        raise QuestionError("sizes are given, but the question is not about a model", found=", ".join(sizes))
    sides = [side for side in (left, right) if side is not None and side.context.defaults]
    unknown = {name: value for name, value in sizes.items() if not any(side.has_size(name) for side in sides)}
    return Comparison(
        _at(left, sizes, unknown), comparison.relation, None if right is None else _at(right, sizes, unknown)
    )


def _at(side: Quantity, sizes: Mapping[str, Any], unknown: Mapping[str, Any]) -> Quantity:
    """Return one side at the sizes that it has, under its own name: the domain of the answer says the sizes.

    What no side has is asked for, too, so that the error says which names there are.
    """
    own = {name: value for name, value in sizes.items() if side.has_size(name)} | dict(unknown)
    return side.at(**own).named(side.name) if side.context.defaults else side
