"""Compiles every card as a user does, and writes what that takes: ``python -m tests.benchmarks.compile_cards``.

Each is compiled by the command, with all targets and all checks. What counts is how long one waits for it, its imports
among that. It forks processes, which count while it traces and emits: processor time is that of all. Both grow by half
and more on a shared machine, and never shrink: the least of some runs counts.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from tests.benchmarks.commands import COMMAND, measure_process
from tests.benchmarks.tables import Table

from modelmeter.frontend.cards.card import Card
from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.support.suggestions import unknown_name

RESULTS = Path(__file__).parent / "compiled_cards"

MOST_OF_TEXT = 15
"""Seconds that a text decoder may take."""

MOST = 60
"""Seconds that any other model may take."""

IMPORTS = "import modelmeter.frontend.compile"


def time_card(card: Card, runs: int) -> tuple[float, float, float]:
    """Return the seconds of the fastest compilation, its processor seconds, and how often imports fit in it."""
    compilations, imports = [], []
    for _ in range(runs):
        with TemporaryDirectory() as folder:
            compilations.append(measure_process(*COMMAND, "compile", card.name, "--out", folder))
        imports.append(measure_process("-c", IMPORTS))
    seconds, of_processors = min(compilations)
    return seconds, of_processors, seconds / min(imports)[0]


def describe_card(card: Card, runs: int) -> tuple[str, ...]:
    """Return the row of a card."""
    kind, most = ("text", MOST_OF_TEXT) if card.tower is None else ("text and images", MOST)
    numbers = time_card(card, runs)
    return card.name, kind, *(f"{each:.1f}" for each in numbers), f"≤ {most}", "yes" if numbers[0] <= most else "no"


def make_table(cards: Iterable[Card], runs: int) -> Table:
    """Compile cards one after the other, each as often."""
    return Table(
        title="Compilation of cards",
        note="`modelmeter compile NAME --out DIR`, at the published sizes, with all layers at one of the points that "
        f"are counted; the fastest of {runs} runs, and the processor seconds of all its processes. Both are of this "
        f"machine, of {len(os.sched_getaffinity(0))} cores; beside them, how many times as long it takes as a process "
        "that imports torch and transformers and does no more, the fastest of as many, in turn.",
        columns=("card", "kind", "seconds", "processor seconds", "÷ imports alone", "gate", "holds"),
        rows=tuple(describe_card(card, runs) for card in cards),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write it if it has all cards; 1 if a gate does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cards", nargs="*", help="names; all of them if none is given")
    parser.add_argument("--runs", type=int, default=3, help="of each, of which the fastest counts")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.cards if name not in CARDS]
    if options.runs < 1:
        parser.error("--runs: at least 1")
    if unknown:
        parser.error(str(unknown_name("card", unknown[0], CARDS)))
    console = Console()
    with console.status("compile the cards"):
        table = make_table((CARDS[name] for name in options.cards or CARDS), options.runs)
    console.print(table.to_markdown(), markup=False, highlight=False, soft_wrap=True)
    if not options.cards:
        RESULTS.with_suffix(".md").write_text(table.to_markdown(), encoding="utf-8")
        RESULTS.with_suffix(".json").write_text(json.dumps(table.to_data(), indent=2) + "\n", encoding="utf-8")
    return int(any(row[-1] == "no" for row in table.rows))


if __name__ == "__main__":
    raise SystemExit(main())
