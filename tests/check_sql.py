"""The SQL for DuckDB against the Python package at many rows: ``python -m tests.check_sql --rows 100000``.

Rows are of sizes up to a million, with products beyond 53 bits. It prints how many rows DuckDB computes in a second,
and ends with exit code 1 if a number differs. A hundredth as many rows are of each layer.
"""

from __future__ import annotations

import argparse
import inspect
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deepseek_ocr_costs as costs
import duckdb

ROOT = Path(__file__).parents[1]
SIZES = {
    "batch_size": 10**6, "base_size": 4096, "image_size": 2048, "num_width_tiles": 9, "num_height_tiles": 9,
    "prompt_tokens": 100_000, "max_new_tokens": 100_000, "weight_bits": 64, "activation_bits": 64, "kv_bits": 64,
}  # fmt: skip
"""The largest value of each size of a request."""

EXPERT_SIZES = ("hidden_size", "moe_intermediate_size", "n_routed_experts", "num_experts_per_tok")
"""In SQL, layers that tokens choose experts in exist for the experts of the model only."""

ROUTING = "expert_routing"


def main() -> int:
    """Compare, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    rows = [[16 + draw.randrange(largest) for largest in SIZES.values()] for _ in range(arguments.rows)]
    with duckdb.connect() as database:
        database.execute((ROOT / "codegen/duckdb/deepseek_ocr_costs.sql").read_text(encoding="utf-8"))
        columns = ", ".join(f"unnest(${place + 1}::BIGINT[]) AS {name}" for place, name in enumerate(SIZES))
        database.execute(
            f"CREATE TABLE pages AS SELECT unnest(range({len(rows)})) AS id, {columns}",
            [*map(list, zip(*rows, strict=True))],
        )
        begin = time.perf_counter()
        found = database.execute(
            f"SELECT {', '.join(costs.Cost._fields)} FROM deepseek_ocr_costs.request('pages') ORDER BY id"
        ).fetchall()
        seconds = time.perf_counter() - begin
        wrong_layers = check_layers(database, draw, max(arguments.rows // 100, 1))
    wrong = sum(
        answer != tuple(costs.request(**dict(zip(SIZES, row, strict=True))))
        for row, answer in zip(rows, found, strict=True)
    )
    exact = max(answer[0] for answer in found).bit_length()
    print(
        f"{len(rows):,} requests, up to {exact} bits: {wrong:,} differ; DuckDB {len(rows) / seconds:,.0f} rows a second"
    )
    return int(wrong > 0 or wrong_layers > 0)


def check_layers(database: duckdb.DuckDBPyConnection, draw: random.Random, count: int) -> int:
    """Compare random rows of each layer, and return how many differ. Sizes are small multiples of the defaults."""
    database.execute((ROOT / "codegen/duckdb/deepseek_ocr_costs_layers.sql").read_text(encoding="utf-8"))
    names = [path.stem for path in sorted((ROOT / "codegen/spark/deepseek_ocr_costs/layers").glob("*.sql"))]
    wrong = 0
    for name in names:
        function = getattr(costs.layers, name)
        defaults = {size: each.default for size, each in inspect.signature(function).parameters.items()}
        answers: list[tuple[list[Any], tuple[int, ...]]] = []
        while len(answers) < count:
            row = [draw_size(draw, size, default, ROUTING in defaults) for size, default in defaults.items()]
            if answer := call(function, dict(zip(defaults, row, strict=True))):
                answers.append((row, answer))
        columns = ", ".join(
            f"unnest(${place + 1}::{'VARCHAR' if size == ROUTING else 'BIGINT'}[]) AS {size}"
            for place, size in enumerate(defaults)
        )
        database.execute(
            f"CREATE OR REPLACE TABLE layers AS SELECT unnest(range({len(answers)})) AS id, {columns}",
            [*map(list, zip(*(row for row, _ in answers), strict=True))],
        )
        outputs = ", ".join(costs.Cost._fields if len(answers[0][1]) > 1 else ("fused_io_bytes",))
        found = database.execute(
            f"SELECT {outputs} FROM deepseek_ocr_costs_layers.{name}('layers') ORDER BY id"
        ).fetchall()
        wrong += sum(answer != expected for answer, (_, expected) in zip(found, answers, strict=True))
    print(f"{len(names)} evaluators of layers, {count:,} rows each: {wrong:,} differ")
    return wrong


def draw_size(draw: random.Random, size: str, default: Any, has_routing: bool) -> Any:
    """Return a small multiple of a size, or the size itself; and a routing where tokens choose experts."""
    if size == ROUTING:
        return draw.choice(("uniform", "even"))
    if has_routing and (size in EXPERT_SIZES or draw.randrange(3)):
        return default
    return default * draw.randrange(1, 50) + draw.randrange(2) * (size == "num_tokens")


def call(function: Callable[..., Any], sizes: dict[str, int]) -> tuple[int, ...]:
    """Return the numbers of an evaluator; nothing where it refuses the sizes."""
    try:
        answer = function(**sizes)
    except costs.CostError:
        return ()
    return tuple(answer) if isinstance(answer, tuple) else (answer,)


if __name__ == "__main__":
    sys.exit(main())
