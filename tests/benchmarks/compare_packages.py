"""Whether two generated packages return the same, errors included, on random workloads and layer calls.

Run it where a generated package changed its text but not what it computes::

    git archive main codegen/deepseek_ocr_costs | tar x -C /tmp/before
    python -m tests.benchmarks.compare_packages /tmp/before/codegen codegen --calls 100000

A call is of one function with sizes drawn for it: within range, at the edges, far beyond, of a wrong kind or fractions.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "deepseek_ocr_costs"
WRONG = (0, -1, True, 2.5, "7", None, Fraction(1, 3), Fraction(4, 1), 10**30, float("nan"))


def load(name: str, folder: Path) -> ModuleType:
    """Import the package of a folder under a name of its own."""
    root = folder / PACKAGE
    spec = importlib.util.spec_from_file_location(name, root / "__init__.py", submodule_search_locations=[str(root)])
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return package


def list_functions(package: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the functions on single sizes, by the names that people write."""
    found: dict[str, Callable[..., Any]] = {}
    for prefix, holder in (
        ("", package),
        *((f"{name}.", getattr(package, name)) for name in ("general", "layers", "breakdown")),
    ):
        names = [name for name in holder.__all__ if inspect.isfunction(getattr(holder, name))]
        found |= {
            f"{prefix}{name}": getattr(holder, name) for name in names if name not in ("freeze", "operators", "states")
        }
    return found


def draw_sizes(draw: random.Random, function: Callable[..., Any], *, wrong: float) -> dict[str, Any]:
    """Return arguments of a function; some are left out."""
    sizes: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if draw.random() < 0.35:
            continue
        if name == "expert_routing":
            sizes[name] = draw.choice(["uniform", "even", *(["odd"] if draw.random() < wrong else [])])
        elif name in ("overflow", "engine"):
            sizes[name] = draw.choice({"overflow": ("error", "float64", "exact"), "engine": ("auto", "numpy")}[name])
        elif name == "contexts":
            sizes[name] = [draw.randint(1, 3000) for _ in range(draw.randint(0, 5))]
        else:
            sizes[name] = _draw_size(draw, name, parameter.default, wrong)
    if draw.random() < 0.5 and "vision_batch_size" in sizes and isinstance(sizes.get("vision_batch_size"), int):
        sizes["batch_size"] = sizes["vision_batch_size"] * draw.randint(1, 5)
    return sizes


def _draw_size(draw: random.Random, name: str, default: int | None, wrong: float) -> Any:
    if draw.random() < wrong:
        return draw.choice(WRONG)
    if name.endswith("_bits"):
        return draw.choice([16, 32, 8, 4, 1, draw.randint(1, 64), *([Fraction(draw.randint(1, 99), 8)] * 2)])
    if (
        default is not None and default > 99 and draw.random() < 0.8
    ):  # near the default, so that rules between sizes hold
        return default * draw.choice([1, 1, 2, 3]) if draw.random() < 0.5 else draw.randint(16, 2 * default)
    if default is not None and draw.random() < 0.5:
        return default
    return draw.choice([draw.randint(0, 9), draw.randint(1, 2000), draw.randint(1, 10**15)])


def call(function: Callable[..., Any], sizes: dict[str, Any]) -> tuple[str, str]:
    """Return what a call gives: the kind and the value, or the kind and the message of its error."""
    try:
        result = function(**sizes)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError, ModuleNotFoundError) as error:
        return type(error).__name__, str(error)
    return "result", repr(result.tolist() if hasattr(result, "tolist") else _to_lists(result))


def _to_lists(result: Any) -> Any:
    if isinstance(result, tuple):
        return (type(result).__name__, [_to_lists(each) for each in result])
    return result.tolist() if hasattr(result, "tolist") else result


def draw_derived(draw: random.Random, package: ModuleType) -> tuple[str, dict[str, Any]]:
    """Return a call of what is made of formulas: arrays, bounds and frozen evaluators."""
    arrays = [name for name in package.arrays.__all__ if inspect.isfunction(getattr(package.arrays, name))]
    kind = draw.choice(["arrays", "arrays", "arrays.layers", "freeze", "bound", "arrays.breakdown"])
    if kind == "arrays":
        name = draw.choice([name for name in arrays if name not in ("bound", "grid")])
        sizes = draw_sizes(draw, getattr(package.arrays, name), wrong=0.01)
        return f"arrays.{name}", _to_columns(draw, sizes)
    if kind == "arrays.layers":
        name = draw.choice(package.arrays.layers.__all__)
        sizes = draw_sizes(draw, getattr(package.arrays.layers, name), wrong=0.01)
        return f"arrays.layers.{name}", _to_columns(draw, sizes)
    stage = draw.choice(
        [
            "vision",
            "projector",
            "prefill",
            "decode",
            "request",
            *(["training_step"] if kind != "arrays.breakdown" else []),
        ]
    )
    sizes = draw_sizes(draw, getattr(package, stage), wrong=0.01)
    if kind == "arrays.breakdown":
        return "arrays.breakdown.operators", {"stage": stage, **_to_columns(draw, sizes)}
    if kind == "bound":
        metric = draw.choice([None, "io_bytes", "fused_io_bytes", "peak_activation_bytes"])
        return "arrays.bound", {"stage": stage, "metric": metric, **_to_columns(draw, sizes)}
    kept = {name: size for name, size in sizes.items() if draw.random() < 0.5}
    metric = draw.choice([None, "io_bytes", "cuda_core_flops", "peak_activation_bytes"])
    return "freeze", {"stage": stage, "metric": metric, **kept}


def _to_columns(draw: random.Random, sizes: dict[str, Any]) -> dict[str, Any]:
    """Return sizes some of which are columns of three."""
    columns = {}
    for name, size in sizes.items():
        is_column = isinstance(size, int) and 0 < size < 10**6 and draw.random() < 0.3
        columns[name] = [size, size + draw.choice([0, 1]), size] if is_column else size
    return columns


def find(package: ModuleType, name: str) -> Callable[..., Any]:
    """Return a function by the name that people write; a frozen one is called at once."""
    found: Any = package
    for part in name.split("."):
        found = getattr(found, part)
    if name != "freeze":
        return found  # type: ignore[no-any-return]
    return lambda **asked: found(**asked)()


def list_calls(package: ModuleType, count: int, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield calls: most of functions on single sizes, every tenth of what is derived from formulas."""
    draw = random.Random(seed)
    functions = list_functions(package)
    names = sorted(functions)
    for number in range(count):
        if number % 10 == 9:
            yield draw_derived(draw, package)
        else:
            name = names[number % len(names)]
            yield name, draw_sizes(draw, functions[name], wrong=0.02)


def main() -> int:
    """Compare and print how many calls of each kind were the same."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    before, after = load("before", options.before), load("after", options.after)
    assert before.__all__ == after.__all__ or set(before.__all__) <= set(after.__all__)
    kinds: Counter[str] = Counter()
    differences = 0
    for name, sizes in list_calls(before, options.calls, options.seed):
        one, other = (call(find(package, name), sizes) for package in (before, after))
        if one == other:
            kinds[f"{name.split('.')[0] if '.' in name else 'stages'}: {one[0]}"] += 1
        else:
            differences += 1
            if differences < 10:
                print(f"{name}({sizes})\n  before: {one}\n  after:  {other}")
    for kind, count in sorted(kinds.items()):
        print(f"{count:8} {kind}")
    print(f"{differences} of {options.calls} calls differ")
    return int(differences > 0)


if __name__ == "__main__":
    sys.exit(main())
