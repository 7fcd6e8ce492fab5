"""Compiles every card at its published sizes, and counts its unmodified modules: ``python -m tests.check_cards``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from time import perf_counter

from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.support.errors import ModelMeterError
from modelmeter.support.suggestions import unknown_name


def check_card(name: str, points: int) -> str:
    """Return what was equal at how many points, with the seconds of formulas and of counts."""
    from modelmeter.frontend.compile import compile_card

    card, started = CARDS[name], perf_counter()
    checked = compile_card(card, points=points).checked
    seconds, counting = perf_counter() - started, sum(each.seconds for each in checked)
    whole = max(checked, key=lambda each: each.layers)
    return (
        f"exact: {len(checked)} counts of {len({each.stage for each in checked})} stages, {whole.modules} modules; "
        f"{seconds - counting:.0f} s for formulas, {counting:.0f} s for counts"
        + "".join(f"; {stage} is refused: {reason}" for stage, reason in card.refused.items())
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each card; 1 if one is not exact, and does not say so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cards", nargs="*", help="names; all of them if none is given")
    parser.add_argument("--points", type=int, default=20, help="at which each stage is counted")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.cards if name not in CARDS]
    if unknown:
        parser.error(str(unknown_name("card", unknown[0], CARDS)))
    failed = 0
    for name in options.cards or CARDS:
        try:
            found = check_card(name, options.points)
        except ModelMeterError as error:
            found, failed = f"NOT EXACT: {error}", failed + 1
        print(f"{name:20} {found}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
