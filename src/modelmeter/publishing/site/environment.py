"""What the templates of the site are given: how formulas, numbers and links are written."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain
from typing import Any, Final

from attrs import frozen
from jinja2 import Environment
from markupsafe import Markup

from modelmeter.backends.mathml import printer as mathml
from modelmeter.backends.presentation.tree import Display, Piece, Sign
from modelmeter.metrics.metric import METRIC_RECORDS, PEAK
from modelmeter.metrics.operator_table import VECTOR_FLOPS
from modelmeter.model.definition import Model
from modelmeter.publishing.conventions import PEAK_MEANING, find_strongest
from modelmeter.publishing.derivation.derivation import Derivation
from modelmeter.publishing.formula import SHOWN, is_flow
from modelmeter.publishing.page_spec import PartRow, TreeRow
from modelmeter.publishing.site.entries import list_named, list_trees, to_html_path
from modelmeter.publishing.site.prose import to_html
from modelmeter.publishing.text import format_magnitude, format_number, format_share
from modelmeter.support.templates import open_templates

MARK: Final = '<meta name="generator" content="modelmeter publish">'
"""What every page has in its head: whose it is, where no list of files says so."""

_NAMES: Final = "#names-"
"""Stands for the list of names in the links of formulas, which are then the same on all pages, and printed once."""


@frozen(kw_only=True)
class TreeItem:
    """A module of the tree in the navigation, with those inside it."""

    row: TreeRow
    children: tuple[TreeItem, ...]


def open_site_templates(model: Model, **facts: Any) -> Environment:
    """Return the templates of the site of a model; ``facts`` are what all of them are given beside what is common."""
    environment = open_templates("modelmeter.publishing.site")
    environment.autoescape = True

    def inline(*pieces: Piece) -> Markup:
        return Markup(mathml.print_inline(*pieces))

    def linked(root: str, names: str, *pieces: Piece) -> Markup:
        return _set_names(mathml.print_inline(*pieces, links=_link_letters(root, names)), names)

    def block(root: str, names: str, display: Display) -> Markup:
        return _set_names(mathml.print_block(display, _link_letters(root, names)), names)

    environment.filters.update(
        prose=to_html, number=format_number, exact=_write_exactly, html_path=to_html_path,
        share=lambda share: format_share(share.value, share.total),
        magnitude=lambda value, unit: format_magnitude(value, "B" if unit == "bytes" else "FLOP"),
    )  # fmt: skip
    environment.globals.update(
        inline=inline, linked=linked, block=block, place_of=mathml.find_place, names_in_steps=_list_names,
        EQUALS=Sign.EQUALS, model=model, vector_flops=VECTOR_FLOPS,
        minimum=lambda name: model.dimensions.describe(name).minimum, rules=model.rules,
        metrics={name: METRIC_RECORDS[name] for name in SHOWN}, flows=[name for name in SHOWN if is_flow(name)],
        find_strongest=find_strongest, peak=PEAK, peak_meaning=PEAK_MEANING, here="",
        mark=Markup(MARK), **facts,
    )  # fmt: skip
    return environment


def _write_exactly(value: int | Fraction) -> str:
    """Return a number with all its digits; what is not whole as a fraction."""
    if value.denominator == 1:
        return format_number(int(value))
    return f"{format_number(value.numerator)} / {format_number(value.denominator)}"


def _list_names(derivation: Derivation) -> list[PartRow]:
    """Return the names in the steps of a derivation."""
    sizes = (
        tree
        for step in derivation.steps
        for call in step.calls
        for tree in (call.times, *(size for _, size in call.sizes))
    )
    return list_named(chain(sizes, list_trees(step.lines for step in derivation.steps)), derivation.names)


def _link_letters(root: str, names: str) -> mathml.Links:
    """Return where letters lead: to the page of symbols, and to the list of names, if there is one."""
    return mathml.Links(symbols=f"{root}symbols.html#", names=_NAMES if names else "")


def _set_names(formula: str, names: str) -> Markup:
    return Markup(formula.replace(f'"{_NAMES}', f'"#{names}-') if names else formula)


def render(environment: Environment, name: str, root: str, **variables: Any) -> str:
    """Return a page; ``root`` leads from it to the folder of the site."""
    variables.setdefault("here", f"{name}.html")
    return environment.get_template(f"{name}.html.jinja").render(root=root, **variables)


def nest(rows: tuple[TreeRow, ...]) -> tuple[TreeItem, ...]:
    """Return the rows of a tree, which say how deep they are, as a tree."""

    def take(place: int, depth: int) -> tuple[list[TreeItem], int]:
        items: list[TreeItem] = []
        while place < len(rows) and rows[place].depth == depth:
            children, after = take(place + 1, depth + 1)
            items.append(TreeItem(row=rows[place], children=tuple(children)))
            place = after
        return items, place

    return tuple(take(0, 0)[0])
