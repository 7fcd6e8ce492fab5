"""Certificates go through JSON, are replayed, and are refused where anything of them is damaged."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sympy

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div, exceeds
from modelmeter.scaling import Quantity, Statement, certificate_from_json
from modelmeter.scaling.box_sign import BoxSign, Growth
from modelmeter.scaling.domain import Range
from modelmeter.scaling.identity import Identity
from modelmeter.scaling.terms import from_sympy
from modelmeter.support.errors import CertificateError, ModelMeterError

N, M = (sympy.Symbol(name, integer=True, positive=True) for name in "nm")


def list_statements() -> Iterator[Statement]:
    cost = Quantity(3 * ceil_div(N, 4) * N + exceeds(N, 9) * 11, "cost")
    yield scaling.crossover(cost, 20 * Quantity(N, "n"), over="n")
    yield scaling.largest("n", of=cost, under=1000)
    yield scaling.smallest("n", of=cost, at_least=1000)
    yield scaling.order(cost, "n")
    yield scaling.limit(cost / Quantity(N**2, "n^2"), "n")
    yield scaling.monotone(cost, "n")
    yield scaling.sign(Quantity(N * M + 1, "f"), ("n", "m"))
    yield scaling.monotone(Quantity(M * ceil_div(N, 4), "f"), "n", free=("m",))


STATEMENTS = list(list_statements())


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.kind)
def test_a_certificate_goes_through_json(statement: Statement) -> None:
    statement.check()
    document = json.loads(json.dumps(statement.to_json()))
    for certificate, text in zip(statement.certificates, document["certificates"], strict=True):
        read = certificate_from_json(text)
        assert read == certificate
        read.check()


def test_an_identity_goes_through_json() -> None:
    identity = Identity(("+", ("^", "n", 2), ("*", 2, "n"), 1), ("^", ("+", "n", 1), 2))
    identity.check()
    assert certificate_from_json(json.loads(json.dumps(identity.to_json()))) == identity
    with pytest.raises(CertificateError, match="are not equal"):
        Identity(("+", ("^", "n", 2), ("*", 2, "n"), 2), ("^", ("+", "n", 1), 2)).check()


def list_damages(value: Any) -> Iterator[Any]:
    """Yield copies of a JSON value with one number, text or list in it changed."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
        yield -value - 1
    elif isinstance(value, str):
        yield value + "x"
    elif value is None:
        yield 10**6 + 7
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield value[:place] + value[place + 1 :]
            for other in list_damages(each):
                yield [*value[:place], other, *value[place + 1 :]]
    elif isinstance(value, dict):
        for key, each in value.items():
            yield {name: kept for name, kept in value.items() if name != key}
            for other in list_damages(each):
                yield {**copy.deepcopy(value), key: other}


@pytest.mark.parametrize(
    "certificate",
    [certificate for statement in STATEMENTS for certificate in statement.certificates],
    ids=lambda certificate: certificate.kind,
)
def test_a_damaged_certificate_is_refused(certificate: scaling.Certificate) -> None:
    """One that is changed and still holds is another true one, such as a way on a smaller range."""
    document = certificate.to_json()
    count = 0
    for damaged in list_damages(document):
        still_true = damaged.get("ranges") != document.get("ranges") and certificate.kind in ("box_sign", "growth")
        still_true |= damaged.get("is_strict") != document.get("is_strict") and damaged.get("is_strict") is False
        if still_true:
            continue
        count += 1
        with pytest.raises(CertificateError):
            certificate_from_json(damaged).check()
    assert count > 5


def test_a_statement_whose_formula_changed_cannot_keep_its_certificate() -> None:
    answer = scaling.largest("n", of=Quantity(7 * N + 5, "cost"), under=100)
    certificate = answer.certificate
    assert certificate is not None
    certificate.check(certificate.formula)  # type: ignore[attr-defined]
    changed = scaling.largest("n", of=Quantity(7 * N + 6, "cost"), under=100)
    assert changed.value == answer.value, "the same answer, for another reason"
    with pytest.raises(CertificateError, match="changed since it was certified"):
        certificate.check(changed.certificate.formula)  # type: ignore[union-attr]
    assert changed.fingerprint != answer.fingerprint


def test_an_answer_that_does_not_follow_is_refused() -> None:
    from attrs import evolve

    answer = scaling.crossover(Quantity(N**2, "a"), Quantity(10 * N, "b"), over="n")
    for wrong in (
        evolve(answer, value=9), evolve(answer, outcome="always"), evolve(answer, holds=()),
        evolve(answer, certificates=()),
    ):  # fmt: skip
        with pytest.raises(CertificateError):
            wrong.check()


@pytest.mark.parametrize(
    "claim",
    [
        BoxSign(from_sympy(N - 5), {"n": Range(1)}, True),
        BoxSign(from_sympy(M - N), {"n": Range(1), "m": Range(1)}, False),
        Growth(from_sympy(5 * N - N**2), "n", {"n": Range(1)}, 1),
        Growth(from_sympy(ceil_div(N, 4) * -1), "n", {"n": Range(1)}, 1),
    ],
    ids=str,
)
def test_a_false_claim_is_refused(claim: scaling.Certificate) -> None:
    with pytest.raises(CertificateError):
        claim.check()


@pytest.mark.parametrize(
    "text", [None, [], {}, {"kind": "proof"}, {"kind": ["growth"]}, {"kind": "identity", "formula": 1}], ids=str
)
def test_what_is_no_certificate_is_refused(text: object) -> None:
    with pytest.raises(ModelMeterError):
        certificate_from_json(text)


def test_the_certificate_of_a_card_is_replayed() -> None:
    request = scaling.stage(modelmeter.load(), "request")
    memory = request.weight_bytes + request.kv_cache_bytes + request.peak_activation_bytes
    answer = scaling.largest("batch_size", of=memory, under=80 * 2**30)
    answer.check()
