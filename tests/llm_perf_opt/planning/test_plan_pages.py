"""Pages are read from CSV row by row, and grouped by what costs the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from planned import draw_pages, write_csv

from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.pages import Page, ViewRule, group_pages, read_pages
from modelmeter.frontend.page_sizes import page_sizes
from modelmeter.model.page_views import find_page_views
from modelmeter.model.serving import find_serving
from modelmeter.support.errors import WorkloadError

SERVING, VIEWS = find_serving(), find_page_views()


def make_rule(mode: str, preprocessing: str | None = "serving") -> ViewRule:
    return ViewRule(views=VIEWS, mode=SERVING.modes[mode], preprocessing=preprocessing)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    pages = draw_pages(211, 5)
    assert list(read_pages(write_csv(tmp_path / "pages.csv", pages))) == pages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("height,width,output_tokens\n5,7,11\n", [Page(7, 5, 11)]),
        ("\ufeffPage Width, page_height ,max_new_tokens\r\n7, 5 ,11\r\n\r\n", [Page(7, 5, 11)]),
        ('"width","height","output_tokens","count"\n"7","5","11","13"', [Page(7, 5, 11, 13)]),
    ],
)
def test_columns_may_have_any_order_and_their_other_names(tmp_path: Path, text: str, expected: list[Page]) -> None:
    path = tmp_path / "pages.csv"
    path.write_text(text, encoding="utf-8")
    assert list(read_pages(path)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no row that names the columns; expected columns width, height, output_tokens and, if wanted"),
        ("width,height\n5,7\n", "row 1: the column output_tokens is missing; .* found width, height"),
        ("width,height,output_tokens,cuont\n", "row 1: a column has a name that means nothing here; .* found cuont"),
        ("width,width,output_tokens\n", "row 1: a column is there twice"),
        ("width,height,output_tokens\n", "there are no pages; expected at least one row"),
        ("width,height,output_tokens\n7,5,11\n7,5\n", "row 3: a row has other columns than the first; expected 3; "),
        ("width,height,output_tokens\n7,5,11\n-7,5,11\n", "row 3: the value of width is wrong; expected a whole number "
         "from 1 to 67108864; found -7"),
        ("width,height,output_tokens\n7,0,11\n", "row 2: the value of height is wrong; .* found 0"),
        ("width,height,output_tokens\n7,5,0\n", "row 2: the value of output_tokens is wrong"),
        ("width,height,output_tokens\n7,5,1.5\n", "row 2: the value of output_tokens is wrong; .* found 1.5"),
        ("page_width,Height,max_new_tokens\n7,5,0\n", "row 2: the value of max_new_tokens is wrong"),
        ("page_width, Page Height,max_new_tokens\n7,x,1\n", "row 2: the value of Page Height is wrong"),
        ("width,height,output_tokens\n7_0,5,1\n", "row 2: the value of width is wrong; .* found 7_0"),
        ("width,height,output_tokens\n\u0667,5,1\n", "row 2: the value of width is wrong"),
        ("width,height,output_tokens\n67108865,5,1\n", "row 2: the value of width is wrong"),
        ("width,height,output_tokens,count\n7,5,1,\n", "row 2: the value of count is wrong"),
        ("width,height,output_tokens\n" + "7" * 5000 + ",5,1\n", "row 2: the value of width is wrong"),
        ("\0" * 70_000, "this is no CSV; expected lines of less than 65536 characters"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_by_row_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pages.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=message) as caught:
        list(read_pages(path))
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_or_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="the pages cannot be read"):
        list(read_pages(tmp_path / "nowhere.csv"))
    (tmp_path / "binary.csv").write_bytes(b"width,height,output_tokens\n\xff\xfe,5,7\n")
    with pytest.raises(RecordError, match="this is no CSV"):
        list(read_pages(tmp_path / "binary.csv"))


@pytest.mark.parametrize("mode", sorted(SERVING.modes))
@pytest.mark.parametrize("preprocessing", ["serving", "transformers"])
def test_pages_are_cut_as_the_vendor_cuts_each(mode: str, preprocessing: str) -> None:
    pages = draw_pages(307, 11)
    chosen, expected = SERVING.modes[mode], Counter[tuple[tuple[tuple[str, int], ...], int]]()
    for page in pages:
        sizes = page_sizes(
            page.width, page.height, crop_mode=chosen.is_cut, preprocessing=preprocessing, **chosen.sizes
        )
        if not chosen.is_cut:
            sizes |= {"num_width_tiles": 1, "num_height_tiles": 1}
        expected[tuple(sorted(sizes.items())), page.output_tokens] += page.num_pages
    assert group_pages(pages, [make_rule(mode, preprocessing)])[0] == expected


def test_without_a_program_pages_that_programs_cut_otherwise_are_refused() -> None:
    """A strip of 1 to 9 gets 9 tiles of one program, and at most 6 of the other."""
    rule = make_rule("gundam", None)
    assert sum(group_pages([Page(1191, 1684, 3)], [rule])[0].values()) == 1
    with pytest.raises(WorkloadError, match="the vendor's programs differ in the tile grid"):
        group_pages([Page(701, 6311, 3)], [rule])


def test_a_page_out_of_range_is_refused_by_its_side() -> None:
    with pytest.raises(WorkloadError, match="page_height"):
        group_pages([Page(701, 0, 3)], [make_rule("gundam")])
