"""The site: every number is the evaluator's, every link leads somewhere, the same bytes on every run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

import deepseek_ocr_costs as costs
from llm_perf_opt.cli import app
from llm_perf_opt.commands.publish import _compare
from llm_perf_opt.reporting.folder import write_folder
from llm_perf_opt.reporting.manifest import MANIFEST
from modelmeter.analysis.evidence import Evidence
from modelmeter.backends.javascript.render import render_package
from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import find_evidence, make_evaluators
from modelmeter.publishing.conventions import find_strongest
from modelmeter.publishing.data.id_registry import IdRegistry, PublishedId
from modelmeter.publishing.site.former_ids import list_ids
from modelmeter.publishing.site.prose import convert_markdown, to_html
from modelmeter.support.errors import OutputError

ROOT = Path(__file__).parents[2]


def page(site: Mapping[str, bytes], path: str) -> str:
    return site[path].decode()


def entry(site: Mapping[str, bytes], path: str, metric: str) -> str:
    found = re.search(rf'<section class="entry" id="{metric}">.*?</section>', page(site, path), re.DOTALL)
    assert found is not None, metric
    return found[0]


def test_there_is_a_page_for_everything(site: dict[str, bytes], published: CompiledModel) -> None:
    expected = {f"stages/{name}.html" for name in published.stages}
    expected |= {f"layers/{name}.html" for name in published.layers}
    expected |= {
        f"{name}.html" for name in ("index", "formulas", "symbols", "conventions", "cite", "ids", "calculator")
    }
    expected |= {"studies/index.html", "studies/small.html"}
    assert {path for path in site if path.endswith(".html")} == expected


def test_every_published_formula_has_an_entry_under_its_id(site: dict[str, bytes], published: CompiledModel) -> None:
    listed = page(site, "formulas.html")
    for each in published.published_formulas():
        folder = "stages" if each.is_stage else "layers"
        if (each.id.subject, each.id.metric) == ("request", "peak_activation_bytes"):
            continue  # the largest of the stages, which have the formulas
        assert f'id="{each.id.metric}@{each.id.short_digest}"' in page(site, f"{folder}/{each.id.subject}.html")
        assert str(each.id) in listed


def test_an_entry_has_all_that_an_engineer_asks_for(site: dict[str, bytes]) -> None:
    """Of each token 2 FLOPs for each weight that it meets, and the pairs of attention."""
    found = entry(site, "stages/prefill.html", "tensor_core_flops")
    value = costs.prefill_tensor_core_flops()
    assert f"<strong>{value:,}</strong> FLOPs".replace(",", "\u202f") in found
    assert '<a href="../symbols.html#seq_len">' in found
    assert "<math display=" in found
    assert '<a href="../layers/' in found
    assert "How it was checked" in found
    for language in ("LaTeX", "Python", "JavaScript", "SQL", "JSON", "BibTeX"):
        assert f'<p class="language">{language}</p>' in found
    program = unescape(re.search(r'as Python">(.*?)</pre>', found, re.DOTALL)[1])  # type: ignore[index]
    assert program == (
        "import deepseek_ocr_costs as costs\n\n"
        f"assert costs.prefill(batch_size=1, seq_len=913, logits_tokens=913).tensor_core_flops == {value}"
    )


PROVED = (
    "Proved symbolically (expanded difference is 0): {}, against the torch modules of the reference model; 3 domains."
)
TESTED = "Polynomial identity test, equal at all of 3 points drawn at random: {}, against another form of the formula."
COUNTED = "Exact at 24 points: {}, against the torch modules of the reference model; 1 module, 24 domains."


@pytest.mark.parametrize(
    ("checks", "metric", "strongest"),
    [
        (("Matched by name.", COUNTED.format("all metrics"), PROVED.format("``io_bytes``")), "io_bytes", "Proved"),
        (("Matched by name.", COUNTED.format("all metrics"), PROVED.format("``io_bytes``")), "weight_bytes", "Exact"),
        ((COUNTED.format("``io_bytes``"), TESTED.format("all metrics")), "io_bytes", "Polynomial"),
        ((PROVED.format("all metrics and ``fused_io_bytes``"),), "fused_io_bytes", "Proved"),
        ((PROVED.format("all metrics"), COUNTED.format("``peak_activation_bytes``")), "peak_activation_bytes", "Exact"),
        ((PROVED.format("all metrics"),), "fused_io_bytes", ""),
        ((PROVED.format("``backward_tensor_core_flops``"),), "tensor_core_flops", ""),
        (
            ("Matched by name. Polynomial identity test: counted at 3 points. All were equal.",),
            "io_bytes",
            "Polynomial",
        ),
        (("Matched by name.",), "io_bytes", ""),
    ],
)
def test_the_strongest_check_of_a_metric_is_taken(checks: tuple[str, ...], metric: str, strongest: str) -> None:
    found = find_strongest(checks, metric)
    assert found.startswith(strongest)
    assert bool(found) == bool(strongest)
    assert found in " ".join(checks)


def test_the_strongest_check_stands_beside_a_formula(published: CompiledModel, site: dict[str, bytes]) -> None:
    """Of the record of the repository; without one, nothing is claimed."""
    evidence = Evidence.read(ROOT / "codegen/formulas/evidence.json")
    checks = find_evidence(published, evidence)["decode"]
    assert find_strongest(checks, "io_bytes").startswith("Proved symbolically (expanded difference is 0): all metrics")
    assert find_strongest(checks, "peak_activation_bytes").startswith("Exact at ")
    claim = entry(site, "stages/decode.html", "io_bytes").partition('<p class="claim">')[2].partition("</p>")[0]
    assert claim.startswith("Proved symbolically (expanded difference is 0): all metrics"), claim
    assert claim.endswith(" domains."), "which sizes were symbols is said with the other checks"
    assert '<p class="claim">' not in page(site, "stages/request.html"), "its stages have the claims"


def test_a_dash_on_the_front_page_has_its_reason(site: dict[str, bytes]) -> None:
    front = page(site, "index.html")
    assert front.count(">\u2013</td>") == 1
    assert "there is no formula of <code>fused_io_bytes</code> of <code>training_step</code>, as it is not" in front
    assert "type the sizes of a page" in front


def test_the_evaluators_of_the_site_are_those_of_the_package(published: CompiledModel) -> None:
    """They are made without those of the breakdown, which changes no other one."""
    folder = ROOT / "codegen/javascript/deepseek_ocr_costs"
    rendered = render_package(make_evaluators(published, has_breakdown=False))
    assert {*rendered} == {path.name for path in folder.glob("*.mjs")}
    for name, text in rendered.items():
        assert text == (folder / name).read_text(encoding="utf-8"), name


def test_a_former_id_keeps_its_address(published: CompiledModel) -> None:
    """Of four ids one is of today, one was replaced, one is of a metric that nothing has now, one of another model."""
    current = {(each.id.subject, each.id.metric): each.id for each in published.published_formulas()}
    today = current["prefill", "io_bytes"]
    kept = [str(today), f"{today.model}/prefill/io_bytes@00000000", f"{today.model}/prefill/joules@11111111"]
    registry = IdRegistry(
        tuple(PublishedId(id=found, digest="0" * 64, version="0.0.1") for found in (*kept, "other/prefill/x@22222222"))
    )
    listed = list_ids(registry, {("prefill", "io_bytes"): today}, {"prefill": ()}, {})
    assert [(each.id, each.is_current, each.link) for each in listed] == [
        (kept[0], True, "stages/prefill.html"), (kept[1], False, "stages/prefill.html"), (kept[2], False, ""),
    ]  # fmt: skip


def test_every_id_of_the_list_has_an_address(site: dict[str, bytes]) -> None:
    listed = page(site, "ids.html")
    rows = json.loads((ROOT / "codegen/data/ids.json").read_text(encoding="utf-8"))["ids"]
    assert len(rows) > 200
    for found, *_ in rows:
        assert f'<tr id="{found}">' in listed
    assert "no longer published" not in listed


def test_mathml_is_well_formed_and_no_latex_is_left(site: dict[str, bytes]) -> None:
    for path, content in site.items():
        if path.endswith(".html"):
            text = content.decode()
            for formula in re.findall(r"<math.*?</math>", text, re.DOTALL):
                ElementTree.fromstring(formula)
            prose = re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)
            assert not re.search(r"\\[a-zA-Z]+|\$", prose), path


def test_every_letter_of_a_formula_leads_to_its_definition(site: dict[str, bytes]) -> None:
    """In every displayed formula, no letter is left without; that each address is there, the build checks."""
    for path, content in site.items():
        if not path.startswith(("stages/", "layers/")):
            continue
        for formula in re.findall(r'<math display="block">.*?</math>', content.decode(), re.DOTALL):
            bare = {each.text for each in ElementTree.fromstring(formula).iter("mi") if "data-href" not in each.attrib}
            # F is a function that the lines of the same formula define, and max what it says.
            assert bare <= {"F", "max"}, (path, bare)


def test_nothing_is_asked_from_elsewhere(site: dict[str, bytes]) -> None:
    for path, content in site.items():
        if path.endswith((".html", ".css", ".js")):
            loaded = re.findall(r'(?:src|<link[^>]*href)="([^"]+)"|url\(([^)]+)\)', content.decode())
            assert all(not url.startswith(("http", "//")) for pair in loaded for url in pair), path


def test_prose_is_escaped() -> None:
    assert to_html("a < b & ``c<d>``, $N$, arXiv:2510.18234") == (
        "a &lt; b &amp; <code>c&lt;d&gt;</code>, <math><mi>N</mi></math>, "
        '<a href="https://arxiv.org/abs/2510.18234">arXiv:2510.18234</a>'
    )


def test_a_page_of_a_study_becomes_html() -> None:
    text = "<!-- Written by a command. -->\nSee [all](README.md) and [x](x.md#y).\n\n```math\nS = 2\n```\n\n$`N^{2}`$"
    html = convert_markdown(text, lambda body: body.replace("[all](README.md)", '<a href="README.md">all</a>'))
    assert "Written" not in html
    assert '<a href="index.html">all</a>' in html
    assert '<math display="block"><mrow><mi>S</mi><mo>=</mo><mn>2</mn></mrow></math></div>' in html
    assert "<math><msup><mi>N</mi><mn>2</mn></msup></math>" in html


def test_the_site_is_the_same_on_another_hash_seed_and_a_changed_byte_is_found(
    site: dict[str, bytes], small_studies: Path, tmp_path: Path
) -> None:
    """What is written in a process with another seed is what this one builds; and then it is checked as a user does."""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    folder = tmp_path / "site"
    options = ["publish", "--studies", str(small_studies), "--out", str(folder)]
    subprocess.run(
        [sys.executable, "-m", "llm_perf_opt.cli", *options], cwd=ROOT, check=True, timeout=240, capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )  # fmt: skip
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written - {*site} == {MANIFEST}
    assert not [path for path, content in site.items() if (folder / path).read_bytes() != content]
    changed = folder / "index.html"
    changed.write_bytes(changed.read_bytes().replace(b"exact", b"inexact", 1))
    (folder / "assets/site.css").unlink()
    found = CliRunner().invoke(app, [*options, "--check"])
    assert isinstance(found.exception, OutputError)
    assert "found index.html, assets/site.css;" in str(found.exception)
    assert not (folder / "assets/site.css").exists(), "a check writes nothing"


def test_a_check_names_the_pages_that_the_site_no_longer_has(tmp_path: Path, site: dict[str, bytes]) -> None:
    """A page in the list of files, also where it was changed since; a page with our mark; and no file of others."""
    files = {"index.html": site["index.html"], "layers/linear.html": site["layers/linear.html"]}
    others = {"old.html": b"old", "changed.html": b"changed"}
    write_folder(tmp_path, {**files, **others}, command="publish")
    _compare({**files, **others}, tmp_path)
    (tmp_path / "changed.html").write_bytes(b"changed by hand")
    (tmp_path / "layers/former.html").write_bytes(site["layers/linear.html"])
    (tmp_path / "layers/thesis.html").write_bytes(b"<html>ten years of work")
    (tmp_path / "CNAME").write_bytes(b"costs.example.org")
    with pytest.raises(OutputError) as found:
        _compare(files, tmp_path)
    names = ("changed.html", "layers/former.html", "old.html")
    assert f"found {', '.join(f'{name} (no longer published)' for name in names)};" in str(found.value)
    assert "remove what is left" in str(found.value)
