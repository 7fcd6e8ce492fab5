"""The site in a real browser, from a disk: nothing is asked from elsewhere; all is drawn, reachable, and fits."""

from __future__ import annotations

from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from site_browser import QuietHandler, Watch

from modelmeter.publishing import site as site_package

HTML_TEMPLATES = Path(site_package.__file__).parent / "templates"

KINDS = (
    "index.html", "formulas.html", "symbols.html", "conventions.html", "cite.html", "stages/request.html",
    "stages/prefill.html", "layers/deepseek_v2_moe.html", "studies/index.html", "studies/small.html",
    "calculator.html", "ids.html",
)  # fmt: skip
"""A page of each template."""


def list_pages(site_folder: Path) -> list[Path]:
    return sorted(site_folder.rglob("*.html"))


def test_every_page_is_drawn_without_an_outside_request_and_fits(site_folder: Path, browser: Any) -> None:
    page = browser.new_page()
    watch = Watch(page)
    formulas = 0
    for path in list_pages(site_folder):
        page.goto(path.as_uri())
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 844})
            found = page.evaluate(
                """() => {
                  for (const each of document.querySelectorAll("main details")) each.open = true;
                  const boxes = [...document.querySelectorAll("math")].map((each) => each.getBoundingClientRect());
                  return {
                    empty: boxes.filter(({ width, height }) => !(width > 0 && height > 0)).length,
                    formulas: boxes.length,
                    wide: document.documentElement.scrollWidth - innerWidth,
                  };
                }"""
            )
            assert found["empty"] == 0, path
            assert found["wide"] <= 0, (path, width)
            formulas += found["formulas"]
    watch.check(site_folder)
    assert formulas > 1000
    page.close()


