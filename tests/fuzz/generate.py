"""A case from a seed and an index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import evolve
from tests.fuzz import measured_cases, module_cases, plan_cases, question_cases, work_cases
from tests.fuzz.case import Case
from tests.fuzz.values import Draw

_MAKERS: Final[tuple[tuple[float, Callable[[Draw], Case]], ...]] = (
    (24, work_cases.make_eval),
    (22, work_cases.make_report),
    (15, work_cases.make_sweep),
    (4, question_cases.make_solve),
    (4, plan_cases.make_plan),
    (1.5, plan_cases.make_compare),
    (0.7, question_cases.make_study),
    (1.5, measured_cases.make_calibrate),
    (13, module_cases.make_tree),
    (11, module_cases.make_coverage),
    (7, module_cases.make_compile),
    (2.5, module_cases.make_show),
    (2.5, module_cases.make_trace),
    (1.5, module_cases.make_verify),
    (0.5, module_cases.make_publish),
    (1.5, lambda draw: _make_words(draw)),
)
"""How often each kind of case is made, beside the others."""

_SLOW_MAKERS: Final = (module_cases.make_huge_trace, module_cases.make_huge_compile)
"""Each case of these takes seconds."""

_SLOW_EVERY: Final = 1000

_COMMANDS: Final = (
    "compile",
    "show",
    "tree",
    "eval",
    "report",
    "plan",
    "compare",
    "trace",
    "sweep",
    "solve",
    "study",
    "calibrate",
    "publish",
    "models",
    "coverage",
    "verify",
)

_ENVIRONMENTS: Final[tuple[dict[str, str | None], ...]] = (
    *({"COLUMNS": width} for width in ("0", "1", "2", "3", "7", "-3", "x", "", "40", "9" * 30, "1e3", "99999")),
    {"TERM": "dumb"}, {"TERM": ""}, {"NO_COLOR": "1"}, {"LINES": "0"}, {"LINES": "-1"},
    *({"LLM_PERF_OPT_ROOT": root} for root in ("", "nowhere", "notes.txt", "empty", ".", "\x1b[31m", "a\nb",
    "x" * 5000)),
)  # fmt: skip


def make_case(seed: int, index: int) -> Case:
    """Return the case of a seed with an index; it depends on nothing else."""
    draw = Draw(f"{seed}:{index}")
    if index % _SLOW_EVERY == _SLOW_EVERY - 1:
        return draw.choice(_SLOW_MAKERS)(draw)
    weights, makers = zip(*_MAKERS, strict=True)
    (maker,) = draw.choices(makers, weights)
    case = maker(draw)
    if draw.chance(0.06):
        case = evolve(case, arguments=_shuffle(draw, case.arguments), fails_early=False, contradicts=False)
    case = question_cases.spare_whole_studies(case)
    if draw.chance(0.1):
        case = evolve(case, environment=draw.choice(_ENVIRONMENTS))
    if draw.chance(0.04):
        case = evolve(case, largest_file=draw.choice((0, 1, 1_000, 20_000)))
    if draw.chance(0.05):
        case = evolve(case, encoding=draw.choice(("ascii", "latin-1", "cp1252", "utf-16")))
    return case


def _make_words(draw: Draw) -> Case:
    """Return a case of no command, of an unknown one, or of many words that mean nothing together."""
    pool = (*_COMMANDS, "--help", "--version", "--", "-", "-h", "--graph", "--out", "--json", "--seed=3", draw.text())
    words = [draw.choice(pool) for _ in range(draw.randrange(5))]
    if words and words[0] in _COMMANDS and draw.chance(0.3):
        words[0] = draw.scribble(words[0])
    return Case(arguments=tuple(words))


def _shuffle(draw: Draw, arguments: tuple[str, ...]) -> tuple[str, ...]:
    words = list(arguments)
    place = draw.randrange(len(words) + 1)
    kind = draw.randrange(5)
    if kind == 0 and place < len(words):
        del words[place]
    elif kind == 1 and place < len(words):
        words.insert(place, words[place])
    elif kind == 2:
        words.insert(place, draw.choice(("--help", "--", "--out", "--json", "--graph", "--verbose", "-x", draw.text())))
    elif kind == 3 and len(words) > 1:
        words[1:] = draw.sample(words[1:], len(words) - 1)
    elif place < len(words):
        words[place] = draw.scribble(words[place])
    return tuple(words)
