"""The runtime of evaluator packages, in place: on the formulas of a staircase, and what makes it fit to be copied."""

from __future__ import annotations

import ast
import importlib
import pickle
import sys
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from small_package import render_small_package

from modelmeter.backends.python import runtime
from modelmeter.backends.python.runtime import _facts, _freeze, _program, _runtime
from modelmeter.dimensions.functions import expected_routed_reads
from modelmeter.evaluators.stages import METRIC_WORDS
from modelmeter.metrics.metric import METRICS

numpy = pytest.importorskip("numpy")

FOLDER = Path(str(runtime.__file__)).parent
STAND_INS = {"_facts.py", "_formulas.py", "_limits.py", "_stages.py", "breakdown.py", "layers.py"}
"""What a package has of its own under these names."""

COPIED = sorted(path.name for path in FOLDER.glob("_*.py") if path.name not in {"__init__.py", *STAND_INS})


def bricks(columns: int, rows: int, steps: int, kept: int, bits: int | Fraction) -> tuple[int, ...]:
    """Return the cost of the bricks, counted one by one."""
    laid = sum(1 for _ in product(range(columns), range(rows)) for step in range(steps) for _ in range(step + 1))
    reads = expected_routed_reads(11, 4, steps, 17)
    bytes_of = [-(-(bits * count) // 8) for count in (laid, reads)]
    return (2 * laid, laid if columns != rows else 0, *map(int, bytes_of), columns * rows * kept, 0)


def load(name: str) -> Any:
    return importlib.import_module(f"{runtime.__name__}.{name}")


def test_a_package_has_every_module_as_it_is() -> None:
    files = render_small_package()
    assert len(COPIED) > 10
    for name in COPIED:
        _, text = files[name].split("\n", 1)
        assert text == (FOLDER / name).read_text(encoding="utf-8")
    for name in STAND_INS:
        assert "staircase" not in files[name]


@pytest.mark.parametrize("name", COPIED)
def test_a_module_needs_its_siblings_and_what_a_package_may_need(name: str) -> None:
    """A package knows nothing of modelmeter; siblings are imported by one dot, as they are in it."""
    for node in ast.walk(ast.parse((FOLDER / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            siblings = [node.module] if node.module else [alias.name for alias in node.names]
            assert node.level == 1
            assert {f"{sibling}.py" for sibling in siblings} <= {*COPIED, *STAND_INS}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)]
            roots = {each.partition(".")[0] for each in names}
            assert roots <= {*sys.stdlib_module_names, "numpy", "numba"}


@pytest.mark.parametrize("name", sorted(STAND_INS))
def test_a_stand_in_has_no_name_that_a_package_lacks(name: str) -> None:
    """Functions of formulas aside: those are what a package is about."""

    def read(text: str) -> set[str]:
        targets: set[str] = set()
        for node in ast.parse(text).body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                found = node.targets if isinstance(node, ast.Assign) else [node.target]
                targets |= {name.id for target in found for name in ast.walk(target) if isinstance(name, ast.Name)}
        return targets

    assert read((FOLDER / name).read_text(encoding="utf-8")) <= read(render_small_package()[name])


def test_the_records_of_costs_have_the_metrics_of_the_compiler() -> None:
    assert _runtime.Cost._fields == METRICS == load("_array_runtime").Cost._fields
    assert {name: getattr(_runtime.Cost, name).__doc__ for name in METRICS} == {
        name: f"{words}." for name, words in METRIC_WORDS.items()
    }


def test_what_is_frozen_costs_what_is_counted() -> None:
    frozen = _freeze.freeze("bricks", num_rows=5, weight_bits=Fraction(11, 2))
    for columns, landings in product((0, 1, 5, 7), (0, 1, 12)):
        cost = frozen(num_columns=columns, landings=landings)
        assert cost == bricks(columns, 5, landings + 1, landings + 1, Fraction(11, 2))
    assert pickle.loads(pickle.dumps(frozen))(num_columns=2, landings=6) == frozen(num_columns=2, landings=6)
    assert "def bricks(" in frozen.source


def test_one_metric_is_frozen_alone() -> None:
    assert _freeze.freeze("gravel", metric="io_bytes")(steps=13) == 39
    assert _freeze.freeze("bricks", metric="peak_activation_bytes")(num_columns=3, num_rows=8) == 8


def test_what_follows_from_sizes_that_are_given_is_checked() -> None:
    frozen = _freeze.freeze("bricks", free=["landings", "kept_steps"], num_columns=4)
    assert frozen(landings=6, kept_steps=5) == bricks(4, 3, 7, 5, 16)
    with pytest.raises(_runtime.CostError, match=r"kept_steps must be at most steps: 8 > 7"):
        frozen(landings=6, kept_steps=8)
    with pytest.raises(_runtime.CostError, match=r"steps must be 1 \+ landings where both are given: 9 is not 7"):
        _freeze.freeze("bricks", steps=9, landings=6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"stage": "mortar"}, _runtime.CostError, "there is no stage 'mortar', only bricks, gravel"),
        ({"stage": "gravel", "metric": "joules"}, _runtime.CostError, "there is no metric 'joules'"),
        ({"stage": "gravel", "landings": 3}, TypeError, "gravel has no size 'landings': its sizes are steps"),
        ({"stage": "gravel", "steps": 0}, _runtime.CostError, "steps must be at least 1, not 0"),
        ({"stage": "gravel", "steps": True}, TypeError, "steps must be an integer, not True"),
        ({"stage": "gravel", "steps": 3, "free": ["steps"]}, _runtime.CostError, "steps is both frozen and free"),
    ],
)
def test_what_cannot_be_frozen_is_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        _freeze.freeze(**arguments)


