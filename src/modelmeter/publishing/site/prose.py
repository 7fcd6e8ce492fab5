"""Text as HTML: docstrings and sentences with code and formulas, and pages of studies in Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Final

from markupsafe import Markup

from modelmeter.backends.mathml.latex_reader import convert_latex
from modelmeter.publishing.text import convert

_BLOCK_MATH = re.compile(r"^```math\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_INLINE_MATH = re.compile(r"\$`(.+?)`\$")
_LINK = re.compile(r'(href|src)="([^":#]+?)\.md(#[^"]*)?"')
_HOLE: Final = "\ue000{}\ue001"
"""Stands for a formula while Markdown is read, which knows nothing of MathML."""
_DISPLAYED: Final = ' display="block"'
_COMMENT = re.compile(r"^<!--.*?-->\n", re.DOTALL | re.MULTILINE)
_LONG: Final = 60
"""Characters of LaTeX that may be wider than a phone."""

_SCROLLED: Final = '<{0} class="scroll" tabindex="0" role="region" aria-label="formula">{1}</{0}>'
_FILLED_PARAGRAPH = re.compile("<p>\ue000(\\d+)\ue001</p>")
_FILLED = re.compile("\ue000(\\d+)\ue001")


def to_html(text: str) -> Markup:
    """Return plain text with code in double backquotes and formulas in dollar signs as HTML."""
    escape_text = partial(escape, quote=False)
    return Markup(
        convert(
            text,
            escape_text,
            code=lambda code: f"<code>{escape_text(code)}</code>",
            math=lambda latex: f"<math>{convert_latex(latex)}</math>",
            arxiv='<a href="https://arxiv.org/abs/{0}">arXiv:{0}</a>'.format,
        )
    )


def convert_markdown(text: str, render: Callable[[str], str]) -> Markup:
    """Return a page in Markdown as HTML, its formulas as MathML, its links to other pages as links to theirs.

    Parameters
    ----------
    render
        From Markdown without formulas to HTML.

    Raises
    ------
    FormulaError
        If a formula has a command that is not known.
    """
    formulas: list[str] = []

    def keep(match: re.Match[str], display: str) -> str:
        formula = f"<math{display}>{convert_latex(match[1])}</math>"
        is_long = display or len(match[1]) > _LONG
        formulas.append(_SCROLLED.format("div" if display else "span", formula) if is_long else formula)
        return _HOLE.format(len(formulas) - 1)

    text = _BLOCK_MATH.sub(lambda match: f"\n{keep(match, _DISPLAYED)}\n", _COMMENT.sub("", text))
    text = _INLINE_MATH.sub(lambda match: keep(match, ""), text)
    page = _FILLED_PARAGRAPH.sub(lambda match: formulas[int(match[1])], render(text))
    page = _FILLED.sub(lambda match: formulas[int(match[1])], page)
    page = _LINK.sub(
        lambda match: f'{match[1]}="{"index" if match[2] == "README" else match[2]}.html{match[3] or ""}"', page
    )
    page = page.replace("<table>", '<div class="scroll" tabindex="0" role="region" aria-label="table"><table>')
    page = page.replace("</table>", "</table></div>")
    return Markup(page)
