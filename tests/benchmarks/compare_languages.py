"""Whether the JavaScript package returns what the Python package does, errors included, on random calls.

Run it with node installed: ``python -m tests.benchmarks.compare_languages --calls 100000``.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

import deepseek_ocr_costs as costs

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "backends" / "javascript"))  # what its tests call both languages with

from javascript_process import JavaScriptPackage, Refusal  # noqa: E402
from package_calls import answer, draw_sizes, list_functions  # noqa: E402

MANY = 1000
"""Calls that the other process gets at once."""


def main() -> int:
    """Compare and print how many calls were the same."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    functions = dict(list_functions(costs))
    names = sorted(functions)
    javascript = JavaScriptPackage(ROOT / "codegen" / "javascript" / "deepseek_ocr_costs")
    kinds: Counter[str] = Counter()
    differences = 0
    for start in range(0, options.calls, MANY):
        calls = [
            (name, draw_sizes(functions[name], draw))
            for name in (names[number % len(names)] for number in range(start, min(start + MANY, options.calls)))
        ]
        for (name, sizes), found in zip(calls, javascript.call_all(calls), strict=True):
            expected = answer(costs, functions[name], sizes)
            kinds[expected.error if isinstance(expected, Refusal) else "result"] += 1
            if found != expected:
                differences += 1
                if differences < 10:
                    print(f"{name}({sizes})\n  Python:     {expected}\n  JavaScript: {found}")
    javascript.close()
    for kind, count in sorted(kinds.items()):
        print(f"{count:8} {kind}")
    print(f"{differences} of {options.calls} calls of {len(names)} functions differ")
    return int(differences > 0)


if __name__ == "__main__":
    sys.exit(main())
