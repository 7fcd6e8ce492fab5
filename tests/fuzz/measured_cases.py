"""Cases of the command that fits measurements: ``calibrate``."""

from __future__ import annotations

from typing import Final

from tests.fuzz.case import Case, Content
from tests.fuzz.values import SIZES, Draw
from tests.fuzz.work_cases import make_card

_OUTS: Final = (
    "mine.yaml", "mine.yml", "mine", "mine.json", "notes.txt", "empty", "nowhere/mine.yaml", "", ".", "link", ".yaml",
    "/dev/null", "/dev/full", "x" * 300 + ".yaml", "\udcff.yaml", "a\nb.yaml", "\x1b[31m.yaml",
)  # fmt: skip
_PICTURES: Final = ("p.svg", "p.png", "p.pdf", "p.jpg", "p", "", "nowhere/p.svg", "mine.yaml", "empty", "/dev/full.svg")
_COLUMNS: Final = (
    "stage,batch_size,seq_len,context_tokens,milliseconds", "stage,milliseconds", "stage,batch_size,milliseconds",
    "milliseconds,stage", "stage,seconds", "stage,stage,milliseconds", "", ",", "stage,milliseconds,hidden_size",
    "stage,milliseconds,batch_sise", '"stage","milliseconds"', "stage;milliseconds", "\ufeffstage,milliseconds",
)  # fmt: skip
_ROWS: Final = (
    "step,1,,945,9.8", "step,3,,2003,11", "step,7,,9001,13.5", "prefill,1,113,,20", "prefill,1,509,,31",
    "vision,1,,,41",
)  # fmt: skip
_CELLS: Final = (
    *SIZES, "step", "vision", "decode", "nan", "inf", "-inf", "1e400", "0", "-1", "", " ", '"', "'", "1e-320", "0x10",
    "1_0", "9" * 300, "\x00", "\x1b[31m", "=1+1",
)  # fmt: skip


def make_calibrate(draw: Draw) -> Case:
    """Return a case of ``calibrate``; one that fits has few rows."""
    files: dict[str, Content] = {}
    name = "measured.csv" if draw.chance(0.95) else draw.choice(("nowhere.csv", "empty", "/dev/full", "config.json"))
    files["measured.csv"] = _make_table(draw)
    arguments = ["calibrate", name, "--card", "rtx-5090" if draw.chance(0.85) else make_card(draw, files)]
    if draw.chance(0.97):
        arguments += ["--out", "mine.yaml" if draw.chance(0.6) else draw.choice(_OUTS)]
    if draw.chance(0.4):
        arguments += ["--engine", draw.choice(("eager", "graphs", "graphs", "graph", "graphs-hbm", draw.text()))]
    if draw.chance(0.2):
        arguments += ["--dtype", draw.choice(("float32", "float16", "int8", "float8_e4m3fn", draw.text()))]
    if draw.chance(0.2):
        arguments += ["--name", draw.choice(("mine", "a/b", "", "..", draw.text()))]
    if draw.chance(0.2):
        arguments += ["--picture", draw.choice(_PICTURES)]
    if draw.chance(0.3):
        arguments += ["--json"]
    return Case(arguments=tuple(arguments), files=files)


def _make_table(draw: Draw) -> bytes:
    lines = [_COLUMNS[0] if draw.chance(0.85) else draw.choice(_COLUMNS)]
    lines += draw.choices(_ROWS, k=draw.choice((0, 1, 2, 6, 9, 12)))
    if draw.chance(0.5) and len(lines) > 1:
        place = draw.randrange(1, len(lines))
        cells = lines[place].split(",")
        cells[draw.randrange(len(cells))] = draw.choice(_CELLS)
        lines[place] = ",".join(cells)
    text = draw.choice(("\n",) * 9 + ("\r\n", "\r", "\n\n")).join(lines)
    content = text.encode("utf-8", "surrogatepass")
    return content if draw.chance(0.97) else content + bytes([255, 0])
