"""The calculator of the site: the JavaScript evaluators as one classic script, which a page from a disk may load."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from attrs import astuple, fields, frozen

from modelmeter.model.stages import TRAINING_STEP
from modelmeter.support.errors import FormulaError

MODULES: Final = ("runtime", "facts", "model", "programs")
"""In the order in which they need each other."""

SCRIPTS: Final = ("form", "costs", "chart", "copies", "page")
"""The parts of the page's own script, in the order in which they need each other."""

MOST_BYTES: Final = 60_000
"""Of all scripts of the page."""

_COMMENT = re.compile(r"^\s*/\*\*.*?\*/\n|^\s*//[^\n]*\n", re.DOTALL | re.MULTILINE)
_IMPORT_ALL = re.compile(r'^import \* as (\w+) from "\./(\w+)\.mjs";$', re.MULTILINE)
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.mjs";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:const|function|class) (?:(\w+)|\{([^}]*)\}))", re.MULTILINE)
_UNUSED = (
    (
        re.compile(
            r"^export const (?:CONVENTIONS|PROVENANCE) = Object\.freeze\(.*?^\S*\);\n", re.DOTALL | re.MULTILINE
        ),
        "",
    ),
    # Layers have sizes of their own, which no request has.
    (
        re.compile(r"^export const LAYER_SIZES = .*?^\S*\);\n", re.DOTALL | re.MULTILINE),
        "export const LAYER_SIZES = {};\n",
    ),
    # What a size is, the page says itself.
    (re.compile(r'size\((\w+), "(?:\\.|[^"\\])*", "(?:\\.|[^"\\])*"'), r"size(\1, 0, 0"),
    # Neither layers nor a training step are part of a request.
    (re.compile(r"^export function (?:layer|wholeModel|metricsOf)\(.*?^}\n", re.DOTALL | re.MULTILINE), ""),
    (re.compile(rf"^export const {TRAINING_STEP} = program\(.*?^\S*\);\n", re.DOTALL | re.MULTILINE), ""),
)
"""What no request needs, and what is there instead."""

