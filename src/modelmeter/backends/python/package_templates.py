"""The templates of the evaluator package: what is written goes in, the text of a module comes out."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modelmeter.backends.python.formula_function import FormulaFunction
from modelmeter.backends.python.function import Function
from modelmeter.backends.python.parameters import write_argument, write_array_argument, write_record
from modelmeter.backends.python.printer import LINE_LENGTH
from modelmeter.evaluators.package import list_sizes
from modelmeter.evaluators.spec import TRAINING_STEP, PackageSpec
from modelmeter.evaluators.stages import METRIC_WORDS
from modelmeter.support.errors import FormulaError

_TEMPLATES = Path(__file__).parent / "templates"

_HELPERS = (
    *("CostError", "check_bits", "check_routing", "check_size", "contradiction", "needs_rounding", "no_multiple"),
    *("round_up", "routed_reads", "too_large", "too_small"),
)

_FORMULA_HELPERS = (
    *("abbreviate", "agree", "at_most", "ceil_div", "differs", "equals", "exceeds", "floor_div", "largest"),
    *("multiple_of", "not_negative", "routed_reads", "triangular"),
)

_HEADER = '{% import "macros.jinja" as macros %}\n{{ macros.header(template) }}\n'


class PackageTemplates:
    """The templates, and what they all show.

    Parameters
    ----------
    stages
        The names of the stages, then the request.
    """

    def __init__(self, spec: PackageSpec, stages: Sequence[str]) -> None:
        self._spec = spec
        self._stages = stages
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # the text is Python: outside text is checked above, or becomes a literal
        )
        self._environment.filters |= {
            "wrap": _wrap, "literal": _literal, "long_literal": _long_literal, "import_from": _import_from,
            "tuple_of": _tuple_of, "argument": write_argument, "array_argument": write_array_argument,
            "record": write_record,
        }  # fmt: skip

    def render(self, template: str, **values: object) -> str:
        """Return a rendered template."""
        return self._environment.get_template(template).render(
            template=f"templates/{template}",
            spec=self._spec,
            stages=[(name, self._spec.stage_words[name]) for name in self._stages],
            metrics=METRIC_WORDS,
            **values,
        )

    def copy(self, template: str) -> str:
        """Return a template that has only its header to fill in; to compile it would take longer than all others."""
        macros: Any = self._environment.get_template("macros.jinja").module
        source = (_TEMPLATES / template).read_text(encoding="utf-8")
        body = source.removeprefix(_HEADER)
        if body == source or "{{" in body or "{%" in body:
            raise FormulaError("a module of the package has more than its header to fill in", place=template)
        return f"{macros.header(f'templates/{template}')}\n{body}"

    def front(self, functions: Mapping[str, Iterable[str]]) -> str:
        """Return the module that people import; ``functions`` are names by the module that has them."""
        lazy = {
            **dict.fromkeys(("CONVENTIONS", "DIMENSIONS", "PROVENANCE", "Dimension"), "_facts"),
            **{name: name for name in ("arrays", "breakdown", "general", "layers")},
            "freeze": "_freeze",
            **{name: module for module, names in functions.items() for name in names},
        }
        eager = ("Cost", "CostError", "Stages", "stages", *self._stages)
        return self.render(
            "init.py.jinja",
            functions={module: sorted(names) for module, names in sorted(functions.items())},
            training=(TRAINING_STEP, self._spec.stage_words[TRAINING_STEP]),
            exported=sorted({*eager, *lazy}, key=_order),
            lazy=sorted(lazy.items(), key=lambda item: _order(item[0])),
        )

    def functions(self, path: str, functions: Sequence[Function], **values: object) -> str:
        """Return a module of functions on integers."""
        lines = "\n".join(line for function in functions for line in function.body)
        results = {function.result for function in functions} & {"Cost", "Stages"}
        if any(size.may_be_fraction for function in functions for size in function.signature.parameters):
            results.add("Bits")
        used = results | {name for name in ("Cost", *_HELPERS) if re.search(rf"\b{name}\(", lines)}
        return self.render(f"{path.lstrip('_')}.jinja", functions=functions, imports=sorted(used, key=_order), **values)

    def formulas(self, what: str, functions: Sequence[FormulaFunction]) -> str:
        """Return a module of formulas of unknown sizes; ``what`` has them."""
        lines = "\n".join(line for function in functions for line in function.body)
        used = [name for name in _FORMULA_HELPERS if re.search(rf"\b{name}\(", lines)]
        return self.render("formulas.py.jinja", what=what, functions=functions, imports=sorted(used, key=_order))

    def facts(self, files: Mapping[str, str]) -> str:
        """Return the module of data about the package; its digest covers the text of ``files``."""
        digest = hashlib.sha256("".join(text for _, text in sorted(files.items())).encode()).hexdigest()
        return self.render(
            "facts.py.jinja",
            dimensions=list_sizes(self._spec),
            provenance={**self._spec.provenance, "evaluators": f"sha256:{digest}"},
        )


def _order(name: str) -> tuple[int, str]:
    """Sort constants, then classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def _import_from(names: Iterable[str], module: str) -> str:
    """Return the import of some names, in several lines where one would be too long."""
    ordered = sorted(set(names), key=_order)
    line = f"from {module} import {', '.join(ordered)}"
    return (
        line
        if len(line) <= LINE_LENGTH
        else "\n".join([f"from {module} import (", *(f"    {name}," for name in ordered), ")"])
    )


def _tuple_of(names: Iterable[str]) -> str:
    """Return a tuple of names as Python, one a line where there are several."""
    literals = [_literal(name) for name in names]
    if len(literals) < 2:
        return f"({''.join(f'{literal},' for literal in literals)})"
    return "\n".join(["(", *(f"    {literal}," for literal in literals), ")"])


def _wrap(text: str, indent: int) -> str:
    """Return ``text`` in lines that fit after ``indent`` columns; all but the first are indented."""
    lines = textwrap.wrap(text, LINE_LENGTH - indent, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(lines)


def _literal(text: str) -> str:
    """Return a Python literal of ``text`` in ASCII, quoted as the formatter would."""
    quote = "'" if '"' in text and "'" not in text else '"'
    escaped = text.encode("unicode_escape").decode().replace(quote, f"\\{quote}")
    return f"{quote}{escaped}{quote}"


def _long_literal(text: str) -> str:
    """Return a literal of ``text`` as an item of a list, in several lines where it is long."""
    if len(_literal(text)) <= LINE_LENGTH - 5:
        return _literal(text)
    words = textwrap.wrap(text, LINE_LENGTH - 30, break_on_hyphens=False)
    lines = [*(f"{line} " for line in words[:-1]), words[-1]]
    return "\n".join(["(", *(f"        {_literal(line)}" for line in lines), "    )"])
