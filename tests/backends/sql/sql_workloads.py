"""Random rows of sizes for the evaluators that have SQL, and what the Python package says of each."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import deepseek_ocr_costs as costs
from modelmeter.metrics.metric import FUSED_IO, PEAK

ROOT = Path(__file__).parents[3]

STAGES = ("vision", "projector", "prefill", "decode", "request")
EVALUATORS = (
    *STAGES, *(f"{stage}_{metric}" for metric in (FUSED_IO, PEAK) for stage in STAGES), "training_step", "image_tokens",
)  # fmt: skip

LAYERS = tuple(
    f"layers.{path.stem}" for path in sorted((ROOT / "codegen/spark/deepseek_ocr_costs/layers").glob("*.sql"))
)
"""The evaluators of layers that have SQL."""

EXPERT_LAYERS = (
    "layers.deepseek_ocr_for_causal_lm", "layers.deepseek_ocr_model", "layers.deepseek_v2_decoder_layer",
    "layers.deepseek_v2_moe",
)  # fmt: skip
"""The layer classes that tokens choose experts in."""

EXPERT_SIZES = {"hidden_size": 1280, "moe_intermediate_size": 896, "n_routed_experts": 64, "num_experts_per_tok": 6}
"""In SQL these layers exist only for the experts of the model: 6 of 64, of three matrices of 1280 x 896 each."""

Row = dict[str, Any]


def find_function(evaluator: str) -> Callable[..., Any]:
    """Return the function of the Python package."""
    found: Callable[..., Any] = attrgetter(evaluator)(costs)
    return found


def list_sizes(evaluator: str) -> tuple[str, ...]:
    """Return the names of the arguments."""
    return tuple(inspect.signature(find_function(evaluator)).parameters)


def name_outputs(evaluator: str) -> tuple[str, ...]:
    """Return the columns that an evaluator adds."""
    if evaluator.endswith(FUSED_IO):
        return (FUSED_IO,)
    if evaluator in (*STAGES, "training_step", *LAYERS):
        return costs.Cost._fields
    return ("image_tokens",) if evaluator == "image_tokens" else (evaluator.partition("_")[2],)


def evaluate(evaluator: str, row: Mapping[str, Any]) -> tuple[int, ...]:
    """Return what the Python package says, in the order of the columns."""
    found = find_function(evaluator)(**{name: size for name, size in row.items() if size is not None})
    return tuple(found) if isinstance(found, tuple) else (found,)


def draw_row(evaluator: str, draw: random.Random, *, largest: int = 10**6) -> Row:
    """Return some sizes of an evaluator, the others None; many rows are out of its domain."""
    parameters = inspect.signature(find_function(evaluator)).parameters
    row: Row = dict.fromkeys(parameters)
    fixed = EXPERT_SIZES.keys() if evaluator.removesuffix(f"_{FUSED_IO}") in EXPERT_LAYERS else ()
    free = sorted(parameters.keys() - fixed)
    for name in draw.sample(free, k=draw.randint(0, min(4, len(free)))):
        default = parameters[name].default
        if name == "expert_routing":
            row[name] = draw.choice(("uniform", "even"))
            continue
        least = default if isinstance(default, int) else 913
        row[name] = draw.choice((
            least + draw.randint(0, 400), least * draw.randint(1, 5), draw.randint(1, 40), draw.randint(0, largest),
        ))  # fmt: skip
    return row


def draw_answers(evaluator: str, seed: int, *, count: int) -> list[tuple[Row, tuple[int, ...]]]:
    """Return rows in the domain, and their costs."""
    draw, found = random.Random(f"{evaluator} {seed}"), []
    while len(found) < count:
        row = draw_row(evaluator, draw)
        try:
            found.append((row, evaluate(evaluator, row)))
        except costs.CostError:
            continue
    return found


def draw_refused(evaluator: str, seed: int, *, count: int) -> Iterator[Row]:
    """Yield rows that the Python package refuses."""
    draw = random.Random(f"{evaluator} {seed}")
    found = tried = 0
    while found < count and tried < 10_000:
        tried += 1
        row = draw_row(evaluator, draw)
        try:
            evaluate(evaluator, row)
        except costs.CostError:
            found += 1
            yield row
