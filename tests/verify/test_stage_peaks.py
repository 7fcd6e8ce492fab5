"""The peak of every stage equals a walk over the live storages of the reference model, with difference 0."""

from __future__ import annotations

from random import Random

import pytest
import sympy
import torch
from attrs import asdict, evolve
from tiny import TINY

from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import Evaluator, evaluate
from modelmeter.metrics.cost import Precision
from modelmeter.metrics.metric import PEAK
from modelmeter.models.deepseek_ocr.proofs.points import PROVED, list_workloads, make_points
from modelmeter.models.deepseek_ocr.stages import STAGES
from modelmeter.models.deepseek_ocr.trace_reference import DTYPE, TraceWorkload
from modelmeter.models.deepseek_ocr.vision_tokens import image_tokens
from modelmeter.verify.proof import Verdict
from modelmeter.verify.stage_peaks import PRECISION, WIDE, prove_peaks, watch_stages


def page(
    base_size: int,
    image_size: int,
    grid: tuple[int, int],
    batch: tuple[int, int, int],
    text_tokens: int,
    logits_tokens: int,
) -> TraceWorkload:
    """Return a workload of patches of 16 pixels; ``batch`` are prompts, those that share a call, and images of each."""
    (width, height), (batch_size, vision_batch_size, images) = grid, batch
    return TraceWorkload(
        batch_size=batch_size, vision_batch_size=vision_batch_size, images_per_prompt=images, base_size=base_size,
        image_size=image_size, num_width_tiles=width, num_height_tiles=height,
        seq_len=images * int(image_tokens(base_size, image_size, width, height)) + text_tokens,
        logits_tokens=logits_tokens,
    )  # fmt: skip