def test_over_http_nothing_fails_and_the_search_and_the_calculator_work(site_folder: Path, browser: Any) -> None:
    handler = partial(QuietHandler, directory=str(site_folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        page = browser.new_page()
        watch = Watch(page)
        for path in KINDS:
            answer = page.goto(f"{address}/{path}")
            assert answer.status == 200, path
        page.fill("#query", "prefill io_bytes")
        assert page.locator("#hits a").first.inner_text().startswith("prefill io_bytes")
        page.goto(f"{address}/calculator.html")
        page.fill("#field-prompt_tokens", "97")
        assert page.locator("#costs thead th").count() == 6, "four stages and the request"
        assert page.locator("#least").is_visible()
        assert not [url for url in watch.asked if not url.startswith((address, "data:"))]
        assert not watch.complaints
        page.close()
        server.shutdown()


def test_without_scripts_all_is_there(site_folder: Path, browser: Any) -> None:
    """What a script adds, the search and the copying, is not shown, and no text waits for one."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site_folder / "stages/prefill.html").as_uri())
    assert page.locator("math").count() > 20
    assert "1\u202f099\u202f514\u202f009\u202f088" in page.locator("main").inner_text()
    assert not page.locator("#query").is_visible()
    assert not page.locator("#theme").is_visible()
    context.close()


def test_the_search_finds_a_formula_by_keyboard(site_folder: Path, browser: Any) -> None:
    page = browser.new_page()
    watch = Watch(page)
    page.goto((site_folder / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("prefill io_bytes")
    assert page.locator("#hits a").first.inner_text().startswith("prefill io_bytes")
    page.keyboard.press("Enter")
    page.wait_for_url("**/stages/prefill.html#io_bytes")
    watch.check(site_folder)
    page.close()


def find_middle(page: Any, selector: str) -> tuple[float, float]:
    """Return the middle of what is drawn of the first letter that a selector finds."""
    x, y = page.evaluate(
        """(selector) => {
          const drawn = document.createRange();
          const link = document.querySelector(selector);
          link.scrollIntoView({ block: "center" });
          drawn.selectNodeContents(link);
          const { x, y, width, height } = drawn.getBoundingClientRect();
          return [x + width / 2, y + height / 2];
        }""",
        selector,
    )
    return x, y


def test_a_letter_in_a_formula_leads_to_its_definition(site_folder: Path, browser: Any) -> None:
    """A click where the letter is drawn: on that of a size, and on that of a part that has a name of its own."""
    page = browser.new_page(viewport={"width": 1280, "height": 844})
    page.goto((site_folder / "stages/vision.html").as_uri())
    page.mouse.click(*find_middle(page, "#io_bytes .formula math [data-href^='#io_bytes-names-']"))
    place = page.evaluate("decodeURIComponent(location.hash.slice(1))")
    assert place.startswith("io_bytes-names-")
    assert page.evaluate("(place) => document.getElementById(place).tagName", place) == "LI"
    page.mouse.click(*find_middle(page, "#tensor_core_flops .formula math [data-href$='#vision_batch_size']"))
    page.wait_for_url("**/symbols.html#vision_batch_size")
    assert page.locator(":target").inner_text().split("\t")[1] == "vision_batch_size"
    page.close()


def test_a_letter_says_what_it_is(site_folder: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 844})
    page.goto((site_folder / "stages/vision.html").as_uri())
    page.mouse.move(*find_middle(page, "#tensor_core_flops .formula math [data-href$='#vision_batch_size']"))
    page.wait_for_function(
        "document.querySelector('#tensor_core_flops .formula').title.startsWith('vision_batch_size: ')"
    )
    page.close()


def test_without_a_script_each_letter_has_its_link_below_the_formula(site_folder: Path, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site_folder / "stages/vision.html").as_uri())
    entry = page.locator("#tensor_core_flops")
    letters = entry.locator(".formula math [data-href*='symbols.html']")
    wanted = {letters.nth(place).get_attribute("data-href") for place in range(letters.count())}
    entry.locator("summary", has_text="Symbols and domain").click()
    links = entry.locator(".symbols a")
    assert wanted - {"../symbols.html#num_views", "../symbols.html#view_size"} <= {
        links.nth(place).get_attribute("href") for place in range(links.count())
    }
    assert len(wanted) > 6
    context.close()


def test_the_skip_link_leads_to_the_content(site_folder: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto((site_folder / "stages/vision.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.close()


def test_print_keeps_the_formulas(site_folder: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto((site_folder / "stages/prefill.html").as_uri())
    page.emulate_media(media="print")
    assert page.locator(".entry .formula math").first.is_visible()
    assert not page.locator("nav").is_visible()
    page.close()


TEMPLATES = (
    "index.html", "formulas.html", "symbols.html", "conventions.html", "cite.html", "ids.html", "calculator.html",
    "stages/decode.html", "layers/deepseek_v2_mlp.html", "studies/small.html",
)  # fmt: skip
"""A page of each template, a short one where there are several: axe takes seconds for a long one."""

COLORS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""Of all that axe looks at, what the dark theme changes."""


SHORTEN = """() => {
  for (const each of document.querySelectorAll("details")) each.open = true;
  const alike = "tbody tr:nth-child(n+8), .entry:nth-of-type(n+4), nav .tree ul ul ul li:nth-child(n+3)";
  for (const each of document.querySelectorAll(alike)) each.remove();
}"""
"""Open everything, and keep the first of what there is many of: axe looks at each alike element anew."""


def test_there_is_a_page_of_each_template() -> None:
    names = {path.name.removesuffix(".html.jinja") for path in HTML_TEMPLATES.glob("*.jinja")}
    assert {*map(name_template, TEMPLATES)} == names - {"base", "macros"}


def name_template(path: str) -> str:
    folder = Path(path).parent.name
    return {"stages": "stage", "layers": "layer", "studies": "study"}.get(folder, Path(path).stem)


DARK = ("index.html", "calculator.html", "stages/decode.html", "studies/small.html")
"""Pages with all colours of the theme: those of code, of formulas, of tables, of inputs and of what binds."""


@pytest.mark.parametrize(
    ("scheme", "paths", "options"), [("light", TEMPLATES, None), ("dark", DARK, COLORS)], ids=["light", "dark"]
)
def test_axe_finds_nothing(site_folder: Path, browser: Any, scheme: Any, paths: tuple[str, ...], options: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = browser.new_page(color_scheme=scheme)
    for path in paths:
        page.goto((site_folder / path).as_uri())
        page.evaluate(SHORTEN)
        results = axe.Axe().run(page, options=options)
        found = [(each["id"], each["nodes"][0]["html"][:200]) for each in results.response["violations"]]
        assert not found, path
        assert results.response["passes"], path
    page.close()
