"""That two formulas are equal: their difference, multiplied out, is 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import frozen

from modelmeter.scaling import normal_form, terms
from modelmeter.scaling.certificate import check_fingerprint, refusing_formulas, take_fingerprint
from modelmeter.scaling.terms import Term
from modelmeter.support.errors import CertificateError


@frozen
class Identity:
    """Two formulas that are equal at all sizes.

    Parameters
    ----------
    formula
        One of them, in normal form.
    other
        The other, as it is written.
    fingerprint
        Of the first.
    """

    kind: ClassVar[str] = "identity"
    technique: ClassVar[str] = "a difference that is 0 when it is multiplied out"

    formula: Term
    other: Term
    fingerprint: str = take_fingerprint()

    def check(self, formula: Term | None = None) -> None:
        """Replay: multiply out."""
        check_fingerprint(self.formula, self.fingerprint, formula)
        with refusing_formulas():
            forms = [normal_form.read(each) for each in (self.formula, self.other)]
        difference = normal_form.add(forms[0], normal_form.scale(forms[1], -1))
        if difference:
            found = terms.to_text(normal_form.to_normal_term(difference))
            raise CertificateError("two formulas are not equal", expected="no difference", found=found)

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON."""
        return {
            "kind": self.kind,
            "formula": terms.to_json(self.formula),
            "other": terms.to_json(self.other),
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Identity:
        """Return the certificate of a JSON object with the keys of :meth:`to_json`."""
        return cls(terms.from_json(value["formula"]), terms.from_json(value["other"]), value["fingerprint"])
