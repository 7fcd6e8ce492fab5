"""Cases of the commands that evaluate: ``eval``, ``sweep`` and ``report``."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

from tests.fuzz.case import Case, Content
from tests.fuzz.documents import make_file, write_json, write_yaml
from tests.fuzz.values import RUN_IDS, SIZES, TEXTS, Draw

import deepseek_ocr_costs as costs
from llm_perf_opt.data.yaml_text import load_yaml
from llm_perf_opt.hardware import list_hardware
from llm_perf_opt.profiles import list_profiles

STAGES: Final = ("vision", "projector", "prefill", "decode", "request", "training_step")
FILES: Final = (
    "out.csv", "out.parquet", "out", "out.CSV", ".csv", "-", "", ".", "..", "empty", "empty/out.csv",
    "nowhere/out.csv", "notes.txt/out.csv", "../elsewhere/out.csv", "../nowhere/../elsewhere/out.parquet",
    "sweep.csv", "/dev/null", "/dev/full", "/dev/null/out.csv", "/proc/out.csv", "/proc/nowhere/out.parquet",
    "out.csv/", "out.csv/.", "x" * 300 + ".csv", "link", "link/out.csv", "a\nb.csv", "\x1b[31m.csv", "[b]x[/b].csv",
    "\u202ex.csv", "\udcff.csv", "a\x00.csv", "--json", "-.csv", "report.json", "layers/out.json", "config.json",
)  # fmt: skip
"""Names for one file to write: new ones, those of others, and those that no file can have."""

FOLDERS: Final = (
    "new", "new/er/est", "empty", ".", "..", "../elsewhere", "../elsewhere/tmp", "layers", "codegen", "notes.txt",
    "notes.txt/new", "link", "link/new", "", "/dev/null", "/dev/null/new", "/proc/new", "/proc/self/new", "x" * 300,
    "new/" + "x" * 300, "a\nb", "\x1b[31m", "[b]new[/b]", "new folder", "\udcff", "a\x00", "~", "-new", "--json",
    "new/../new2", "loop", "loop/new", "\u00fc\u4e16",
)  # fmt: skip
"""Names for a folder to write."""

_CONTRADICTIONS: Final = (
    ("request", "decode_steps=5", "max_new_tokens=1000"), ("request", "seq_len=2000", "prompt_tokens=5"),
    ("request", "max_new_tokens=7", "decode_steps=7"), ("prefill", "seq_len=913", "logits_tokens=914"),
    ("prefill", "seq_len=913", "prompt_tokens=913"), ("decode", "seq_len=913", "prompt_tokens=11"),
)  # fmt: skip
"""Sizes of which one follows from the other, and is another: see the docstrings of the evaluators."""

_PROFILE: Final[dict[str, Any]] = {
    "profile_id": "page-1", "description": "A page", "seq_len": 913, "base_size": 1024, "image_size": 640,
    "crop_mode": True, "max_new_tokens": 17, "doc_kind": "text_heavy", "num_pages": 1, "num_width_tiles": 2,
    "num_height_tiles": 3,
}  # fmt: skip

_CARD: Final[dict[str, Any]] = {
    "hardware_id": "card-1", "name": "A card", "tensor_flops_per_second": {"bfloat16": 312e12, "int8": 624e12},
    "vector_flops_per_second": 19.5e12, "memory_bytes_per_second": 2.039e12, "memory_bytes": 85899345920,
    "sources": [{"title": "A sheet", "year": 2021, "states": "all numbers"}],
}  # fmt: skip


def make_eval(draw: Draw) -> Case:
    """Return a case of ``eval``."""
    if draw.chance(0.05):
        return Case(arguments=("eval", *draw.choice(_CONTRADICTIONS), *_flags(draw, "--json")), contradicts=True)
    name = draw.choice((*STAGES, *STAGES, *costs.layers.__all__, draw.text(), draw.scribble("prefill")))
    known = sorted(costs.DIMENSIONS)
    given = []
    for _ in range(draw.choice((0, 1, 1, 2, 3, 9))):
        key = draw.choice((*known, "expert_routing")) if draw.chance(0.9) else draw.text()
        value = draw.choice(SIZES) if draw.chance(0.95) else draw.text()
        given.append(
            draw.choice((f"{key}={value}",) * 30 + (key, f"={value}", f"{key}={value}={value}", f"--{key}={value}"))
        )
    return Case(arguments=("eval", name, *given, *_flags(draw, "--json")))


def make_sweep(draw: Draw) -> Case:
    """Return a case of ``sweep``; a grid that is valid has few points."""
    arguments = ["sweep", draw.choice(STAGES) if draw.chance(0.9) else draw.text()]
    for _ in range(draw.choice((0, 0, 0, 1, 2))):
        arguments.append(f"{draw.choice(sorted(costs.DIMENSIONS))}={draw.choice(SIZES)}")
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        arguments += ["--grid", _make_axis(draw)]
    if draw.chance(0.97):
        arguments += ["--out", draw.choice(("out.csv", "out.parquet", "-")) if draw.chance(0.5) else draw.choice(FILES)]
    if draw.chance(0.2):
        arguments += ["--metric", draw.choice((*costs.Cost._fields, "peak_activation_bytes", draw.text()))]
    if draw.chance(0.4):
        arguments += ["--overflow", draw.choice(("error", "float64", "exact", "exact", draw.text()))]
    if draw.chance(0.2):
        arguments += ["--block-size", draw.choice(SIZES)]
    return Case(arguments=tuple(arguments))


def make_report(draw: Draw) -> Case:
    """Return a case of ``report``."""
    files: dict[str, Content] = {}
    arguments = ["report"]
    if draw.chance(0.75):
        arguments += ["--workload", make_workload(draw, files)]
    if draw.chance(0.5):
        arguments += ["--hardware", make_card(draw, files)]
    if draw.chance(0.15):
        arguments += ["--num-pages", draw.choice(SIZES)]
    if draw.chance(0.15):
        arguments += ["--dtype", draw.choice(("float32", "bfloat16", "float16", "float8_e4m3fn", "int8", draw.text()))]
    if draw.chance(0.15):
        arguments += ["--efficiency", draw.choice((*SIZES, "0.5", "1e-9", "1e-320", "-0.0", "1.0000001", "Infinity"))]
    if draw.chance(0.15):
        arguments += ["--engine", draw.choice(("eager", "graphs", "graphs-gddr", "graph", "card.yaml", draw.text()))]
    if draw.chance(0.15):
        arguments += ["--measured-ms", draw.choice((*SIZES, "0.5", "1e-320", "1e308", "1e400", "-0.0", "-Infinity"))]
    if draw.chance(0.3):
        arguments += ["--run-id", draw.choice(RUN_IDS) if draw.chance(0.8) else draw.text()]
    if draw.chance(0.1):
        arguments += ["--model", draw.choice(("deepseek-ocr", "qwen2.5-vl-3b", "llama", "empty", ".", draw.text()))]
    if draw.chance(0.1):
        arguments.append(draw.choice(("seq_len=5", "seq_len=", "=5", "batch_size=0", "hidden_size=7", draw.text())))
    between: dict[str, Content] = {}
    earlier: tuple[str, ...] = ()
    if draw.chance(0.7):
        out = draw.choice(FOLDERS) if draw.chance(0.9) else "old"
        arguments += ["--out", out]
        if out == "old":
            earlier = ("report", "--workload", "tiny", "--out", "old")
            strange = draw.choice(
                ("", "", "old/mine.md", "old/layers/mine.md", "old/layers/deep/mine.md", "old/report.json")
            )
            between = {strange: b'{"mine": 1}\n'} if strange else {}
    arguments += _flags(draw, "--force-rebuild", "--timestamp", "--json")
    return Case(arguments=tuple(arguments), files=files, earlier=earlier, between=between)


def make_card(draw: Draw, files: dict[str, Content]) -> str:
    """Return a name for ``--hardware``; a file that it names is added to ``files``."""
    return _make_record(draw, files, "card", _CARD, list_hardware())


def make_workload(draw: Draw, files: dict[str, Content]) -> str:
    """Return a name for ``--workload``; a file that it names is added to ``files``."""
    return _make_record(draw, files, "page", _PROFILE, list_profiles())


def _make_record(
    draw: Draw, files: dict[str, Content], stem: str, document: dict[str, Any], shipped: tuple[str, ...]
) -> str:
    if draw.chance(0.15):
        return draw.choice((*shipped, draw.text(), "nowhere.yaml", "empty", "./notes.txt", "/dev/full", "config.json"))
    if draw.chance(0.5):
        package = "llm_perf_opt.profiles" if stem == "page" else "llm_perf_opt.hardware"
        document = load_yaml((resources.files(package) / f"{draw.choice(shipped)}.yaml").read_text())
    name = draw.choice((f"{stem}.yaml", f"{stem}.yaml", f"{stem}.yml", f"{stem}.json", f"./{stem}", f"{stem}.txt"))
    is_yaml = not name.endswith(".json")
    if draw.chance(0.3):  # nothing is wrong, but the texts are not what one expects
        texts = {
            key: draw.choice(TEXTS) for key, value in document.items() if isinstance(value, str) and draw.chance(0.5)
        }
        texts.pop("doc_kind", None)
        files[name] = (write_yaml if is_yaml else write_json)(document | texts).encode()
    else:
        files[name] = make_file(draw, document, is_yaml=is_yaml, share_valid=0.1)
    return name


def _make_axis(draw: Draw) -> str:
    if draw.chance(0.5):
        return draw.choice(
            ("seq_len=913:999:7", "batch_size=1,2,4", "batch_size=3:0:-1", "weight_bits=4,8", "num_width_tiles=1:4")
        )
    name = draw.choice(sorted(costs.DIMENSIONS)) if draw.chance(0.9) else draw.text()
    start, step = draw.choice((0, 1, 16, 913)), draw.choice((1, 16, 64, -1, 0, 10**18))
    values = draw.choice(
        (
            f"{start}:{start + 9 * step}:{step}", f"{start}:{start + 99}", ",".join(draw.choices(SIZES, k=3)),
            draw.choice(SIZES), "1,2,4,8", "640,1024", "1:", ":1", ":", "1:2:3:4", "5:1", "-5:5", "1,,2", draw.text(),
            f"0:{10**40}:{10**39}", f"0:{2**63}:{2**62}", f"{2**63 - 2}:{2**63}", f"1:{10**40}",
        )
    )  # fmt: skip
    return draw.choice((f"{name}={values}",) * 20 + (name, f"={values}", values))


def _flags(draw: Draw, *names: str) -> list[str]:
    return [name for name in names if draw.chance(0.3)]
