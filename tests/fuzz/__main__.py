"""Run cases, and print those that end as none may, with what replays them."""

from __future__ import annotations

import faulthandler
import sys
from collections import Counter
from collections.abc import Iterator
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from tests.fuzz.case import Case, Outcome
from tests.fuzz.generate import make_case
from tests.fuzz.judge import judge
from tests.fuzz.runner import can_run_apart, run_apart, run_inside

from llm_perf_opt.terminal import track

_HUNG_SECONDS = 120
"""What not even an alarm ends is ended after this time, with the stack of every thread."""


def main(
    seed: Annotated[int, typer.Option(help="Equal seeds give equal cases.")] = 0,
    cases: Annotated[int, typer.Option(min=1, help="How many.")] = 10_000,
    start: Annotated[int, typer.Option(min=0, help="The index of the first.")] = 0,
    apart: Annotated[int, typer.Option(min=0, help="How many run in a process of their own, too.")] = 50,
    replay: Annotated[str | None, typer.Option(metavar="SEED:INDEX", help="Run this one, and show all of it.")] = None,
) -> None:
    """Try bad input on every command."""
    console = Console(highlight=False, soft_wrap=True)
    if replay is not None:
        raise typer.Exit(_replay(console, replay))
    ends: Counter[str] = Counter()
    failed, begin = 0, perf_counter()
    indices = range(start, start + cases)
    with track(indices, total=cases, description="fuzz") as tracked:
        for index, case, outcome in _run(seed, tracked, max(1, cases // apart) if apart else 0):
            ends[f"{case.command if outcome.code == 0 else 'any'} {_name_end(outcome)}"] += 1
            problems = judge(case, outcome)
            failed += bool(problems)
            for problem in problems:
                console.print(Text(f"{seed}:{index} {_write(case)}: {problem}"))
    for end, count in sorted(ends.items()):
        console.print(Text(f"{count:6} {end}"))
    console.print(f"{cases} cases, {failed} failed, {perf_counter() - begin:.0f} s")
    raise typer.Exit(bool(failed))


def _run(seed: int, indices: Iterator[int], apart_every: int) -> Iterator[tuple[int, Case, Outcome]]:
    """Yield every case with its outcome; some run in a process of their own, once more."""
    owed = 0
    for count, index in enumerate(indices):
        case = make_case(seed, index)
        faulthandler.dump_traceback_later(_HUNG_SECONDS, exit=True)
        yield index, case, run_inside(case)
        owed += bool(apart_every) and count % apart_every == 0
        if owed and can_run_apart(case):
            owed -= 1
            yield index, case, run_apart(case)
        faulthandler.cancel_dump_traceback_later()


def _replay(console: Console, replay: str) -> int:
    seed, _, index = replay.partition(":")
    case = make_case(int(seed), int(index))
    outcome = run_inside(case)
    console.print(Text(f"{case!r}\n\nexit code {outcome.code}, {outcome.seconds:.2f} s\n{outcome.escaped}"))
    console.print(Text(f"stdout: {outcome.out[:2000]!r}\nstderr: {outcome.err[:2000]!r}\nchanges: {outcome.changes}"))
    problems = judge(case, outcome)
    for problem in problems:
        console.print(Text(problem))
    return bool(problems)


def _name_end(outcome: Outcome) -> str:
    if outcome.began_work:
        return "began to work"
    return "escaped" if outcome.escaped else f"ended with {outcome.code}"


def _write(case: Case) -> str:
    words = " ".join(ascii(word) if len(word) < 80 else f"{word[:60]!a}... ({len(word)})" for word in case.arguments)
    return f"[{words}]"


if __name__ == "__main__":
    sys.argv[0] = "fuzz"
    typer.run(main)
