"""A small mixture of experts that a command compiles into a folder with all targets, and its SQL run in DuckDB."""

from __future__ import annotations

import inspect
import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from compiled_experts import PACKAGE


def test_products_of_experts_are_counted_by_hand(expert_costs: Any) -> None:
    # Of each token: q and o over 6 heads of 14, k and v over 2, the router, 3 experts of three matrices each.
    linear = 2 * 41 * (2 * 34 * 84 + 2 * 34 * 28 + 34 * 7 + 3 * 3 * 34 * 22)
    attention = 2 * 2 * 84 * 41 * 41
    assert expert_costs.prefill(seq_len=41).tensor_core_flops == 3 * (linear + attention) + 2 * 34 * 97


def test_every_layer_runs_in_python_and_over_arrays(expert_costs: Any) -> None:
    """The activation of the experts costs nothing, as its calls are counted with the loop: it has no sizes."""
    numpy = pytest.importorskip("numpy")
    functions = [
        name for name in expert_costs.layers.__all__ if not name.endswith("_fused_io_bytes") and name.islower()
    ]
    unsized = [name for name in functions if not inspect.signature(getattr(expert_costs.layers, name)).parameters]
    assert unsized
    assert all(tuple(getattr(expert_costs.layers, name)()) == (0, 0, 0, 0, 0, 0) for name in unsized)
    for name in functions:
        alone, over = getattr(expert_costs.layers, name)(), getattr(expert_costs.arrays.layers, name)()
        assert numpy.array_equal(tuple(over), tuple(alone)), name


def test_every_layer_loads_in_javascript(experts: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: JavaScript cannot run")
    script = (
        f"import * as costs from {json.dumps((experts / 'javascript' / PACKAGE / 'index.mjs').as_uri())};"
        "const layers = Object.values(costs.layers).filter((each) => typeof each === 'function');"
        "layers.forEach((each) => each()); console.log(layers.length);"
    )
    ran = subprocess.run([node, "--input-type=module", "-e", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 7


def test_sql_reads_the_experts_that_python_reads(experts: Path, expert_costs: Any) -> None:
    """The loop over experts reads a row of the mask of all tokens for each: a table that grows with the tokens."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed: SQL cannot run")
    draw = random.Random(29)
    rows = [
        {
            "batch_size": draw.randint(1, 5), "seq_len": draw.choice((draw.randint(2, 9), draw.randint(2, 5000))),
            "decode_steps": draw.randint(1, 300), "expert_routing": draw.choice(("uniform", "even")),
        }
        for _ in range(500)
    ]  # fmt: skip
    names = tuple(rows[0])
    with duckdb.connect() as database:
        database.execute((experts / f"duckdb/{PACKAGE}.sql").read_text(encoding="utf-8"))
        database.execute("CREATE TABLE calls (batch_size INT, seq_len INT, decode_steps INT, expert_routing VARCHAR)")
        database.executemany("INSERT INTO calls VALUES (?, ?, ?, ?)", [tuple(row.values()) for row in rows])
        for stage in ("prefill", "decode", "request"):
            metrics = expert_costs.Cost._fields
            found = database.execute(
                f"SELECT {', '.join((*names, *metrics))} FROM {PACKAGE}.{stage}('calls')"
            ).fetchall()
            assert len(found) == len(rows)
            for row in found:
                sizes = dict(zip(names, row, strict=False))
                if stage == "prefill":
                    del sizes["decode_steps"]
                assert row[len(names) :] == tuple(getattr(expert_costs, stage)(**sizes)), (stage, sizes)


def test_sql_of_every_layer_is_what_python_says(experts: Path, expert_costs: Any) -> None:
    """At prompts of any length: what is read of an expert grows with the tokens, which are no constant for that."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed: SQL cannot run")
    names = [name for name in expert_costs.layers.__all__ if name.islower() and not name.endswith("_fused_io_bytes")]
    draw = random.Random(31)
    rows = [(draw.randint(1, 5), draw.choice((draw.randint(2, 9), draw.randint(2, 5000)))) for _ in range(100)]
    routed = 0
    with duckdb.connect() as database:
        database.execute((experts / f"duckdb/{PACKAGE}_layers.sql").read_text(encoding="utf-8"))
        database.execute("CREATE TABLE calls (batch_size INT, seq_len INT, expert_routing VARCHAR)")
        for routing in ("uniform", "even"):
            database.executemany("INSERT INTO calls VALUES (?, ?, ?)", [(*row, routing) for row in rows])
        for name in names:
            function = getattr(expert_costs.layers, name)
            known = inspect.signature(function).parameters
            found = database.execute(
                f"SELECT batch_size, seq_len, expert_routing, {', '.join(expert_costs.Cost._fields)} "
                f"FROM {PACKAGE}_layers.{name}('calls')"
            ).fetchall()
            assert len(found) == 2 * len(rows)
            for batch_size, seq_len, routing, *metrics in found:
                sizes = {"batch_size": batch_size, "seq_len": seq_len, "expert_routing": routing}
                taken = {size: value for size, value in sizes.items() if size in known}
                assert tuple(metrics) == tuple(function(**taken)), (name, sizes)
            routed += "expert_routing" in known
    assert routed >= 3  # the experts, what holds them and the router, and the layer around it
