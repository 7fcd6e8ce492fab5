"""Whether the JavaScript package returns what the Python package does, errors included, on random calls.

Run it with node installed: ``python -m tests.benchmarks.compare_languages --calls 1000000``, ``make check-javascript``.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deepseek_ocr_costs as costs

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "backends" / "javascript"))  # what its tests call both languages with

from javascript_process import JavaScriptPackage, Refusal  # noqa: E402
from package_calls import answer, draw_sizes, list_functions  # noqa: E402

MANY = 1000
"""Calls that the other process gets at once."""


def main() -> int:
    """Compare, print the first calls that differ and one line of what was compared, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    functions = dict(list_functions(costs))
    names = sorted(functions)
    javascript = JavaScriptPackage(ROOT / "codegen" / "javascript" / "deepseek_ocr_costs")
    kinds: Counter[bool] = Counter()
    differences = bits = 0
    begin = time.perf_counter()
    for start in range(0, options.calls, MANY):
        calls = [
            (name, draw_sizes(functions[name], draw))
            for name in (names[number % len(names)] for number in range(start, min(start + MANY, options.calls)))
        ]
        for (name, sizes), found in zip(calls, javascript.call_all(calls), strict=True):
            expected = answer(costs, functions[name], sizes)
            is_refused = isinstance(expected, Refusal)
            kinds[is_refused] += 1
            bits = bits if is_refused else max(bits, *(value.bit_length() for value in list_integers(expected)))
            if found != expected:
                differences += 1
                if differences < 10:
                    print(f"{name}({sizes})\n  Python:     {expected}\n  JavaScript: {found}")
    seconds = time.perf_counter() - begin
    javascript.close()
    print(
        f"{options.calls:,} points of {len(names)} functions, {kinds[False]:,} with integers of up to {bits} bits and "
        f"{kinds[True]:,} refused: {differences:,} differ; {options.calls / seconds:,.0f} a second"
    )
    return int(differences > 0)


def list_integers(value: Any) -> Iterator[int]:
    """Yield the integers of an answer."""
    if isinstance(value, dict):
        for each in value.values():
            yield from list_integers(each)
    else:
        yield value


if __name__ == "__main__":
    sys.exit(main())
