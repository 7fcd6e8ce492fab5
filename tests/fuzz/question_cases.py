"""Cases of the commands that ask formulas: ``solve`` and ``study``."""

from __future__ import annotations

from typing import Final

from attrs import evolve
from tests.fuzz.case import Case, Content
from tests.fuzz.values import SIZES, Draw
from tests.fuzz.work_cases import FOLDERS, STAGES, make_card

import deepseek_ocr_costs as costs

_NUMBERS: Final = (
    "0", "1", "3", "1.5", "1e3", "80GiB", "80 GB", "3 TFLOP", "2 TB/s", "7 ms", "1e999", "1e-999", "1e1000", "9" * 100,
    "9" * 101, "1_000", "1__0", "0x10", "3 parsecs", "-3", "nan", "inf",
)  # fmt: skip
_METRICS: Final = (*costs.Cost._fields, "fused_io_bytes", "peak_activation_bytes", "io_byte", "__class__", "formula")
_PATTERNS: Final = (
    "*.mlp", "*", "**", "model.layers.0", "?", "[a-z]*", "[", "[!]", "lm_head", "*.nowhere", "*" * 300, "../..", "a b",
)  # fmt: skip
_OPERATORS: Final = ("mm", "addmm", "scaled_dot_product_attention", "bmm", "nothing", "*", "clone")
_LAYERS: Final = (*costs.layers.CLASSES, "Linear", "Attention", "liner", "*")
_CARD_NAMES: Final = (
    "memory_bytes", "usable_bytes", "tensor_flops_per_second", "memory_bytes_per_second", "ratio", "nothing",
)  # fmt: skip


_WORKLOAD: Final = (
    "seq_len", "seq_len", "batch_size", "batch_size", "decode_steps", "num_width_tiles", "base_size", "prompt_tokens",
    "max_new_tokens", "num_tokens", "hidden_size",
)  # fmt: skip


def make_solve(draw: Draw) -> Case:
    """Return a case of ``solve``."""
    files: dict[str, Content] = {}
    metrics = (draw.choice(costs.Cost._fields),) if draw.chance(0.8) else _METRICS  # of one unit, or of any
    text = _make_sum(draw, 2, metrics)
    if draw.chance(0.7):
        relation = draw.choice((">=", "<=") * 9 + (">", "==", "=", "<"))
        text += f" {relation} {draw.choice(_NUMBERS) if draw.chance(0.3) else _make_sum(draw, 2, metrics)}"
    if draw.chance(0.15):
        text = draw.scribble(text)
    arguments = ["solve", text]
    for _ in range(draw.choice((0, 0, 0, 1, 2))):
        value = draw.choice(SIZES) if draw.chance(0.3) else draw.choice(("1", "3", "16", "640", "997"))
        arguments.append(f"{draw.choice(sorted(costs.DIMENSIONS))}={value}")
    if draw.chance(0.97):
        sizes = _WORKLOAD if draw.chance(0.7) else sorted(costs.DIMENSIONS)
        arguments += ["--over", draw.choice(sizes) if draw.chance(0.95) else draw.text()]
    for option in ("--from", "--to"):
        if draw.chance(0.1):
            arguments += [option, draw.choice(SIZES) if draw.chance(0.3) else draw.choice(("1", "331", "9000"))]
    if "card." in text or draw.chance(0.05):
        arguments += ["--hardware", make_card(draw, files) if draw.chance(0.3) else "h100-sxm"]
    arguments += [flag for flag in ("--json", "--latex") if draw.chance(0.15)]
    return Case(arguments=tuple(arguments), files=files)


def spare_whole_studies(case: Case) -> Case:
    """Return a case that only lists where it would derive all studies, which takes a minute."""
    if case.arguments[:1] != ("study",) or "training" in case.arguments:
        return case
    return evolve(case, arguments=(*case.arguments, "--list"))


def _make_sum(draw: Draw, depth: int, metrics: tuple[str, ...]) -> str:
    if not depth or draw.chance(0.4):
        return _make_quantity(draw, metrics)
    left, right = _make_sum(draw, depth - 1, metrics), _make_sum(draw, depth - 1, metrics)
    kind = draw.choice(
        ("{} + {}", "{} - {}", "{} * 3", "{} * {}", "{} / {}", "({})+({})", "max({}, {})", "min({}, {})")
    )
    return kind.format(left, right)


def _make_quantity(draw: Draw, metrics: tuple[str, ...]) -> str:
    metric = draw.choice(metrics)
    kind = draw.randrange(7) if len(metrics) > 1 else draw.choice((2, 4, 4, 5, 6, 6, 6, 6))
    if kind == 0:
        return draw.choice(_NUMBERS)
    if kind == 1:
        return draw.choice(sorted(costs.DIMENSIONS))
    if kind == 2:
        return f"layer({draw.choice(_LAYERS)}).{metric}"
    if kind == 3:
        return f"card.{draw.choice(_CARD_NAMES)}"
    stage = draw.choice(STAGES)
    if kind == 4:
        return f"{stage}.modules({draw.choice(_PATTERNS) if draw.chance(0.4) else '*'}).{metric}"
    if kind == 5:
        return f"{stage}.operator({draw.choice(_OPERATORS)}).{metric}"
    return f"{stage}.{metric}" if draw.chance(0.95) else draw.text()


def make_study(draw: Draw) -> Case:
    """Return a case of ``study``: most are refused, as those that are not take seconds."""
    files: dict[str, Content] = {}
    arguments = ["study", draw.choice(("training", "training", draw.text(), draw.scribble("cards")))]
    if draw.chance(0.5):
        arguments += ["--hardware", make_card(draw, files)]
    if draw.chance(0.6):
        arguments += ["--out", draw.choice(FOLDERS)]
    if draw.chance(0.2):
        arguments += ["--model", draw.text()]
    arguments += [flag for flag in ("--json", "--list") if draw.chance(0.3)]
    return Case(arguments=tuple(arguments), files=files)
