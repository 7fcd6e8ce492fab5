"""Damages the formulas of layers one at a time, as a slip in a layer's file would.

A layer states its operators, its parameters, what it caches, and the sizes of its children. Each number or formula in
these is a site; a mutant is a site with one change, made in the layer's own sizes and therefore wherever the model has
a layer of that class. An operator is a site too: its mutant lacks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Literal
from unittest.mock import patch

import sympy
from attrs import evolve, fields, frozen, has

from modelmeter.analysis.bind import BoundCall, BoundModule
from modelmeter.dimensions.functions import BRACKETS, CeilDiv, FloorDiv, Size
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.container import Absent, ModuleList, Sequential
from modelmeter.metrics.cost import Operator
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS
from modelmeter.verify.identities import substitute_own_sizes

Kind = Literal["factor", "term", "exponent", "rounding", "swap", "missing"]
Path = tuple[str | int, ...]

KINDS: tuple[Kind, ...] = ("factor", "term", "exponent", "rounding", "swap", "missing")
STATEMENTS = ("operators", "own_parameters", "own_kv_elements", "build_children")
"""What a layer overrides of :class:`BaseLayer` to state what it costs."""

BACKWARD_FIELDS = ("backward_tensor_core_flops", "backward_cuda_core_flops", "gradients", "differentiated")
"""What an operator states of its backward, of which a trace of a forward says nothing."""

_CONTAINERS = (ModuleList, Sequential)
_OTHER_ROUNDING = {CeilDiv: FloorDiv, FloorDiv: CeilDiv}


@frozen(kw_only=True)
class Variant:
    """A layer class with a setting of its switches, such as ``bias``."""

    layer_class: type[BaseLayer]
    flags: Mapping[str, bool]

    def __str__(self) -> str:
        flags = [f"{name}={value}" for name, value in self.flags.items()]
        return " ".join([self.layer_class.__name__, *flags])


@frozen(kw_only=True, eq=False)  # a mutant is itself; formulas are slow to compare
class Mutant:
    """A variant of a layer class with one slip in it.

    Parameters
    ----------
    variant
        Whose formulas are damaged.
    statement, path
        What is damaged: one of ``STATEMENTS``, and the way to a size in its value.
    kind
        Of the slip.
    before, after
        The size in the layer's own sizes; of an operator, how often it is there.
    """

    variant: Variant
    statement: str
    path: Path
    kind: Kind
    before: sympy.Expr
    after: sympy.Expr

    @property
    def place(self) -> str:
        """The site, by names."""
        return f"{self.variant}: {'.'.join(map(str, (self.statement, *self.path)))}"

    @property
    def subject(self) -> str:
        """What the site is about: a field of an operator, all of it, or another statement."""
        if self.kind == "missing":
            return "operator"
        return ".".join(map(str, self.path[1:])) if self.statement == "operators" else self.statement

    def __str__(self) -> str:
        return f"{self.place}: {self.before} -> {self.after} ({self.kind})"

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Damage the class while the context is open."""
        layer_class = self.variant.layer_class
        original = getattr(layer_class, self.statement)
        state = original.fget if isinstance(original, property) else original

        def damaged(layer: BaseLayer) -> Any:
            if type(layer) is not layer_class or read_flags(layer) != self.variant.flags:
                return state(layer)
            _, sizes = substitute_own_sizes(layer, DIMENSIONS)
            if self.kind == "missing":
                return tuple(each for index, each in enumerate(state(layer)) if (index,) != self.path)
            return _replace(state(layer), self.path, self.after.xreplace(sizes))

        with (
            patch.object(layer_class, self.statement, property(damaged) if state is not original else damaged),
            # Layers and calls that were there before must not remember what they stated then.
            patch.object(BaseLayer, "own_operators", property(lambda layer: tuple(layer.operators()))),
            patch.object(BoundCall, "own_operators", property(_spread_again)),
        ):
            yield


def _spread_again(call: BoundCall) -> tuple[Operator, ...]:
    return tuple(call._spread(operator) for operator in call.layer.operators_under(call.routing))


def find_variants(models: Iterable[BoundModule]) -> list[Variant]:
    """Return every layer class of the models with every setting of its switches that occurs in them.

    Classes that hold given layers are left out: what they state is what those state.
    """
    found: dict[str, Variant] = {}
    for bound in (bound for model in models for bound in model.walk()):
        for layer in (part for call in bound.calls for part in list_parts(call.layer)):
            if not any(list_parts(layer)[1:]) and not isinstance(layer, (*_CONTAINERS, Absent)):
                variant = Variant(layer_class=type(layer), flags=read_flags(layer))
                found[str(variant)] = variant
    return [variant for _, variant in sorted(found.items())]


def list_mutants(variant: Variant) -> Iterator[Mutant]:
    """Yield every mutant of a variant, always in the same order."""
    layer = evolve(variant.layer_class.canonical(DIMENSIONS), **variant.flags)
    own = sorted({free for size in _list_fields(layer) for free in size.free_symbols}, key=str)
    for index, operator in enumerate(layer.operators()):
        if any(True for _ in _list_sizes(operator)):
            yield Mutant(
                variant=variant, statement="operators", path=(index,), kind="missing", before=sympy.S.One,
                after=sympy.S.Zero,
            )  # fmt: skip
    for statement in STATEMENTS:
        stated = getattr(layer, statement)
        for path, size in _list_sizes(stated() if callable(stated) else stated):
            seen = {sympy.expand(size)}
            for kind, after in _list_changes(size, own):
                if (expanded := sympy.expand(after)) not in seen:
                    seen.add(expanded)
                    yield Mutant(variant=variant, statement=statement, path=path, kind=kind, before=size, after=after)


