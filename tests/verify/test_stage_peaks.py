"""The peak of every stage equals a walk over the live storages of the reference model, with difference 0."""

from __future__ import annotations

from collections import Counter

import pytest
import sympy
from attrs import asdict, evolve
from tiny import TINY

from modelmeter.compiler import CompiledModel
from modelmeter.evaluate import evaluate
from modelmeter.models.deepseek_ocr.build import STAGES
from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload
from modelmeter.models.deepseek_ocr.vision_tokens import image_tokens
from modelmeter.peak import PEAK
from modelmeter.verify.proof import Verdict
from modelmeter.verify.stage_peaks import list_workloads, prove_peaks, watch_stages


def page(
    base_size: int, image_size: int, width: int, height: int, batch_size: int, text_tokens: int, logits_tokens: int
) -> TraceWorkload:
    """Return a workload of patches of 16 pixels."""
    tokens = int(image_tokens(base_size, image_size, width, height))
    return TraceWorkload(
        batch_size=batch_size, base_size=base_size, image_size=image_size, num_width_tiles=width,
        num_height_tiles=height, seq_len=tokens + text_tokens, logits_tokens=logits_tokens,
    )  # fmt: skip


@pytest.fixture
def model(request: pytest.FixtureRequest) -> CompiledModel:
    """The compiled model that the parameter names."""
    compiled: CompiledModel = request.getfixturevalue(request.param)
    return compiled


@pytest.mark.parametrize(
    ("model", "workload"),
    [
        # Gundam mode; then without tiles; then a grid of 131 patches, so that global attention is the largest.
        ("published", page(1024, 640, 2, 3, 1, 10, 913)),
        ("published", page(640, 640, 1, 1, 3, 7, 101)),
        ("published", page(16 * 131, 16 * 7, 1, 2, 1, 1, 1)),
        # The other model has windows of 9, and was trained on 19 patches a side, and 5 for CLIP.
        ("other", page(16 * 19, 16 * 18 + 3, 2, 3, 3, 17, 11)),
        ("other", page(16 * 37, 16 * 27, 1, 3, 1, 13, 5)),
        ("other", page(31, 16 * 19, 3, 1, 7, 1, 1)),
        ("other", page(16 * 9, 600, 0, 7, 5, 29, 23)),
    ],
    indirect=["model"],
    ids=str,
)
def test_peaks_equal_the_walk(model: CompiledModel, workload: TraceWorkload) -> None:
    sizes = {**model.defaults, **asdict(workload), "decode_steps": 3, "activation_bits": 13}
    watched = watch_stages(model.architecture, workload)
    found = {stage: evaluate(8 * peak.formula, sizes) for stage, peak in model.peaks.items()}
    assert found == {stage: 13 * elements for stage, elements in watched.items()}


def test_the_workloads_have_every_operator_that_can_be_the_peak_as_their_peak(published: CompiledModel) -> None:
    """So no operator is listed in vain, and none is left unchecked."""
    for stage, peak in published.peaks.items():
        seen: Counter[int] = Counter()
        for workload in list_workloads(16):
            sizes = {**published.defaults, **asdict(workload)}
            values = [evaluate(operator.elements, sizes) for operator in peak.operators]
            if values.count(max(values)) == 1:
                seen[values.index(max(values))] += 1
        assert len(seen) == len(peak.operators), (stage, seen)


def verdicts() -> list[Verdict]:
    # Tiny widths, and patches of the published size.
    workloads = list(list_workloads(TINY.sam_patch_size))
    return list(prove_peaks(TINY, [workloads[2], workloads[6]], progress=lambda _: None))


def test_each_stage_gets_a_verdict_at_each_workload() -> None:
    found = verdicts()
    assert [verdict.stages for verdict in found] == [*STAGES, *STAGES]
    assert {(verdict.metric, verdict.kind, verdict.implementation) for verdict in found} == {
        (PEAK, "exact at n points", "reference")
    }
    assert all(verdict.is_equal and verdict.ours > 0 for verdict in found)
    assert "num_width_tiles = 0" in found[0].domain


def test_a_wrong_peak_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelmeter.verify import stage_peaks

    find = stage_peaks.find_peaks

    def find_less(*arguments: object, **options: object) -> dict[str, object]:
        peaks = find(*arguments, **options)  # type: ignore[arg-type]  # whatever it is given
        (operator, *_) = peaks["decode"].operators
        fewer = evolve(operator, elements=operator.elements - sympy.Integer(1))
        return {**peaks, "decode": evolve(peaks["decode"], operators=(fewer,))}

    monkeypatch.setattr(stage_peaks, "find_peaks", find_less)
    assert {verdict.stages for verdict in verdicts() if not verdict.is_equal} == {"decode"}