_TEXT = r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)"""
_SPACE = re.compile(rf"\s*{_TEXT}\s*|\s*([{{}}()\[\],;:?=<>*&|!%]|(?<![+-])(?<![+-]\s)[+-](?!\s*[+-]))\s*|\s+")


@frozen(kw_only=True)
class CalculatorCard:
    """A card of the list; numbers are text, as a card file has them.

    Parameters
    ----------
    id, name
        What users type, and the vendor's name.
    vector_flops_per_second, memory_bytes_per_second, memory_bytes
        FLOP/s of all other arithmetic; bandwidth and size of the memory.
    reserve_gib
        What of the memory is not for a model, in units of 2^30 bytes.
    rates
        FLOP/s of the tensor cores by PyTorch's name of the type, and ``tf32``.
    """

    id: str
    name: str
    vector_flops_per_second: str
    memory_bytes_per_second: str
    memory_bytes: str
    reserve_gib: str
    rates: Mapping[str, str]


@frozen(kw_only=True)
class CalculatorViews:
    """How the model looks at pages.

    Parameters
    ----------
    modes
        The published ways by name: the sizes of the views, and whether a page is cut.
    mode
        The one that is chosen at first.
    sizes, tiles
        The names of the sizes of views, and of those that follow from a page that is cut.
    preprocessings
        The programs that make the views.
    script
        JavaScript that defines ``PAGE_VIEWS``, see :class:`~modelmeter.model.page_views.PageViews`; empty without one.
    """

    modes: Mapping[str, tuple[Mapping[str, int], bool]]
    mode: str
    sizes: tuple[str, ...]
    tiles: tuple[str, ...]
    preprocessings: tuple[str, ...]
    script: str


@frozen(kw_only=True)
class Calculator:
    """What the page of the calculator is made of.

    Parameters
    ----------
    modules
        The JavaScript evaluators, by the name of the module.
    arguments
        The sizes of a request with their defaults; None where a size follows from others.
    optional
        Those that may be left out.
    fractions
        Those that need not be whole: storage widths.
    routings
        How experts may be chosen; nothing of a model without.
    derived
        The sizes that are no arguments.
    batch
        The size that says how many are served side by side, if there is one.
    over
        The size that the chart begins with.
    stages, request
        The names of the stages, and of all of them together.
    views
        How the model looks at pages, if it does.
    cards, card, dtypes
        To choose from, and the id of the first one; the types that matrices may be multiplied in.
    package
        The name of the Python package.
    """

    modules: Mapping[str, str]
    arguments: Mapping[str, int | None]
    optional: tuple[str, ...]
    fractions: tuple[str, ...]
    routings: tuple[str, ...]
    derived: tuple[str, ...]
    batch: str | None
    over: str
    stages: tuple[str, ...]
    request: str
    views: CalculatorViews | None
    cards: tuple[CalculatorCard, ...]
    card: str
    dtypes: tuple[str, ...]
    package: str

    @property
    def columns(self) -> tuple[str, ...]:
        """What has a column in the table of costs."""
        return (*self.stages, self.request)

    @property
    def page_sizes(self) -> tuple[str, ...]:
        """The sizes that say how a page is looked at."""
        return () if self.views is None else (*self.views.sizes, *self.views.tiles)

    @property
    def request_sizes(self) -> tuple[str, ...]:
        """All other sizes that are whole."""
        return tuple(name for name in self.arguments if name not in (*self.page_sizes, *self.fractions))

    @property
    def card_names(self) -> list[tuple[str, str]]:
        """The cards by id."""
        return [(card.id, card.name) for card in self.cards]

    def write_evaluators(self) -> str:
        """Return the evaluators as one script that defines ``M``, and ``PAGE_VIEWS`` of a model that has it.

        Raises
        ------
        FormulaError
            If a module has an import or an export of another form.
        """
        parts = [f"M.{name} = (() => {{\n{_wrap(name, self.modules[name])}}})();\n" for name in MODULES]
        script = shorten_script("".join(["const M = {};\n", *parts, self.views.script if self.views else ""]))
        return f'"use strict";\n{script}\n'

    def write_data(self) -> str:
        """Return what the page knows of the model and of cards as JSON that may stand in HTML."""
        views, types = self.views, list(dict.fromkeys(each for card in self.cards for each in card.rates))
        data = {
            "arguments": {name: None if value is None else str(value) for name, value in self.arguments.items()},
            "optional": self.optional, "derived": self.derived, "package": self.package, "stages": self.stages,
            "request": self.request, "batch": self.batch, "card": [each.name for each in fields(CalculatorCard)],
            "types": types,
            "cards": [[*astuple(card)[:-1], [card.rates.get(each) for each in types]] for card in self.cards],
            "views": views and {
                "sizes": views.sizes, "tiles": views.tiles,
                "modes": {
                    name: {"sizes": {size: str(value) for size, value in sizes.items()}, "isCut": is_cut}
                    for name, (sizes, is_cut) in views.modes.items()
                },
            },
        }  # fmt: skip
        return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def write_page_script() -> str:
    """Return the script of the page itself."""
    folder = files("modelmeter.publishing.site") / "assets" / "calculator"
    parts = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    return f'"use strict";\n(()=>{{{shorten_script("".join(parts))}}})();\n'


def shorten_script(text: str) -> str:
    """Return a script without comments on lines of their own, and without space that says nothing.

    It knows texts in quotes and in backticks, none of these inside another, and statements that end in a
    semicolon or a brace.
    """

    def shorten(match: re.Match[str]) -> str:
        return match[1] or match[2] or " "

    return _SPACE.sub(shorten, _COMMENT.sub("", text)).strip()


def _wrap(name: str, module: str) -> str:
    """Return the body of a function that returns what a module exports."""
    text = _COMMENT.sub("", module)
    for unused, instead in _UNUSED:
        text = unused.sub(instead, text)
    text = _IMPORT_ALL.sub(r"const \1 = M.\2;", text)
    text = _IMPORT.sub(lambda match: f"const {{{match[1].replace(' as ', ': ')}}} = M.{match[2]};", text)
    exported: list[str] = []

    def take(match: re.Match[str]) -> str:
        names = [match[2]] if match[2] else [each.strip() for each in match[3].split(",") if each.strip()]
        exported.extend(names)
        return match[1]

    text = _EXPORT.sub(take, text)
    if re.search(r"^(?:import|export)\b", text, re.MULTILINE):
        raise FormulaError("a module of JavaScript cannot be put into one script", place=name)
    return f"{text}\nreturn {{ {', '.join(exported)} }};\n"