def choose_mutants(variant: Variant, limit: int | None) -> list[Mutant]:
    """Return all that lack an operator, and at most ``limit`` others: of each subject in turn, of the next kind."""
    if limit is None:
        return list(list_mutants(variant))
    groups: dict[tuple[str, Kind], list[Mutant]] = {}
    for mutant in list_mutants(variant):
        groups.setdefault((mutant.subject, mutant.kind), []).append(mutant)
    missing = groups.pop(("operator", "missing"), [])
    subjects = list(dict.fromkeys(subject for subject, _ in groups))
    chosen: list[Mutant] = []
    for turn in count():
        if len(chosen) >= limit or not any(groups.values()):
            return [*missing, *chosen[:limit]]
        for index, subject in enumerate(subjects):
            # From both ends, so that not only the first operators have their turn.
            group = groups.get((subject, KINDS[(index + turn) % len(KINDS)]))
            if group:
                chosen.append(group.pop(0 if turn % 2 else -1))
    raise AssertionError("unreachable")


def list_parts(layer: BaseLayer) -> list[BaseLayer]:
    """Return a layer with the layers that it is given; they state its own work."""
    given = (getattr(layer, field.name) for field in fields(type(layer)))
    return [layer, *(part for part in given if isinstance(part, BaseLayer))]


def read_flags(layer: BaseLayer) -> dict[str, bool]:
    """Return the switches of a layer."""
    values = {field.name: getattr(layer, field.name) for field in fields(type(layer))}
    return {name: value for name, value in values.items() if isinstance(value, bool)}


def is_of(layer: BaseLayer, variant: Variant) -> bool:
    """Tell whether a layer is one that the mutants of a variant damage."""
    return type(layer) is variant.layer_class and read_flags(layer) == variant.flags


def _list_fields(layer: BaseLayer) -> Iterator[sympy.Expr]:
    for field in fields(type(layer)):
        if field.name != "precision":
            yield from (size for _, size in _list_sizes(getattr(layer, field.name)))


def _list_sizes(value: Any) -> Iterator[tuple[Path, sympy.Expr]]:
    """Yield the way to every size in a value, and the size; zeros are left out: they state nothing."""
    for key, below in _items(value):
        yield from (((key, *path), size) for path, size in _list_sizes(below))
    if (isinstance(value, sympy.Expr) or type(value) is int) and value != 0:
        yield (), sympy.sympify(value)


def _items(value: Any) -> Iterator[tuple[str | int, Any]]:
    """Yield the parts of a tuple, a mapping or a record, but not the inside of layers that are given as a whole."""
    if isinstance(value, tuple):
        yield from enumerate(value)
    elif isinstance(value, Mapping):
        yield from value.items()
    elif has(type(value)):
        for field in fields(type(value)):
            part = getattr(value, field.name)
            is_given = isinstance(part, BaseLayer) and not isinstance(value, _CONTAINERS)
            if field.name not in ("precision", *BACKWARD_FIELDS) and not is_given:
                yield field.name, part


def _replace(value: Any, path: Path, size: Size) -> Any:
    """Return ``value`` with ``size`` at the end of ``path``."""
    if not path:
        return size
    key, *rest = path
    if isinstance(value, tuple):
        return tuple(_replace(part, tuple(rest), size) if index == key else part for index, part in enumerate(value))
    if isinstance(value, Mapping):
        return {name: _replace(part, tuple(rest), size) if name == key else part for name, part in value.items()}
    return evolve(value, **{str(key): _replace(getattr(value, str(key)), tuple(rest), size)})


def _list_changes(size: sympy.Expr, own: Sequence[sympy.Symbol]) -> Iterator[tuple[Kind, sympy.Expr]]:
    """Yield ``size`` with each slip."""
    symbols = sorted(size.free_symbols, key=str)
    parts = sorted(sympy.preorder_traversal(size), key=str)
    yield "factor", 2 * size
    for symbol in symbols:
        yield "factor", size.xreplace({symbol: sympy.Integer(1)})
    sums = [part for part in parts if part.is_Add]
    for part in sums:
        yield from (("term", size.xreplace({part: part - term})) for term in sorted(part.args, key=str))
    if not sums:
        yield "term", size + (1 if size.is_Atom else symbols[0])
    for part in parts:
        if part.is_Pow and part.exp.is_Integer:
            yield "exponent", size.xreplace({part: part * part.base})
            yield "exponent", size.xreplace({part: part / part.base})
        elif part.is_Symbol:
            yield "exponent", size.xreplace({part: part**2})
        elif type(part) in _OTHER_ROUNDING:
            yield "rounding", size.xreplace({part: _OTHER_ROUNDING[type(part)](*part.args)})
        elif isinstance(part, BRACKETS):
            yield "rounding", size.xreplace({part: sympy.Integer(1)})
    for symbol in symbols:
        others = [other for other in own if other != symbol]
        if others:
            after = own.index(symbol) % len(others) if symbol in own else 0
            yield "swap", size.xreplace({symbol: others[after]})
