"""Presentation trees in Markdown, as GitHub and GitLab show them: LaTeX between dollar signs and backquotes."""

from __future__ import annotations

from modelmeter.backends.latex.printer import print_display, print_pieces
from modelmeter.backends.presentation.tree import Display, Piece


def print_inline(*pieces: Piece) -> str:
    """Return a formula in a line of text."""
    return f"$`{print_pieces(pieces)}`$"


def print_block(display: Display) -> str:
    """Return a displayed formula, as lines of their own."""
    return f"```math\n{print_display(display)}\n```"
