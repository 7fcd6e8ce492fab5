"""Certificates from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import fields

from modelmeter.scaling.box_sign import BoxSign, Growth
from modelmeter.scaling.certificate import Certificate, SignTable
from modelmeter.scaling.identity import Identity
from modelmeter.scaling.pieces import Pieces
from modelmeter.support.errors import CertificateError

KINDS: Final[Mapping[str, Any]] = {each.kind: each for each in (SignTable, Pieces, Identity, BoxSign, Growth)}
"""The classes of certificates by what JSON calls them."""

_TEXTS: Final = ("name", "fingerprint")


def certificate_from_json(value: object) -> Certificate:
    """Return the certificate of a JSON object; it is not replayed: see ``check``.

    Raises
    ------
    CertificateError
        If it is none: a key is missing, not known or of another kind.
    """
    if not isinstance(value, dict):
        raise CertificateError("this is no certificate", expected="an object", found=value)
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise CertificateError("there is no certificate of this kind", expected=sorted(KINDS), found=kind)
    expected = {"kind", *(field.name for field in fields(KINDS[kind]))}
    if value.keys() != expected:
        raise CertificateError("a certificate has other keys", expected=sorted(expected), found=sorted(map(str, value)))
    for name in _TEXTS:
        if name in value and not isinstance(value[name], str):
            raise CertificateError("a value of a certificate is no text", place=name, found=value[name])
    if "is_strict" in value and type(value["is_strict"]) is not bool:
        raise CertificateError("a value of a certificate is not true or false", place="is_strict")
    if "direction" in value and value["direction"] not in (-1, 0, 1):
        raise CertificateError("a direction is not -1, 0 or 1", found=value["direction"])
    try:
        certificate: Certificate = KINDS[kind].from_json(value)
    except RecursionError:
        raise CertificateError("a formula is nested too deeply", place=kind) from None
    return certificate
