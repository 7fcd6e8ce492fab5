"""Finds attention that code spells out, by what its operators read and write, and says what one kernel would move.

The pattern is a product of two activations; functions of single scores, with a mask or a bias; perhaps columns of
sinks behind the scores; a softmax over the keys; and the product of what comes of it with a third activation. No name
of a module takes part: scores are followed from memory to memory, in whole rows, and nothing else may read them.

What is moved is split into two parts, which add up to what was counted. A kernel that never stores the scores reads
queries, keys and values before they are copied to the heads that share them, parameters and data that are added to
scores, and writes the output: these, and all FLOPs, are those of the last product. What is left stays where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from attrs import define, evolve, field

from modelmeter.frontend.attention_views import Layout, is_same
from modelmeter.metrics.cost import Elements
from modelmeter.metrics.operator_table import EAGER_ATTENTION, EAGER_ATTENTION_REST, PRODUCTS_OF_BATCHES
from modelmeter.verify.dispatch import Dispatched
from modelmeter.verify.operators import CountedOperator

COPIES: Final = frozenset({"clone", "repeat", "repeat_interleave"})
"""Operators whose output has the numbers of their input and no others."""

_OF_SCORES: Final = frozenset(
    {"mul", "div", "add", "sub", "tanh", "where", "masked_fill", "max", "maximum", "clamp", "clamp_min", "clamp_max"}
)
"""Functions of single scores."""

_MOST: Final = frozenset({"max", "amax"})
"""Of one tensor, the largest score of each row."""

_OF_ROWS: Final = "logsumexp"
"""What a softmax divides by: its kernel has it for each row, and scales the output with it."""

CAST: Final = "_to_copy"

_MOVES_ALONE: Final = frozenset({"clone", CAST})

Spot = tuple[int, object]
"""The place of an operator, and one of the views that it reads."""


@define(eq=False)
class Attention:
    """Scores on their way from one product to the other.

    Parameters
    ----------
    keys
        The formula of how many there are in a row.
    width
        That of a row: with the columns of sinks, if there are any.
    moved
        What its kernel reads, by who reads it.
    places
        The operators whose FLOPs it has.
    paths
        Of the modules that call them, or that call a copy that its kernel does not make.
    is_normal
        Whether the softmax was taken.
    has_ended
        Whether the last product was seen.
    is_broken
        Whether something does not fit the pattern.
    """

    keys: Any
    width: Any
    places: list[int] = field(factory=list)
    paths: list[str] = field(factory=list)
    moved: dict[Spot, Elements] = field(factory=dict)
    is_normal: bool = False
    has_ended: bool = False
    is_broken: bool = False


@define(eq=False)
class Source:
    """Where numbers come from that were copied: the operator that read them, its path, and what it read.

    ``held`` is what was known of the memory that they were in. ``elements`` are those of the first of several copies
    one after the other; ``is_first`` says that what was read is no more than these.
    """

    spot: Spot
    path: str
    read: Elements
    elements: Any
    is_first: bool
    held: Held | None = None

    def has_origin_of(self, other: Source) -> bool:
        """Tell whether both are copies of the same numbers of one memory."""
        return self.spot[1] == other.spot[1] and self.held is other.held


@define(eq=False)
class Held:
    """What is known of a memory: whether data or parameters are in it, what it is a copy of, and whose scores it has.

    ``is_row`` says of scores that they are the largest of each row.
    """

    is_data: bool
    source: Source | None = None
    scores: Attention | None = None
    is_row: bool = False


@define(eq=False)
class Given:
    """An input of an operator: its memory, how it lies in it, what is known of it, and what is read of it."""

    memory: int
    layout: Layout
    held: Held | None
    is_weight: bool
    read: Elements

    @property
    def is_data(self) -> bool:
        """Whether it hangs on data or on parameters, and not on sizes and constants alone."""
        return self.held is None or self.held.is_data or self.is_weight

    @property
    def source(self) -> Source | None:
        """Where its numbers come from, if they are a copy."""
        return None if self.held is None else self.held.source

    def names(self, place: int) -> Spot:
        """Return it as what the operator in a place reads."""
        return place, (self.memory, self.layout)


def begin(operator: Dispatched, place: int, given: Sequence[Given]) -> Attention | None:
    """Return the attention that may begin with a product, if it is one of two activations."""
    *bias, query, key = given
    path = operator.path
    if query.is_weight or key.is_weight or not (query.is_data and key.is_data):
        return None
    output = Layout.of(operator.outputs[0])
    keys = output.shape[-1]
    found = Attention(keys=keys, width=keys)
    if not output.is_rows(keys, keys) or not all(_add_source(found, each, place, path) for each in (query, key)):
        return None
    _add_mask(found, bias, place)
    found.places.append(place)
    found.paths.append(path)
    return found


def go_on(found: Attention, operator: Dispatched, place: int, given: Sequence[Given], held: Held) -> None:
    """Follow the scores through an operator that reads them; ``held`` is what will be known of its output."""
    held.scores = found
    found.is_broken = found.is_broken or found.has_ended or not _fits(found, operator, place, given, held)
    if not found.is_broken and (found.has_ended or operator.name == _OF_ROWS):
        held.scores = None


def _fits(found: Attention, operator: Dispatched, place: int, given: Sequence[Given], held: Held) -> bool:
    """Tell whether an operator belongs to the attention, and take it if so."""
    name = operator.name.removesuffix("_")
    own = [each for each in given if each.held is not None and each.held.scores is found]
    others = [each for each in given if each not in own]
    if name in PRODUCTS_OF_BATCHES:
        return name == "bmm" and given[0] is own[0] and _ends(found, own, others, place, operator.path)
    if name in _MOVES_ALONE and _is_cut(found, own):
        found.width = found.keys
    elif not _are_scores(found, own):
        return False
    if name not in _MOVES_ALONE:
        found.places.append(place)
        found.paths.append(operator.path)
    rows, output = own[0].layout.shape[:-1], Layout.of(operator.outputs[0])
    if name in _MOST and len(given) == 1:
        held.is_row = True
        return output.shape == (*rows, 1)
    if name == _OF_ROWS:
        return not found.is_normal and operator.arguments[1] in ([-1], [len(rows)])
    if name == "cat":
        is_behind = given[0] is own[0] and len(own) == 1 and operator.arguments[1:] in ((-1,), (len(rows),))
        if found.is_normal or not is_behind:
            return False
        found.width = found.width + sum(each.layout.shape[-1] for each in others)
    elif name == "_softmax":
        if found.is_normal or operator.arguments[1] not in (-1, len(rows)):
            return False
        found.is_normal = True
    elif name not in _OF_SCORES and name not in _MOVES_ALONE:
        return False
    _add_mask(found, others, place)
    return output.is_rows(found.width, found.width)


def _are_scores(found: Attention, own: Sequence[Given]) -> bool:
    """Tell whether views show all scores, row by row, or beside them the largest of each row."""
    largest = [each.held is not None and each.held.is_row for each in own]
    return not all(largest) and all(
        each.layout.shape[-1:] == (1,) if is_row else each.layout.is_rows(found.width, found.width)
        for each, is_row in zip(own, largest, strict=True)
    )


def _is_cut(found: Attention, own: Sequence[Given]) -> bool:
    """Tell whether a view shows the probabilities of the keys, and none of sinks."""
    return found.is_normal and len(own) == 1 and own[0].layout.is_rows(found.keys, found.width)


def _ends(found: Attention, own: Sequence[Given], others: Sequence[Given], place: int, path: str) -> bool:
    """Take the product of probabilities and values, if it is one: the keys are what is summed over."""
    if len(others) != 1 or not _is_cut(found, own):
        return False
    (value,) = others
    if value.is_weight or not value.is_data or not _add_source(found, value, place, path):
        return False
    found.places.append(place)
    found.has_ended = True
    return all(each == path for each in found.paths)


def _add_mask(found: Attention, others: Iterable[Given], place: int) -> None:
    """Read what meets scores, but for masks that hang on positions alone: a kernel knows these."""
    for each in others:
        if each.is_data:
            found.moved[each.names(place)] = each.read


def _add_source(found: Attention, given: Given, place: int, path: str) -> bool:
    """Read queries, keys or values where they are not copied yet; False if another module copies them to more."""
    source = given.source
    if source is None:
        found.moved[given.names(place)] = given.read
        return True
    if source.path == path and source.is_first and given.layout.shows_all():
        found.moved[source.spot] = source.read
        found.paths.append(source.path)
        return True
    found.moved[given.names(place)] = given.read
    return given.layout.shows_all() and is_same(source.elements, given.layout.elements)


def split_traffic(operators: Sequence[CountedOperator], attentions: Iterable[Attention]) -> list[CountedOperator]:
    """Return operators where what one kernel for an attention moves is that of its last product.

    What the last product reads beside that is put down to the first one. All numbers are those of before, in sum and
    module by module.
    """
    split = list(operators)
    for found in attentions:
        first, end = found.places[0], found.places[-1]
        for place in {*found.places, *(place for place, _ in found.moved)}:
            read = [each.scale(-1) for (reader, _), each in found.moved.items() if reader == place]
            split[place] = evolve(
                split[place], name=EAGER_ATTENTION_REST, tensor_core_flops=0, cuda_core_flops=0,
                reads=Elements.total([split[place].reads, *read]),
            )  # fmt: skip
        split[first] = evolve(split[first], reads=split[first].reads + split[end].reads)
        split[end] = evolve(
            split[end],
            name=EAGER_ATTENTION,
            tensor_core_flops=sum(operators[place].tensor_core_flops for place in found.places),
            cuda_core_flops=sum(operators[place].cuda_core_flops for place in found.places),
            reads=Elements.total(found.moved.values()),
        )
    return split