def test_a_grid_has_every_combination_and_pairs_are_one_axis() -> None:
    pairs, landings = [(2, 3), (5, 5), (0, 4)], [0, 6, 11]
    found = load("_grid").grid("bricks", num_cells=pairs, landings=landings, weight_bits=5)
    assert found.io_bytes.shape == (3, 3)
    for (row, (columns, rows)), (column, landing) in product(enumerate(pairs), enumerate(landings)):
        point = tuple(int(metric[row, column]) for metric in found)
        assert point == bricks(columns, rows, landing + 1, landing + 1, 5)
    with pytest.raises(_runtime.CostError, match="num_cells must be pairs of num_columns and num_rows"):
        load("_grid").grid("bricks", num_cells=3)


def test_no_combination_exceeds_the_bound() -> None:
    most = load("_array_runtime").bound("bricks", num_columns=[2, 9], num_rows=5, landings=[3, 6])
    costs = [
        bricks(columns, 5, landings + 1, landings + 1, 16) for columns in range(2, 10) for landings in (3, 4, 5, 6)
    ]
    assert most == tuple(map(max, zip(*costs, strict=True)))


def test_every_operator_has_its_row_over_arrays() -> None:
    breakdown = load("_array_breakdown")
    pour, rake = breakdown.operators("gravel", steps=[3, 10])
    assert (pour.path, pour.operator, rake.path, rake.operator) == ("path", "pour", "path.edge", "rake")
    assert [int(number) for number in (*pour.cuda_core_flops, *rake.io_bits)] == [9, 100, 24, 80]
    assert (int(pour.calls[1]), list(rake.calls)) == (1, [3, 10])
    (state,) = breakdown.states("gravel", steps=[3, 10])
    assert (state.path, list(state.weight_bits), list(state.kv_cache_bits)) == ("path", [5, 5], [9, 30])
    with pytest.raises(_runtime.CostError, match="there is no stage 'bricks', only gravel"):
        breakdown.states("bricks")
    with pytest.raises(TypeError, match="steps must be an integer here, not Fraction"):
        breakdown.operators("gravel", steps=Fraction(7, 2))


def test_what_leaves_int64_is_an_error_unless_it_may_be_python_integers() -> None:
    given = {"steps": numpy.array([3, 2**40])}
    evaluate = load("_array_runtime").evaluate
    with pytest.raises(OverflowError, match="a number may be as large as"):
        evaluate("gravel", given, "error", "auto", "uniform")
    _, squares, *_ = evaluate("gravel", given, "exact", "auto", "uniform")
    assert list(squares) == [9, 2**80]


def test_what_the_metrics_do_not_need_is_not_computed() -> None:
    """In Horner's form, without the calls that only other metrics have."""
    formulas = _program.trace("bricks", {"landings": 6, "kept_steps": None, "steps": None, "weight_bits": 8}, "even")
    flops = formulas._replace(metrics=formulas.metrics[:1]).program()
    assert flops.steps == ()
    assert flops.metrics == (_program.Operation("*", ("num_columns", "num_rows", 2 * 28)),)


def test_every_pair_is_of_sizes() -> None:
    assert all(set(pair) <= _program.sizes_of("bricks").keys() for pair in _facts.PAIRS.values())
