"""How a formula is cited."""

from __future__ import annotations

from typing import Final

from modelmeter.publishing.identity import FormulaId
from modelmeter.publishing.text import escape_latex

AUTHORS: Final = "The modelmeter developers"
"""As in ``CITATION.cff``."""


def write_bibtex(formula: FormulaId, *, title: str, version: str) -> str:
    """Return a BibTeX entry of a formula, with the version and the whole digest.

    Parameters
    ----------
    title
        The name of the model.
    version
        Of the compiler that wrote the formula.
    """
    key = f"{formula.model}-{formula.subject}-{formula.metric}-{formula.short_digest}".replace("_", "-")
    fields = {
        "author": f"{{{AUTHORS}}}",
        "title": f"{escape_latex(formula.metric)} of {escape_latex(formula.subject)}: exact cost formula of "
        f"{{{escape_latex(title)}}}",
        "note": rf"modelmeter {escape_latex(version)}, formula \texttt{{{escape_latex(str(formula))}}}, SHA-256 of the "
        rf"canonical polynomial \texttt{{{formula.digest}}}",
        "version": version,
    }
    lines = ",\n".join(f"  {name:7} = {{{text}}}" for name, text in fields.items())
    return f"@misc{{{key},\n{lines}\n}}"