def draw(random: Random) -> TraceWorkload:
    """Return any workload; sides where paddings, resizes and copies are needed, and where they are not."""
    base, image = (16 * random.choice((1, 2, 3, 5, 7, 13, 14, 15, 28, 29, 40, 63, 64, 65, 131)) for _ in range(2))
    grid = random.choice(((0, 0), (1, 1), (1, 2), (2, 3), (2, 1), (3, 3), (1, 9), (9, 1)))
    pages = random.choice((1, 1, 2, 7, 30))
    drawn = page(base, image, grid, (pages * random.choice((1, 3, 50)), pages, 1), random.choice((1, 10, 131, 3000)), 1)
    return evolve(drawn, logits_tokens=random.choice((1, 3, drawn.seq_len // 2 + 1, drawn.seq_len)))


@pytest.fixture
def model(request: pytest.FixtureRequest) -> CompiledModel:
    """The compiled model that the parameter names."""
    compiled: CompiledModel = request.getfixturevalue(request.param)
    return compiled


@pytest.mark.parametrize("dtype", [DTYPE, torch.float32], ids=["casts", "no casts"])
@pytest.mark.parametrize(
    ("model", "workload"),
    [
        # Gundam mode; then without tiles; then a grid of 131 patches, so that global attention is the largest.
        ("published", page(1024, 640, (2, 3), (1, 1, 1), 10, 913)),
        ("published", page(640, 640, (1, 1), (3, 3, 1), 7, 101)),
        ("published", page(16 * 131, 16 * 7, (1, 2), (1, 1, 1), 1, 1)),
        # The other model has windows of 9, and was trained on 19 patches a side, and 5 for CLIP.
        ("other", page(16 * 19, 16 * 18 + 3, (2, 3), (3, 1, 1), 17, 11)),
        ("other", page(16 * 37, 16 * 27, (1, 3), (1, 1, 1), 13, 5)),
        ("other", page(31, 16 * 19, (3, 1), (7, 7, 1), 1, 1)),
        ("other", page(16 * 9, 600, (0, 0), (5, 5, 1), 29, 23)),
        # Two prompts of three images, in three calls and in six.
        ("other", page(16 * 21, 16 * 5, (1, 2), (2, 2, 3), 19, 7)),
        ("other", page(16 * 21, 16 * 5, (1, 2), (2, 1, 3), 19, 7)),
    ],
    indirect=["model"],
    ids=str,
)
def test_peaks_equal_the_walk(model: CompiledModel, workload: TraceWorkload, dtype: torch.dtype) -> None:
    # Unlike each other and float32, so that no kind of element can stand for another.
    precision = Precision(weight_bits=5, activation_bits=17, kv_bits=3) if dtype == DTYPE else WIDE
    sizes = {**model.defaults, **asdict(workload), **asdict(precision), "decode_steps": 3, "decode_step": 3}
    (point,) = make_points(model.architecture, [workload])
    watched = watch_stages(PROVED, point, precision=precision, dtype=dtype)
    found = {stage: evaluate(8 * peak.formula, sizes) for stage, peak in model.peaks.items()}
    assert found == watched


def list_largest(model: CompiledModel, workload: TraceWorkload) -> set[tuple[str, int]]:
    """Return the operators that alone are the peak of a stage, by stage and number, with casts and without."""
    largest: set[tuple[str, int]] = set()
    for precision in (PRECISION, WIDE):
        value = Evaluator({**model.defaults, **asdict(workload), **asdict(precision), "decode_step": 1})
        for stage, peak in model.peaks.items():
            bits = [value(operator.bits) for operator in peak.operators]
            if bits.count(max(bits)) == 1:
                largest.add((stage, bits.index(max(bits))))
    return largest


def test_the_workloads_have_every_operator_as_their_peak_that_is_one_anywhere(published: CompiledModel) -> None:
    """So none is left unchecked. Of others that are listed it is not known that they never are the peak."""
    seen = set().union(*(list_largest(published, workload) for workload in list_workloads(16)))
    random = Random(5)
    anywhere = set().union(*(list_largest(published, draw(random)) for _ in range(400)))
    assert anywhere - seen == set()
    assert {stage for stage, _ in seen} == set(STAGES)
    assert len(seen) >= 20


def verdicts() -> list[Verdict]:
    # Tiny widths, and patches of the published size.
    workloads = list(list_workloads(TINY.sam_patch_size))
    return list(prove_peaks(PROVED, make_points(TINY, [workloads[2], workloads[6]]), progress=lambda _: None))


def test_each_stage_gets_a_verdict_at_each_workload_with_casts_and_without() -> None:
    found = verdicts()
    assert [verdict.stages for verdict in found] == [*STAGES] * 4
    assert {(verdict.metric, verdict.kind, verdict.implementation) for verdict in found} == {
        (PEAK, "exact at n points", "reference")
    }
    assert all(verdict.is_equal and verdict.derived > 0 for verdict in found)
    assert "num_width_tiles = 0" in found[0].domain
    widths = [verdict.domain.partition("weight_bits")[2] for verdict in found]
    assert (
        widths
        == [*[" = 7; activation_bits = 13; kv_bits = 11"] * 4, *[" = 32; activation_bits = 32; kv_bits = 32"] * 4] * 2
    )


def test_a_wrong_peak_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelmeter.verify import stage_peaks

    find = stage_peaks.find_peaks

    def find_less(*arguments: object, **options: object) -> dict[str, object]:
        peaks = find(*arguments, **options)  # type: ignore[arg-type]  # whatever it is given
        fewer = tuple(evolve(one, bits=one.bits - sympy.Integer(1)) for one in peaks["decode"].operators)
        return {**peaks, "decode": evolve(peaks["decode"], operators=fewer)}

    monkeypatch.setattr(stage_peaks, "find_peaks", find_less)
    found = [verdict for verdict in verdicts() if not verdict.is_equal]
    assert [verdict.stages for verdict in found] == ["decode"] * 4
    # One bit too few.
    assert {verdict.difference for verdict in found} == {sympy.Rational(-1, 8)}
