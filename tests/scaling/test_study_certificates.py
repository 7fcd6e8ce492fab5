"""Certificates of studies: each is of one statement and one formula, and survives JSON."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from modelmeter.scaling import (
    Crossover,
    Largest,
    Limit,
    Monotone,
    Order,
    SignTable,
    Smallest,
    certificate_from_json,
)
from modelmeter.scaling.studies import Book, IdentifiedStatement
from modelmeter.support.errors import CertificateError


def find_kind(book: Book, kind: type) -> IdentifiedStatement:
    return next(
        each for each in book.statements if type(each.statement) is kind and each.value is not None and each.value > 1
    )


@pytest.mark.parametrize("kind", [Crossover, Largest, Smallest])
def test_a_statement_with_another_value_does_not_check(book: Book, kind: type) -> None:
    statement = find_kind(book, kind).statement
    statement.check()
    assert statement.value is not None
    with pytest.raises(CertificateError):
        evolve(statement, value=statement.value + 1).check()


def test_a_certificate_of_another_formula_does_not_check(book: Book) -> None:
    statement = find_kind(book, Crossover).statement
    certificate = statement.certificates[0]
    assert isinstance(certificate, SignTable)
    with pytest.raises(CertificateError):
        evolve(certificate, formula=("+", certificate.formula, 1)).check()
    with pytest.raises(CertificateError):
        evolve(statement, certificates=()).check()


def test_certificates_survive_json(book: Book) -> None:
    document = json.loads(json.dumps(book.to_json()))
    assert [each["id"] for each in document["statements"]] == [each.id for each in book.statements]
    for each in document["statements"][::25]:
        for certificate in each["certificates"]:
            certificate_from_json(certificate).check()


@pytest.mark.parametrize("kind", [Crossover, Largest, Limit, Monotone, Order, Smallest])
def test_every_kind_of_statement_is_there(book: Book, kind: type) -> None:
    assert any(type(each.statement) is kind for each in book.statements)
