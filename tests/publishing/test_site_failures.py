"""What is wrong in a site fails its build."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from llm_perf_opt.commands.publish import build_files
from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import make_evaluators
from modelmeter.publishing.counting_rules import list_conventions
from modelmeter.publishing.data.formula_data import describe_programs
from modelmeter.publishing.derivation.derivation import DerivationMaker
from modelmeter.publishing.page_input import PageInput
from modelmeter.publishing.pages import build_pages_of
from modelmeter.publishing.site.builder import SiteInput, build_site
from modelmeter.publishing.site.links import check_links
from modelmeter.support.errors import FormulaError


def make_input(model: CompiledModel) -> SiteInput:
    source = PageInput(
        definition=model.definition, model=model.model, totals=model.totals, peaks=model.peaks,
        catalogue=model.catalogue, defaults=model.defaults,
    )  # fmt: skip
    return SiteInput(
        model=model.definition, title=model.name, version="0", pages=build_pages_of(source),
        derivations=DerivationMaker(source=source),
        programs=describe_programs(make_evaluators(model, has_breakdown=False), model.published_formulas()),
        ids={(each.id.subject, each.id.metric): each.id for each in model.published_formulas()},
        conventions=tuple(list_conventions(model.definition, routes_experts=True)), evaluate=lambda *_: -1,
    )  # fmt: skip


def know_values(source: SiteInput) -> SiteInput:
    """Return what a site is made of, with an evaluator that says what the pages say."""
    found = {
        (page.name, block.metric): block.value
        for page in (*source.pages.stages, *source.pages.layers)
        for block in page.section.metrics
    }
    found |= {(page.name, "peak_activation_bytes"): page.peak.value for page in source.pages.stages if page.peak}
    return evolve(source, evaluate=lambda name, metric: found[name, metric])


@pytest.fixture(scope="module")
def source(published: CompiledModel) -> SiteInput:
    """What the site of the model is made of, of which each test damages its own copy."""
    return know_values(make_input(published))


def test_a_number_that_is_not_the_evaluators_fails_the_build(source: SiteInput) -> None:
    with pytest.raises(FormulaError, match=r"vision/tensor_core_flops@.*not the evaluator's; expected -1"):
        build_site(evolve(source, evaluate=lambda *_: -1))


def test_a_symbol_without_a_definition_fails_the_build(source: SiteInput) -> None:
    missing = tuple((title, tuple(row for row in rows if row.name != "seq_len")) for title, rows in source.pages.sizes)
    with pytest.raises(FormulaError, match=r"no definition in the site; found seq_len"):
        build_site(evolve(source, pages=evolve(source.pages, sizes=missing)))


def test_a_wrong_coefficient_in_a_layer_fails_the_build(published: CompiledModel, source: SiteInput) -> None:
    """Of a linear layer, whose matrix product has 2 FLOPs for each of tokens, inputs and outputs."""
    entry = next(each for each in published.catalogue if each.name == "linear")
    flops = entry.cost.tensor_core_flops
    wrong = evolve(entry, cost=evolve(entry.cost, tensor_core_flops=flops / 2 * 3))
    catalogue = tuple(wrong if each is entry else each for each in published.catalogue)
    derivations = DerivationMaker(source=evolve(source.derivations.source, catalogue=catalogue))
    with pytest.raises(FormulaError, match=r"the steps of a derivation do not add up to the formula"):
        build_site(evolve(source, derivations=derivations))


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ({"a.html": b'<a href="b.html">b</a>'}, "no file"),
        ({"a.html": b'<a href="#x">x</a>'}, "no place"),
        ({"a.html": b'<a href="d/b.html#x">x</a>', "d/b.html": b"<p id='y'></p>"}, "no place"),
        ({"a.html": b'<p id="x"></p><p id="x"></p>'}, "one name"),
        ({"a.html": b'<img src="missing.svg">'}, "no file"),
        ({"a.html": b'<math><mi data-href="#x">x</mi></math>'}, "no place"),
    ],
)
def test_a_link_that_leads_nowhere_fails_the_build(pages: dict[str, bytes], message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        check_links(pages)


def test_a_study_without_a_title_fails_the_build(published: CompiledModel, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Studies\n")
    (tmp_path / "untitled.md").write_text("Only a sentence.\n")
    with pytest.raises(FormulaError, match=r"untitled\.md: a page of the studies has no title"):
        build_files(published, studies=tmp_path)


def test_links_that_lead_somewhere_pass() -> None:
    check_links({"d/a.html": b'<a href="../b.html#x">x</a><a href="https://x.org/">', "b.html": b'<p id="x"></p>'})


def test_a_letter_that_the_converter_does_not_know_fails_the_build(source: SiteInput) -> None:
    """A size whose LaTeX has a command that is none of those that are printed."""
    (title, (first, *others)), *groups = source.pages.sizes
    wrong = evolve(first, symbol=evolve(first.symbol, letter=r"\operatorname{B}"))
    sizes = ((title, (wrong, *others)), *groups)
    with pytest.raises(FormulaError, match=r"\\operatorname"):
        build_site(evolve(source, pages=evolve(source.pages, sizes=sizes)))


def test_a_formula_of_a_study_that_the_converter_does_not_know_fails_the_build(
    source: SiteInput, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("# Studies\n\nOf $`\\mathcal{N}`$ tokens.\n")
    source = evolve(
        source, render_markdown=lambda text: text,
        studies={"README.md": (tmp_path / "README.md").read_bytes()},
    )  # fmt: skip
    with pytest.raises(FormulaError, match=r"\\mathcal"):
        build_site(source)


def test_a_link_of_a_study_that_leads_nowhere_fails_the_build(source: SiteInput) -> None:
    page = b'# Studies\n\n<a href="missing.md">all</a>\n'
    source = evolve(source, render_markdown=lambda text: text, studies={"README.md": page})
    with pytest.raises(FormulaError, match=r"studies/index\.html: a link leads to no file of the site; found missing"):
        build_site(source)
