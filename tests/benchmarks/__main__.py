"""Run all benchmarks and write their tables beside this file, as Markdown and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from tests.benchmarks import (
    array_evaluators,
    commands,
    compile_parts,
    compiled_folders,
    frozen,
    imports,
    scalar_evaluators,
    sweeps,
)
from tests.benchmarks.gates import check_gates
from tests.benchmarks.tables import Table

RESULTS = Path(__file__).parent / "results"

BENCHMARKS = (
    compile_parts, imports, commands, compiled_folders, scalar_evaluators, frozen, array_evaluators, sweeps,
)  # fmt: skip


def main() -> None:
    """Run, print and write every benchmark."""
    console = Console()
    tables: list[Table] = []
    for benchmark in BENCHMARKS:
        with console.status(benchmark.__doc__ or ""):
            tables.append(benchmark.run())
        console.print(tables[-1].to_markdown(), markup=False, highlight=False, soft_wrap=True)
    for table in check_gates(tables):
        tables.append(table)
        console.print(table.to_markdown(), markup=False, highlight=False, soft_wrap=True)
    RESULTS.with_suffix(".md").write_text("\n".join(table.to_markdown() for table in tables), encoding="utf-8")
    RESULTS.with_suffix(".json").write_text(
        json.dumps([table.to_data() for table in tables], indent=2) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
