"""Pictures of studies: readable in print and by the colour-blind, the same bytes on every run."""

from __future__ import annotations

import io
from string import ascii_lowercase
from textwrap import fill
from typing import Any, Final

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from modelmeter.scaling.studies.records import Picture

_COLOURS: Final = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's, without the yellow that print loses."""

_DASHES: Final[tuple[Any, ...]] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
_MARKERS: Final = "osD^vx+"

_STYLE: Final[Any] = {
    "svg.hashsalt": "modelmeter", "svg.fonttype": "path", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3,
    "figure.dpi": 100, "savefig.dpi": 200, "pdf.fonttype": 42,
}  # fmt: skip
_TITLE_WIDTH: Final = 70
_LEGEND_WIDTH: Final = 104
"""Characters in a line."""

_SIZE: Final = (6.3, 3.9)
"""Inches: the width of a column of text on A4."""


def draw(picture: Picture) -> dict[str, bytes]:
    """Return a picture by the suffix of its file: ``svg``, ``png`` and ``pdf``."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for place, line in enumerate(picture.lines):
            points = [(x, float(y)) for x, y in line.points if y > 0 or not picture.is_log_y]
            axes.plot(
                [x for x, _ in points], [y for _, y in points], label=line.label, linewidth=1.4, markersize=3.5,
                color=_COLOURS[place % len(_COLOURS)], linestyle=_DASHES[place % len(_DASHES)],
                marker=_MARKERS[place % len(_MARKERS)],
            )  # fmt: skip
        shown = {x for line in picture.lines for x, _ in line.points}
        marks = sorted(
            (mark for mark in picture.marks if min(shown) <= mark.at <= max(shown)), key=lambda mark: mark.at
        )
        for letter, mark in zip(ascii_lowercase, marks, strict=False):
            # A letter above the frame, explained in the legend: words would cross the lines.
            axes.axvline(float(mark.at), color="#666666", linewidth=0.8, linestyle=":")
            axes.annotate(
                letter, (float(mark.at), 1.01), xycoords=("data", "axes fraction"), fontsize=8, ha="center", va="bottom"
            )
            axes.plot([], [], " ", label=f"{letter}: {mark.label}, at {float(mark.at):,.0f}")
        if picture.is_log_x:
            axes.set_xscale("log", base=2)
        if picture.is_log_y:
            axes.set_yscale("log")
        axes.set_xlabel(picture.x_label)
        axes.set_ylabel(picture.y_label)
        axes.set_title(fill(picture.title, _TITLE_WIDTH), fontsize=10, pad=14 if marks else 6)
        labels = [len(line.label) for line in picture.lines] + [len(mark.label) + 12 for mark in marks]
        columns = max(1, min(4, _LEGEND_WIDTH // (max(labels) + 6)))
        figure.legend(loc="outside lower center", ncols=columns, fontsize=8)
        return {suffix: _save(figure, suffix) for suffix in ("svg", "png", "pdf")}


def _save(figure: Figure, suffix: str) -> bytes:
    # Without the date and the version, which would change the bytes.
    metadata: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": "modelmeter study"},
        "png": {"Software": "modelmeter study"},
        "pdf": {"CreationDate": None, "Creator": "modelmeter study", "Producer": None},
    }
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, metadata=metadata[suffix])
    return buffer.getvalue()
