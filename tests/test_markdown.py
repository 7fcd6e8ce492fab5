"""Text from elsewhere in Markdown."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from modelmeter.support.markdown import escape_markdown


def test_it_shows_as_it_is() -> None:
    escaped = escape_markdown(r"a|b <i> *x* _y_ `z` [l](u) #1 $m$ {c} back\slash ~ ^ % &")
    assert escaped == r"a\|b \<i\> \*x\* \_y\_ \`z\` \[l\](u) \#1 \$m\$ \{c\} back\\slash \~ ^ % &"


def test_an_underscore_inside_a_word_is_left_alone() -> None:
    assert escape_markdown("seq_len _softmax view_") == r"seq_len \_softmax view\_"


@pytest.mark.parametrize(
    "text",
    [
        "&lt;b&gt;", "&amp;", "&#60;", "a & b", "- x", "+ x", "1. x", "123456789) x", "-x", "a - b", ") x", ". x",
        "1.5 x", "# x", "> x", "![x](y)",
        "<script>x</script>", "<!-- x", "**x** __x__", "`x`", "~~~", "\\", "a|b", "[x]: y",
    ],
)  # fmt: skip
def test_a_reader_of_markdown_shows_it_as_it_is(text: str) -> None:
    """Held against a parser of CommonMark that is not ours: one paragraph, of nothing but text, and of this text."""
    tokens = MarkdownIt("commonmark").parse(escape_markdown(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == text


def test_what_steers_a_terminal_is_written_out() -> None:
    assert escape_markdown("\x1b[2J\x00\x9b\u202eabc\u2066") == r"\\x1b\[2J\\x00\\x9b\\u202eabc\\u2066"
    assert escape_markdown("two\nlines, 1\u202f024, e\u0301") == "two\nlines, 1\u202f024, e\u0301"
