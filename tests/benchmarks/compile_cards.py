"""Compiles every card as a user does, and writes what that takes: ``python -m tests.benchmarks.compile_cards``.

Each is compiled by the command, in a process of its own, with all targets and all checks. What counts is the processor
time of that process, its imports among it: that of the wall depends on what else runs. On a shared machine processor
time grows by half, too, and never shrinks: the least of some runs counts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from tests.benchmarks.commands import time_command, time_process
from tests.benchmarks.tables import Table

from modelmeter.frontend.cards.card import Card
from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.support.suggestions import unknown_name

RESULTS = Path(__file__).parent / "compiled_cards"

MOST_OF_TEXT = 15
"""Processor seconds that a text decoder may take."""

MOST = 60
"""Processor seconds that any other model may take."""

IMPORTS = "import modelmeter.frontend.compile"


def time_card(card: Card, runs: int) -> tuple[float, float]:
    """Return the least processor seconds of compilations, and how often a process takes as long that only imports."""
    compilations, imports = [], []
    for _ in range(runs):
        with TemporaryDirectory() as folder:
            compilations.append(time_command("compile", card.name, "--out", folder))
        imports.append(time_process("-c", IMPORTS))
    return min(compilations), min(compilations) / min(imports)


def describe_card(card: Card, runs: int) -> tuple[str, ...]:
    """Return the row of a card."""
    kind, most = ("text", MOST_OF_TEXT) if card.tower is None else ("text and images", MOST)
    seconds, imports = time_card(card, runs)
    return card.name, kind, f"{seconds:.1f}", f"{imports:.1f}", f"≤ {most}", "yes" if seconds <= most else "no"


def make_table(cards: Iterable[Card], runs: int) -> Table:
    """Compile cards one after the other, each as often."""
    return Table(
        title="Compilation of cards",
        note="`modelmeter compile NAME --out DIR`, at the published sizes, with all layers at one of the points that "
        f"are counted; the least of {runs} runs. Processor seconds are of this machine; beside them, as multiples of "
        "a process that imports torch and transformers and does no more, the least of as many, in turn.",
        columns=("card", "kind", "processor seconds", "÷ imports alone", "gate", "holds"),
        rows=tuple(describe_card(card, runs) for card in cards),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write it if it has all cards; 1 if a gate does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cards", nargs="*", help="names; all of them if none is given")
    parser.add_argument("--runs", type=int, default=3, help="of each, of which the least counts")
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
