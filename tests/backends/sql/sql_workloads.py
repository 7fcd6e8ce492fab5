"""Random rows of sizes for the evaluators that have SQL, and what the Python package says of each."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import deepseek_ocr_costs as costs
from modelmeter.core.metrics import FUSED_IO, PEAK

ROOT = Path(__file__).parents[3]

STAGES = ("vision", "projector", "prefill", "decode", "request")
EVALUATORS = (
    *STAGES, *(f"{stage}_{metric}" for metric in (FUSED_IO, PEAK) for stage in STAGES), "training_step", "image_tokens",
)  # fmt: skip

LAYERS = tuple(
    f"layers.{path.stem}" for path in sorted((ROOT / "codegen/spark/deepseek_ocr_costs/layers").glob("*.sql"))
)
"""The evaluators of layers that have SQL."""

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
    for name in draw.sample(sorted(parameters), k=draw.randint(0, min(4, len(parameters)))):
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
