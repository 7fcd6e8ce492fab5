"""From the records of the pages to the files of the site. Nothing is read but the assets, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from itertools import chain
from typing import Any, Final

from attrs import field, frozen
from jinja2 import Environment
from markupsafe import Markup

from modelmeter.backends.mathml import printer as mathml
from modelmeter.backends.presentation.tree import Tree
from modelmeter.model.definition import Model
from modelmeter.publishing.counting_rules import Convention
from modelmeter.publishing.data.id_registry import IdRegistry
from modelmeter.publishing.derivation.derivation import DerivationMaker
from modelmeter.publishing.identity import RULES, FormulaId
from modelmeter.publishing.page_spec import LayerPage, Pages
from modelmeter.publishing.site.calculator import MOST_BYTES, Calculator, write_page_script
from modelmeter.publishing.site.entries import Entry, EntryMaker, EvaluateEntry, list_named
from modelmeter.publishing.site.environment import nest, open_site_templates, render
from modelmeter.publishing.site.former_ids import list_ids
from modelmeter.publishing.site.links import check_links
from modelmeter.publishing.site.prose import convert_markdown
from modelmeter.support.errors import FormulaError

ASSETS: Final = ("site.css", "site.js", "modelmeter-math.woff", "GUST-FONT-LICENSE.txt", "FONT.md")
SEARCH_FILE: Final = "assets/search.js"


@frozen(kw_only=True)
class SiteInput:
    """What a site is made of.

    Parameters
    ----------
    model, title, version
        The family, the name of the model, and the version of the compiler.
    pages
        What the pages say.
    ids
        The permanent id of every formula.
    conventions
        The counting rules.
    evaluate
        What the generated evaluators say, to be held against every number of an entry.
    derivations
        What makes the derivations of all formulas, and proves them.
    programs
        What ``formulas.json`` says of each formula, by its id.
    studies
        Files of studies by path, pages as Markdown; empty where there are none.
    render_markdown
        From Markdown to HTML; needed for studies only.
    calculator
        What the page of the calculator is made of, if there is one.
    registry
        The ids that were ever published; those of other models are left out.
    """

    model: Model
    title: str
    version: str
    pages: Pages
    ids: Mapping[tuple[str, str], FormulaId]
    conventions: tuple[Convention, ...]
    evaluate: EvaluateEntry
    derivations: DerivationMaker
    programs: Mapping[str, Mapping[str, Any]]
    studies: Mapping[str, bytes] = field(factory=dict)
    render_markdown: Callable[[str], str] | None = None
    calculator: Calculator | None = None
    registry: IdRegistry = field(factory=IdRegistry)


def build_site(source: SiteInput) -> dict[str, bytes]:
    """Return the files of the site by path: the same bytes for the same formulas.

    Raises
    ------
    FormulaError
        If a number on a page is not the evaluator's, a step of a derivation is not an identity, a link leads nowhere,
        a symbol has no definition, or something cannot be written as MathML.
    """
    maker = EntryMaker(
        model=source.model, title=source.title, version=source.version, ids=source.ids, evaluate=source.evaluate,
        derivations=source.derivations, programs=source.programs,
    )  # fmt: skip
    stages = {page.name: maker.of_stage(page) for page in source.pages.stages}
    layers = {page.name: maker.of_layer(page) for page in source.pages.layers}
    _check_symbols(source, chain.from_iterable((*stages.values(), *layers.values())))
    environment = open_site_templates(
        source.model, title=source.title, version=source.version, pages=source.pages, tree=nest(source.pages.tree),
        conventions=source.conventions, studies=_list_studies(source), has_calculator=source.calculator is not None,
        looks_at_pages=source.calculator is not None and source.calculator.views is not None,
    )  # fmt: skip
    texts = {
        "index.html": render(environment, "index", "", stages=stages, layers=layers),
        "formulas.html": render(environment, "formulas", "", stages=stages, layers=layers),
        "symbols.html": render(environment, "symbols", ""),
        "conventions.html": render(environment, "conventions", ""),
        "ids.html": render(environment, "ids", "", listed=list_ids(source.registry, source.ids, stages, layers)),
        "cite.html": render(environment, "cite", "", example=next(iter(stages.values()))[2], form_rules=RULES),
    }
    for page in source.pages.stages:
        path = f"stages/{page.name}.html"
        chained = (*page.chained, *list_named((row.definition for row in page.chained), page.section.parts))
        texts[path] = render(
            environment, "stage", "../", page=page, entries=stages[page.name], here=path, chained=chained
        )
    for layer in source.pages.layers:
        path = f"layers/{layer.name}.html"
        named = list_named(_list_tables(layer), layer.section.parts)
        texts[path] = render(
            environment, "layer", "../", page=layer, entries=layers[layer.name], here=path, table_names=named
        )
    if source.calculator is not None:
        meanings = {row.name: f"{row.meaning}, {row.unit}" for _, rows in source.pages.sizes for row in rows}
        texts["calculator.html"] = render(
            environment, "calculator", "", calculator=source.calculator, meanings=meanings,
            formulas=[
                (stage, entry.id.metric, entry)
                for stage in source.calculator.columns
                for entry in stages.get(stage, ())
            ],
            print_formula=lambda display: Markup(mathml.print_block(display)),
        )  # fmt: skip
    contents = {path: text.encode() for path, text in texts.items()}
    contents |= dict(_convert_studies(source, environment))
    contents |= {
        f"assets/{name}": (files("modelmeter.publishing.site") / "assets" / name).read_bytes() for name in ASSETS
    }
    if source.calculator is not None:
        contents |= _write_scripts(source.calculator)
    contents[SEARCH_FILE] = _write_search(source, stages, layers).encode()
    check_links(contents)
    return contents


def _list_tables(page: LayerPage) -> Iterator[Tree]:
    """Yield the formulas in the tables of the page of a layer."""
    for row in page.operators:
        yield from (row.tensor_core_flops, row.cuda_core_flops)
        yield from (count for _, count in (*row.reads, *row.writes))
    for child in page.children:
        yield from (child.count, child.times, *(size for _, size in child.sizes))


def _write_scripts(calculator: Calculator) -> dict[str, bytes]:
    """Return the scripts of the page of the calculator.

    Raises
    ------
    FormulaError
        If they are longer than a page should load.
    """
    scripts = {
        "assets/evaluators.js": calculator.write_evaluators().encode(),
        "assets/calculator.js": write_page_script().encode(),
    }
    size = sum(map(len, scripts.values()))
    if size > MOST_BYTES:
        raise FormulaError("the scripts of the calculator are too long", expected=f"{MOST_BYTES} bytes", found=size)
    return scripts


def _check_symbols(source: SiteInput, entries: Iterator[Entry]) -> None:
    defined = {row.name for _, rows in source.pages.sizes for row in rows}
    for entry in entries:
        for row in entry.sizes:
            if row.name not in defined:
                raise FormulaError("a symbol has no definition in the site", place=str(entry.id), found=row.name)


def _list_studies(source: SiteInput) -> list[tuple[str, str]]:
    """Return the path and the title of each study."""
    found = []
    for path, content in sorted(source.studies.items()):
        if path.endswith(".md") and path != "README.md":
            found.append((f"studies/{path.removesuffix('.md')}.html", _read_title(path, content.decode())))
    return found


def _read_title(path: str, text: str) -> str:
    """Return the heading of a page in Markdown."""
    for line in text.splitlines():
        if line.startswith("# "):
            return line[2:]
    raise FormulaError("a page of the studies has no title", place=path, expected="a line that begins with '# '")


def _convert_studies(source: SiteInput, environment: Environment) -> Iterator[tuple[str, bytes]]:
    for path, content in source.studies.items():
        if not path.endswith(".md"):
            yield f"studies/{path}", content
            continue
        if source.render_markdown is None:
            raise FormulaError("studies are pages in Markdown, and nothing reads it", found=path)
        name = "index" if path == "README.md" else path.removesuffix(".md")
        here = f"studies/{name}.html"
        text = content.decode()
        body, title = convert_markdown(text, source.render_markdown), _read_title(path, text)
        yield here, render(environment, "study", "../", body=body, heading_text=title, here=here).encode()


def _write_search(source: SiteInput, stages: Mapping[str, list[Entry]], layers: Mapping[str, list[Entry]]) -> str:
    """Return the index of the search as a script, since a page from a disk may not fetch a file."""
    rows: list[tuple[str, str, str]] = []
    for folder, subjects in (("stages", stages), ("layers", layers)):
        for subject, entries in subjects.items():
            rows.append((subject, f"{folder}/{subject}.html", folder[:-1]))
            rows += [
                (f"{subject} {entry.id.metric}", f"{folder}/{subject}.html#{entry.id.metric}", entry.id.short_digest)
                for entry in entries
            ]
    for _, sizes in source.pages.sizes:
        rows += [(row.name, f"symbols.html#{row.name}", f"{row.meaning}, {row.unit}") for row in sizes]
    rows += [(rule.name, f"conventions.html#{_slug(rule.name)}", "convention") for rule in source.conventions]
    rows += [(title, path, "study") for path, title in _list_studies(source)]
    rows = list(dict.fromkeys(rows))
    return f"window.MODELMETER_INDEX = {json.dumps(rows, ensure_ascii=False, separators=(',', ':'))};\n"


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
