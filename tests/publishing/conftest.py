"""The formula pages of two models, for all tests of the pages; and the site, which is built once a session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_reader import build, render
from site_browser import Watch, find_chromium

from modelmeter.compiled_model import CompiledModel
from modelmeter.publishing.page_spec import Pages

STUDY = """# A small study

**What is it?** [All studies](README.md)

| size | bytes |
| --- | --- |
| 7 | 1,001 |

```math
S = 7 \\, \\left(B + 1\\right)
```

- A formula: $`\\left\\lceil \\tfrac{32\\,224}{3} \\right\\rceil`$.
"""


@pytest.fixture(scope="session", params=["published", "other"])
def compiled(request: pytest.FixtureRequest) -> CompiledModel:
    """Each of the two models."""
    model: CompiledModel = request.getfixturevalue(request.param)
    return model


@pytest.fixture(scope="session")
def pages(compiled: CompiledModel) -> Pages:
    """What its pages say."""
    return build(compiled)


@pytest.fixture(scope="session")
def texts(compiled: CompiledModel) -> dict[str, str]:
    """Its pages as text."""
    return render(compiled)


@pytest.fixture(scope="session")
def small_studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one study."""
    studies = tmp_path_factory.mktemp("studies")
    (studies / "README.md").write_text("# Studies\n\n- [small](small.md)\n", encoding="utf-8")
    (studies / "small.md").write_text(STUDY, encoding="utf-8")
    return studies


@pytest.fixture(scope="session")
def site(published: CompiledModel, small_studies: Path) -> dict[str, bytes]:
    """The files of the site of the published model by path, with the small study; not to be changed."""
    from llm_perf_opt.commands.publish import build_files

    return build_files(published, studies=small_studies)


@pytest.fixture(scope="session")
def site_folder(site: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site on a disk; not to be changed."""
    folder = tmp_path_factory.mktemp("site")
    for path, content in site.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium here; apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(site_folder: Path, browser: Any) -> Iterator[Any]:
    """The calculator, which asks for nothing and complains of nothing."""
    opened = browser.new_page()
    watch = Watch(opened)
    opened.goto((site_folder / "calculator.html").as_uri())
    yield opened
    watch.check(site_folder)
    opened.close()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The published formulas as data."""
    path = Path(__file__).parents[2] / "codegen/data/formulas.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
