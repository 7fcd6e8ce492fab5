"""What models see of pages in a browser: the JavaScript of the rules against the Python."""

from __future__ import annotations

import json
import random
import shutil
import subprocess

import pytest
from tests.check_pages import draw_sizes

from modelmeter.frontend.cards.page_rules import PAGE_RULES, make_page_views
from modelmeter.model.page_views import MAX_PAGE_SIDE
from modelmeter.publishing.site.calculator import shorten_script
from modelmeter.support.errors import WorkloadError

PAGES = 5000

RUN = """
const refuse = (problem, { place, expected }) => {
  throw new RangeError(`${place}: ${problem}; expected ${expected}`);
};
const pages = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const cut = ([width, height]) => {
  try {
    const sizes = Object.entries(PAGE_VIEWS(refuse).cut(BigInt(width), BigInt(height)));
    return sizes.map(([name, size]) => [name, Number(size)]);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return error.message;
  }
};
console.log(JSON.stringify(pages.map(cut)));
"""


@pytest.mark.parametrize("name", PAGE_RULES)
def test_pages_are_seen_in_a_browser_as_in_python(name: str) -> None:
    """At sides on the edges of cells, at all others, and at the longest that there are."""
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    rule, chance = PAGE_RULES[name], random.Random(name)
    views = make_page_views(rule)
    pages = [*draw_sizes(name, getattr(rule, "factor", 64), PAGES)]
    pages += [(chance.randint(1, MAX_PAGE_SIDE), chance.randint(1, MAX_PAGE_SIDE)) for _ in range(500)]
    # Squares, and pages of 4 to 1, are between two grids of slices that are as near.
    pages += [(side * across, side * down) for side in range(100, 1500, 7) for across, down in ((1, 1), (4, 1), (1, 4))]
    pages += [(MAX_PAGE_SIDE, MAX_PAGE_SIDE), (1, 1), (1, 201), (7, 3000), (MAX_PAGE_SIDE, MAX_PAGE_SIDE - 1)]
    script = shorten_script(views.read_script()) + RUN
    found = subprocess.run(
        [node, "--input-type=commonjs", "--eval", script], input=json.dumps(pages), capture_output=True, text=True,
        check=True, timeout=60,
    ).stdout  # fmt: skip
    for (width, height), seen in zip(pages, json.loads(found), strict=True):
        try:
            expected: object = [[size, value] for size, value in views.cut(width, height, {}, None).items()]
        except WorkloadError as error:
            expected = f"{error.place}: {error.problem}; expected {error.expected}"
        assert seen == expected, (width, height)
