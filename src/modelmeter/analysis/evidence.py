"""How formulas were checked: the record that a full verification leaves, and what pages say of it.

A record belongs to formulas, which it names by a fingerprint: what was proved about others says nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping

import sympy
from attrs import asdict, field, frozen, validators
from cattrs import ClassValidationError

from modelmeter.dimensions.functions import Size
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import METRICS
from modelmeter.support.errors import EvidenceError
from modelmeter.support.files import describe_failure, read_text
from modelmeter.support.strict_json import first_problem, make_converter, parse_object

_IMPLEMENTATIONS: Mapping[str, str] = {
    "reference": "the torch modules of the reference model",
    "transformers": "the independent implementation in transformers",
    "formulas": "another form of the formula",
    "enumeration": "the mean over all cases, one by one",
}
_KINDS: Mapping[str, str] = {
    "identity": "Proved symbolically (expanded difference is 0)",
    "polynomial identity test": "Polynomial identity test, equal at all of {points} drawn at random",
}
AT_POINTS = "exact at n points"
"""The kind of check that compares numbers, at the points that its domains are."""

_NAMES = validators.deep_iterable(validators.matches_re(r"[a-z][a-z0-9_]*"))
"""Pages show them."""


@frozen(kw_only=True)
class Check:
    """Comparisons that all found difference 0.

    Parameters
    ----------
    metrics
        What was compared.
    implementation
        With what: ``reference``, ``transformers`` or ``formulas``.
    kind
        How: ``identity``, ``polynomial identity test`` or ``exact at n points``.
    modules
        Paths of the modules in which it was.
    dimensions
        The dimensions that were symbols in some of the domains; none where it holds for all sizes.
    domains
        Name of the list of domains, one for each comparison; see :class:`Evidence`.
    note
        What the other side does differently, and is left out.
    """

    metrics: tuple[str, ...] = field(validator=_NAMES)
    implementation: str = field(validator=validators.in_(_IMPLEMENTATIONS))
    kind: str = field(validator=validators.in_((*_KINDS, AT_POINTS)))
    modules: tuple[str, ...]
    dimensions: tuple[str, ...] = field(validator=_NAMES)
    domains: str
    note: str


@frozen(kw_only=True)
class Subject:
    """A layer class or a stage: the fingerprint of its formulas, and its checks."""

    formulas: str
    checks: tuple[Check, ...]


@frozen(kw_only=True)
class Evidence:
    """All checks of a full verification.

    Parameters
    ----------
    versions
        Of the programs that took part.
    layers, stages
        Subjects by name.
    domains
        Lists of domains by name: the sizes that a comparison holds for.
    operators
        The ATen operators that were seen in each implementation, by what they were counted as.
    """

    versions: dict[str, str]
    layers: dict[str, Subject]
    stages: dict[str, Subject]
    domains: dict[str, tuple[str, ...]]
    operators: dict[str, dict[str, tuple[str, ...]]]

    def to_json(self) -> str:
        """Return the record as JSON text, keys in the order of the fields."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Evidence:
        """Return the record in JSON text.

        Raises
        ------
        EvidenceError
            If the text is not such a record, or a check names a list of domains that is missing.
        """
        try:
            evidence: Evidence = make_converter().structure(parse_object(text), cls)
        except ClassValidationError as error:
            place, problem = first_problem(error)
            raise EvidenceError("the evidence is damaged", place=place, found=problem) from None
        except ValueError as error:
            raise EvidenceError("the evidence is not JSON", found=error) from None
        for name, subject in (*evidence.layers.items(), *evidence.stages.items()):
            missing = [check.domains for check in subject.checks if check.domains not in evidence.domains]
            if missing:
                raise EvidenceError("a check names domains that are not there", place=name, found=missing)
        return evidence

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Evidence | None:
        """Return the record in a file, or None where there is no such file.

        Raises
        ------
        EvidenceError
            If the file cannot be read, or as :meth:`from_json`.
        """
        try:
            return cls.from_json(read_text(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise EvidenceError("the evidence cannot be read", place=str(path), found=describe_failure(error)) from None
        except EvidenceError as error:
            raise EvidenceError(
                error.problem, place=f"{path}: {error.place}".removesuffix(": "), found=error.found,
                remedy="write it anew with modelmeter verify --full",
            ) from None  # fmt: skip

    def describe_layer(self, name: str, cost: Cost, *beside: Size) -> tuple[str, ...]:
        """Return how a layer class was checked, a line each; nothing if its formulas were others.

        ``beside`` are those that are no part of the cost: ``fused_io_bytes``.
        """
        return self._describe(self.layers.get(name), cost, *beside)

    def describe_stage(self, name: str, cost: Cost, *beside: Size) -> tuple[str, ...]:
        """Return how a stage was checked, in the same way; ``beside`` has its peak, too, where it has one."""
        return self._describe(self.stages.get(name), cost, *beside)

    def _describe(self, subject: Subject | None, cost: Cost, *beside: Size) -> tuple[str, ...]:
        if subject is None or subject.formulas != fingerprint(cost, *beside):
            return ()
        return tuple(self._describe_check(check) for check in subject.checks)

    def _describe_check(self, check: Check) -> str:
        domains = self.domains[check.domains]
        points = _count(domains, "point")
        kind = _KINDS.get(check.kind, "Exact at {points}").format(points=points)
        others = [metric for metric in check.metrics if metric not in METRICS]
        is_all = len(check.metrics) - len(others) == len(METRICS)
        named = ", ".join(f"``{metric}``" for metric in (others if is_all else check.metrics))
        metrics = " and ".join(filter(None, ("all metrics" if is_all else "", named)))
        names = ", ".join(f"``{name}``" for name in check.dimensions)
        parts = [
            f"{kind}: {metrics}, against {_IMPLEMENTATIONS[check.implementation]}",
            f"{_count(check.modules, 'module')}, {_count(domains, 'domain')}",
            f"{'symbols for' if check.kind == 'identity' else 'varied'} {names}" if check.dimensions else "all sizes",
            check.note,
        ]
        return "; ".join(part for part in parts if part) + "."


def fingerprint(cost: Cost, *beside: Size) -> str:
    """Return what tells the formulas of ``cost`` and ``beside`` from others, on every machine and hash seed."""
    known: dict[sympy.Basic, bytes] = {}
    formulas = (*(cost[metric] for metric in METRICS), *beside)
    digests = b"".join(_digest(sympy.sympify(formula), known) for formula in formulas)
    return hashlib.sha256(digests).hexdigest()[:32]


def _digest(expression: sympy.Basic, known: dict[sympy.Basic, bytes]) -> bytes:
    if expression not in known:
        parts: Iterator[bytes] | list[bytes] = (_digest(argument, known) for argument in expression.args)
        if isinstance(expression, sympy.Add | sympy.Mul | sympy.Max):
            parts = sorted(parts)  # sympy's own order is not that of another run
        name = type(expression).__name__ if expression.args else str(expression)
        known[expression] = hashlib.sha256(b"|".join([name.encode(), *parts])).digest()
    return known[expression]


def _count(things: tuple[Size | str, ...], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
