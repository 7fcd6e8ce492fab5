"""Sizes that someone gave, completed: what was left out follows from the others, and contradictions are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import names_of
from modelmeter.model.definition import Derivation, Model
from modelmeter.support.errors import WorkloadError
from modelmeter.support.suggestions import unknown_name


def complete_sizes(
    model: Model, defaults: Mapping[str, int], given: Mapping[str, Any], formulas: Iterable[Size]
) -> dict[str, int]:
    """Return a value for every size that ``formulas`` depend on, and for those that these follow from.

    Parameters
    ----------
    model
        Whose derivations and rules hold.
    defaults
        A value for every size.
    given
        What is asked for.
    formulas
        What is to be evaluated: a rule counts if all that it is about occurs there, or what the architecture limits.

    Raises
    ------
    UnknownNameError
        If a size does not exist.
    WorkloadError
        If a size is out of range, or two contradict each other.
    """
    known = [name for name in defaults if model.loop is None or name != model.loop.index.name]
    for name, value in given.items():
        if name not in known:
            raise unknown_name("size", name, known)
        model.dimensions.describe(name).check(value, WorkloadError)
    values: dict[str, int] = {**defaults, **given}
    used = {name for formula in formulas for name in names_of(formula)}
    for derivation in model.derivations:
        _derive(derivation, model, values, given)
    for size in model.derived:
        if used >= names_of(size.formula) - model.dimensions.architecture.keys():
            values[size.name] = int(evaluate(size.formula, values))
            used.add(size.name)
    for rule in model.rules:
        is_limit = rule.relation == "at_most" and rule.b in model.dimensions.architecture and rule.a in used
        if is_limit or rule.names <= used:
            rule.check(values, WorkloadError, at=str(rule.a) if is_limit else None)
    return values


def _derive(derivation: Derivation, model: Model, values: dict[str, int], given: Mapping[str, int]) -> None:
    derived = int(evaluate(derivation.formula(model), values))
    name = derivation.name
    if name not in given:
        model.dimensions.describe(name).check(derived, WorkloadError)
        values[name] = derived
    elif derivation.replaces is not None and derivation.replaces in given and given[name] != derived:
        raise WorkloadError(
            "two sizes contradict each other", place=name, found=given[name],
            expected=f"{derived}, which follows from {derivation.replaces} = {given[derivation.replaces]}",
            remedy="leave out one of them",
        )  # fmt: skip
