"""The formulas as one JSON document that a stranger can evaluate; the schema beside this file describes it.

Every number in a formula is an integer written as text, so that no reader turns one into a float.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from attrs import frozen

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Output, Program, select
from modelmeter.dimensions.functions import (
    CeilDiv,
    Differs,
    Equals,
    Exceeds,
    FloorDiv,
    RoutedReads,
    Triangular,
)
from modelmeter.dimensions.symbols import Dimensions, names_of
from modelmeter.evaluators.evaluator import Evaluator
from modelmeter.evaluators.package import EvaluatorPackage
from modelmeter.evaluators.programs import make_parameters
from modelmeter.evaluators.signature import Parameter, Signature
from modelmeter.metrics.metric import FUSED_IO, METRIC_RECORDS, PEAK
from modelmeter.model.definition import Model
from modelmeter.publishing.data.infix import InfixPrinter, write_infix
from modelmeter.publishing.identity import PublishedFormula
from modelmeter.publishing.text import to_plain
from modelmeter.support.errors import FormulaError

FORMAT: Final = 1
"""The version of the form of the document; a reader of another one must not read on."""

SCHEMA_FILE: Final = "formulas.schema.json"

FUNCTIONS: Final[Mapping[str, str]] = {
    SUM: "the sum of the operands",
    PRODUCT: "the product of the operands",
    MAXIMUM: "the largest operand",
    CeilDiv.__name__: "a / b, rounded up to an integer",
    FloorDiv.__name__: "a / b, rounded down to an integer",
    Differs.__name__: "1 if a and b differ, else 0",
    Equals.__name__: "1 if a and b are equal, else 0",
    Exceeds.__name__: "1 if a is more than b, else 0",
    Triangular.__name__: "1 + 2 + ... + n = n (n + 1) / 2",
    RoutedReads.__name__: "E W (1 - (1 - k/E)^N) of E, k, N, W, rounded to the nearest integer, halves up: the weights "
    "that N tokens are expected to read from E experts of W weights each, if each token chooses k of them at random",
}
"""The functions of programs, polynomials and infix text, and what each is of its operands."""


def read_schema() -> str:
    """Return the JSON Schema of the document, as text."""
    return (files("modelmeter.publishing.data") / SCHEMA_FILE).read_text(encoding="utf-8")


def render_data(
    definition: Model,
    package: EvaluatorPackage,
    formulas: Sequence[PublishedFormula],
    evidence: Mapping[str, Sequence[str]],
) -> str:
    """Return the document as JSON text, a line for each subject and each formula.

    Parameters
    ----------
    definition, package
        The model, and its evaluators, whose programs the document has.
    formulas
        What is published.
    evidence
        By name of a layer or stage, how its formulas were checked.

    Raises
    ------
    FormulaError
        If a formula has no evaluator, or none that computes it.
    """
    spec = package.spec
    subjects = {subject.name: subject for subject in _list_subjects(package)}
    described = {
        subject.name: _describe_subject(subject, package, formulas, evidence.get(subject.name, ()))
        for subject in subjects.values()
    }
    printer = InfixPrinter()
    entries = [_describe_formula(entry, definition, subjects[entry.id.subject], printer) for entry in formulas]
    subject_lines = [f"{json.dumps(name)}: {_write(found)}" for name, found in described.items()]
    formula_lines = [*map(_write, entries)]
    # A node or a factor that calls a function is a list that begins with its name.
    called = {name for name in FUNCTIONS if any(f'["{name}",' in line for line in (*subject_lines, *formula_lines))}
    head = {
        "$schema": SCHEMA_FILE,
        "format": FORMAT,
        "model": definition.name,
        "title": spec.model,
        "version": spec.provenance["modelmeter"],
        "provenance": dict(spec.provenance),
        "conventions": list(spec.conventions),
        "functions": {name: words for name, words in FUNCTIONS.items() if name in called},
    }
    parts = [
        *(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()),
        '"subjects": {\n' + ",\n".join(subject_lines) + "\n}",
        '"formulas": [\n' + ",\n".join(formula_lines) + "\n]",
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def describe_programs(package: EvaluatorPackage, formulas: Iterable[PublishedFormula]) -> dict[str, dict[str, Any]]:
    """Return, by id, what else the document says of a formula than its id, its digest and its infix text.

    Sizes that follow from others in all cases are ``derived``, by the programs that the document has for the subject.

    Raises
    ------
    FormulaError
        If a formula has no evaluator.
    """
    subjects = {subject.name: subject for subject in _list_subjects(package)}
    found = {}
    for entry in formulas:
        subject = subjects[entry.id.subject]
        described = _describe_program(entry, subject, package.spec.dimensions)
        derived = subject.derive()
        used = {name: derived[name] for name in described["symbols"] if name in derived}
        found[str(entry.id)] = {**described, **({"derived": used} if used else {})}
    return found


@frozen(kw_only=True)
class _Subject:
    """What formulas are of: its name, and the evaluators of its metrics, one of which may be of several metrics."""

    name: str
    kind: str
    meaning: str
    evaluators: tuple[Evaluator, ...]

    def find(self, metric: str) -> tuple[Evaluator, Output]:
        """Return the evaluator of a metric, and its output."""
        for evaluator in self.evaluators:
            if metric in evaluator.result.outputs:
                return evaluator, evaluator.output(evaluator.result.outputs[metric])
        raise FormulaError("a published formula has no evaluator", place=f"{self.name}, {metric}")

    def derive(self) -> dict[str, Any]:
        """Return the programs of the sizes that follow from others in all cases.

        Of a peak they have the architecture in them; so of others where these have them.
        """
        intermediates = {
            name: evaluator for evaluator in reversed(self.evaluators) for name in evaluator.signature.intermediates
        }
        return {name: _write_program(select(evaluator.program, name)) for name, evaluator in intermediates.items()}


def _list_subjects(package: EvaluatorPackage) -> Iterator[_Subject]:
    spec = package.spec
    of_stages = {evaluator.name: evaluator for evaluator in (*package.general, *package.peaks)}
    for name, words in spec.stage_words.items():
        found = (of_stages.get(each) for each in (name, f"{name}_{FUSED_IO}", f"{name}_{PEAK}"))
        yield _Subject(name=name, kind="stage", meaning=words, evaluators=tuple(filter(None, found)))
    of_layers = {evaluator.name: evaluator for evaluator in package.layers}
    for layer in spec.layers:
        names = (layer.public_name, f"{layer.public_name}_{FUSED_IO}")
        evaluators = tuple(of_layers[each] for each in names)
        yield _Subject(name=layer.name, kind="layer", meaning=layer.doc, evaluators=evaluators)


def _describe_subject(
    subject: _Subject, package: EvaluatorPackage, formulas: Iterable[PublishedFormula], evidence: Sequence[str]
) -> dict[str, Any]:
    """Return what all formulas of a subject share: sizes, the domain, and how they were checked."""
    spec, (main, *_) = package.spec, subject.evaluators
    own = [entry.formula for entry in formulas if entry.id.subject == subject.name]
    parameters = {each.name: each for evaluator in subject.evaluators for each in evaluator.signature.parameters}
    # What is a number in every evaluator is still a symbol in the formulas.
    fixed = {name for formula in own for name in names_of(formula)} - parameters.keys()
    parameters |= {each.name: each for each in make_parameters(spec, fixed, spec.all_defaults, {})}
    signatures = [evaluator.signature for evaluator in subject.evaluators]
    rules = dict.fromkeys(
        rule for signature in signatures for rule in signature.rules if rule.names <= _names(signature)
    )
    is_layer = subject.kind == "layer"
    return {
        "kind": subject.kind,
        "meaning": to_plain(subject.meaning),
        "evaluator": f"{'layers' if is_layer else 'general'}.{main.name}",
        "symbols": {
            name: _describe_size(parameters[name], spec.dimensions.latex[name])
            for name in spec.dimensions.sort(parameters)
        },
        "derived": subject.derive(),
        "domain": {
            "rules": [[str(rule.a), rule.relation, rule.b] for rule in rules],
            "not_negative": [
                {"infix": text, "program": _write_program(select(main.program, name))}
                for name, text in main.guards.items()
            ],
        },
        "evidence": [to_plain(line) for line in evidence],
    }


def _names(signature: Signature) -> set[str]:
    return {*(parameter.name for parameter in signature.parameters), *signature.intermediates}


def _describe_size(parameter: Parameter, latex: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "meaning": to_plain(parameter.dimension.meaning),
        "unit": parameter.dimension.unit,
        "kind": parameter.dimension.kind,
        "minimum": str(parameter.minimum),
        "default": str(parameter.default),
        "latex": latex,
    }
    if parameter.derivation is not None:
        found["follows"] = {
            "infix": parameter.derivation.formula, "node": _write_node(parameter.derivation.node),
        }  # fmt: skip
    if parameter.target is not None:
        found["only_for"] = parameter.target
    return found


def _describe_formula(
    entry: PublishedFormula, definition: Model, subject: _Subject, printer: InfixPrinter
) -> dict[str, Any]:
    described = _describe_program(entry, subject, definition.dimensions)
    polynomial, program, symbols = (described.pop(name) for name in ("polynomial", "program", "symbols"))
    return {
        "id": str(entry.id), "digest": entry.id.digest, **described, "symbols": symbols,
        "infix": write_infix(entry, definition, printer), "program": program, "polynomial": polynomial,
    }  # fmt: skip


def _describe_program(entry: PublishedFormula, subject: _Subject, dimensions: Dimensions) -> dict[str, Any]:
    evaluator, output = subject.find(entry.id.metric)
    program = select(evaluator.program, output.name)
    names = (names_of(entry.formula) | {*program.inputs}) - evaluator.cancelled.keys()
    return {
        "subject": entry.id.subject,
        "metric": entry.id.metric,
        "unit": METRIC_RECORDS[entry.id.metric].unit,
        "symbols": dimensions.sort(names),
        "program": _write_program(program, evaluator.cancelled),
        "polynomial": entry.polynomial,
    }


def _write_program(program: Program, known: Mapping[str, int] = MappingProxyType({})) -> dict[str, Any]:
    """Return a program with one output, with integers for the inputs that are ``known``."""
    (output,) = program.outputs
    return {
        "inputs": [name for name in program.inputs if name not in known],
        "steps": [[name, _write_node(node, known)] for name, node in program.steps],
        "numerator": _write_node(output.numerator, known),
        "denominator": str(output.denominator),
    }


def _write_node(node: Node, known: Mapping[str, int] = MappingProxyType({})) -> Any:
    """Return a node: an integer or a name as text, an operation as a list of its function and its operands."""
    if isinstance(node, int | str):
        return str(known.get(node, node) if isinstance(node, str) else node)
    if node.function not in FUNCTIONS:
        raise FormulaError("a function has no words", expected=sorted(FUNCTIONS), found=node.function)
    return [node.function, *(_write_node(operand, known) for operand in node.operands)]


def _write(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
