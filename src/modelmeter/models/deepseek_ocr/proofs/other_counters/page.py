"""The page about other counters, as text."""

from __future__ import annotations

from attrs import asdict

from modelmeter.models.deepseek_ocr.proofs.other_counters.comparison import Comparison
from modelmeter.publishing.text import format_number
from modelmeter.support.markdown import escape_markdown
from modelmeter.support.templates import open_templates
from modelmeter.verify.other_counters.counters import EXACT


def render_page(comparison: Comparison) -> str:
    """Return the page, the same for the same counts and versions."""
    environment = open_templates("modelmeter.models.deepseek_ocr.proofs.other_counters", number=_number, ratio=_ratio)
    template = environment.get_template("accuracy.md.jinja")
    return template.render(
        exact=EXACT, comparison=comparison, workload=asdict(comparison.workload), stages=list(comparison.exact)
    )


def _number(value: int) -> str:
    return f"\u2212{_number(-value)}" if value < 0 else escape_markdown(format_number(value))


def _ratio(count: int, exact: int) -> str:
    return f"{count / exact:.4f}"
