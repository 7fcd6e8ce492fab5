"""What a backend is: evaluators go in, the files of one language come out."""

from __future__ import annotations

from typing import Protocol

from modelmeter.evaluators.package import EvaluatorPackage


class Backend(Protocol):
    """A language that evaluators are printed in: a printer, a config and templates, in a folder of its own."""

    @property
    def name(self) -> str:
        """The name of the language."""
        ...

    def files(self, package: EvaluatorPackage) -> dict[str, str]:
        """Return the files as text by path, the same for the same evaluators; nothing is read or written.

        Raises
        ------
        FormulaError
            If something cannot be printed exactly.
        """
        ...
