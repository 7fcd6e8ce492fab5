"""Verdicts on the bytes of transformers."""

from __future__ import annotations

import pytest
from attrs import evolve

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.all_proofs import list_full_proofs, list_quick_proofs
from modelmeter.models.deepseek_ocr.proofs.architecture_cases import keep_two_layers
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes import cases
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.cases import decode_case, views_case
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.verdicts import prove_bytes
from modelmeter.support.errors import CountError
from modelmeter.verify.proof import ignore_progress

TWO = evolve(keep_two_layers(DeepSeekOCRArchitecture()), clip_num_hidden_layers=1)
STEP = decode_case("a step", "eager", sequences=3, keys=101)


def test_formulas_and_causes_are_what_transformers_does() -> None:
    names: list[str] = []
    views = views_case("views", pages=1, views=3, side=509)
    verdicts = list(prove_bytes(TWO, [STEP, views], names.append))
    assert [(verdict.stages, verdict.metric, verdict.is_equal) for verdict in verdicts] == [
        ("decode", "io_bytes", True),
        ("decode", "peak_activation_bytes", True),
        ("vision+projector", "io_bytes", True),
        ("vision+projector", "peak_activation_bytes", True),
    ]
    assert names == ["bytes of a step, experts `eager`", "bytes of views"]
    assert {verdict.implementation for verdict in verdicts} == {"transformers"}
    assert verdicts[0].domain == "batch_size = 3; num_queries = 1; num_keys = 101; logits_tokens = 1"
    assert "cache grows by cat" in verdicts[0].note


def test_small_views_have_no_verdict_on_peaks() -> None:
    small = views_case("small views", pages=2, views=1, side=65, has_peaks=False)
    assert [verdict.metric for verdict in prove_bytes(TWO, [small], ignore_progress)] == ["io_bytes"]


def test_a_cause_that_is_missing_names_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = tuple(cause for cause in cases.DECODER_CAUSES if cause.name != "cache grows by cat")
    monkeypatch.setattr(cases, "DECODER_CAUSES", rest)
    with pytest.raises(CountError, match=r"aten\.cat: the causes do not explain what transformers moves"):
        next(prove_bytes(TWO, [STEP], ignore_progress))


@pytest.mark.parametrize("list_proofs", [list_quick_proofs, list_full_proofs])
def test_runs_of_the_published_model_have_them(list_proofs: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(list_proofs)
    proofs = [proof for proof in list_proofs(DeepSeekOCRArchitecture()) if getattr(proof, "func", None) is prove_bytes]
    stages = {case.stage for proof in proofs for case in proof.args[1]}
    assert stages == {"views", "prefill", "decode"}
