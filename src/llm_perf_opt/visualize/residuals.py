"""The picture of a fit: how far each measurement is from what is predicted, by how long it took. Needs matplotlib."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.time import Calibration
from modelmeter.support.errors import OutputError

FORMATS: Final = ("svg", "png", "pdf")

_STYLE: Final[Any] = {"svg.hashsalt": "modelmeter", "svg.fonttype": "path", "font.size": 9}
_KINDS: Final = {"fitted": ("o", "#0072B2"), "checked": ("s", "#D55E00"), "left out": ("x", "#000000")}
"""The marker and the colour, one of Okabe and Ito's, of each kind of point."""


def draw_residuals(calibration: Calibration, suffix: str) -> bytes:
    """Return the picture in a format, with the same bytes on every run.

    Parameters
    ----------
    calibration
        Whose points.
    suffix
        ``svg``, ``png`` or ``pdf``.

    Raises
    ------
    OutputError
        If matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OutputError(
            "pictures need matplotlib", found=str(error), remedy="pip install 'modelmeter[plot]'"
        ) from None
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6.3, 3.9), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for kind, points in _list_points(calibration).items():
            if points:
                marker, colour = _KINDS[kind]
                axes.plot(
                    [x for x, _ in points], [100 * y for _, y in points], linestyle="", marker=marker, color=colour,
                    label=kind,
                )  # fmt: skip
        axes.axhline(0.0, color="#666666", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xlabel("measured (ms)")
        axes.set_ylabel("predicted less measured (% of measured)")
        axes.set_title(f"Calibration {calibration.name}, {calibration.engine}", fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=_metadata(suffix))
    return buffer.getvalue()


def find_format(path: Path) -> str:
    """Return the format of a picture by the suffix of its file.

    Raises
    ------
    RecordError
        If it is none of :data:`FORMATS`.
    """
    suffix = path.suffix.removeprefix(".")
    if suffix not in FORMATS:
        raise RecordError(
            "no such format of a picture", place=str(path), expected=", ".join(f".{each}" for each in FORMATS),
            found=path.suffix or "no suffix",
        )  # fmt: skip
    return suffix


def _list_points(calibration: Calibration) -> dict[str, list[tuple[float, float]]]:
    points: dict[str, list[tuple[float, float]]] = {kind: [] for kind in _KINDS}
    for point in calibration.points:
        milliseconds = 1000 * point.measured_seconds
        points[point.role].append((milliseconds, point.relative_error))
        if point.left_out_error is not None:
            points["left out"].append((milliseconds, point.left_out_error))
    return points


def _metadata(suffix: str) -> dict[str, Any]:
    """Return what a file says of itself: nothing that changes from run to run."""
    metadata: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": "modelmeter calibrate"},
        "png": {"Software": "modelmeter calibrate"},
        "pdf": {"CreationDate": None, "Creator": "modelmeter calibrate", "Producer": None},
    }
    return metadata[suffix]
