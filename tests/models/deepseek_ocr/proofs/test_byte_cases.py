"""The cases: at which sizes they are, and what explains them."""

from __future__ import annotations

from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.cases import (
    EXPERT_CAUSES,
    list_page_cases,
    list_points,
    record_cases,
)
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.decoder_causes import DECODER_CAUSES
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.sides import Experts
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.tower_causes import TOWER_CAUSES
from modelmeter.models.deepseek_ocr.workload import Workload


class Calls:
    """Stands for models, and keeps what is asked of them."""

    def __init__(self, experts: Experts) -> None:
        self.experts = experts
        self.asked: list[dict[str, int]] = []

    def record(self, **sizes: int) -> dict[str, int]:
        self.asked.append(sizes)
        return sizes

    record_views = record_prefill = record_decode = record


def test_a_page_shows_its_stages_and_three_pages() -> None:
    workload = Workload(base_size=512, image_size=320, num_width_tiles=3, num_height_tiles=2, prompt_tokens=7)
    recorded = [(case.stage, case.experts, sides) for case, sides in record_cases(Calls, list_page_cases(workload))]  # type: ignore[arg-type]
    seq_len = workload.seq_len
    views = [
        {"batch_size": pages, "num_views": number, "view_size": side}
        for pages, number, side in ((1, 1, 512), (1, 6, 320), (3, 1, 512))
    ]
    prompt = {"batch_size": 1, "seq_len": seq_len, "logits_tokens": seq_len}
    assert recorded == [
        *(("views", "eager", sizes) for sizes in views),
        *(("prefill", experts, prompt) for experts in ("eager", "grouped_mm")),
        *(("decode", experts, {"batch_size": 1, "num_keys": seq_len + 1}) for experts in ("eager", "grouped_mm")),
    ]


def test_a_page_without_tiles_has_none() -> None:
    workload = Workload(base_size=512, num_width_tiles=1, num_height_tiles=1)
    assert not any("tiles" in case.title for case in list_page_cases(workload))


def test_models_are_built_once_for_each_way_to_run_experts() -> None:
    built: list[Experts] = []

    def build(experts: Experts) -> Calls:
        built.append(experts)
        return Calls(experts)

    assert len(list(record_cases(build, list_points()))) > 2  # type: ignore[arg-type]
    assert sorted(built) == ["eager", "grouped_mm"]


def test_every_stage_has_its_causes() -> None:
    for case in list_points():
        if case.stage == "views":
            assert case.causes == TOWER_CAUSES
        else:
            assert case.causes == (*DECODER_CAUSES, *EXPERT_CAUSES[case.experts])


def test_a_quick_run_is_a_part_of_a_full_one_with_every_stage() -> None:
    quick, full = ([case.title for case in list_points(is_quick=is_quick)] for is_quick in (True, False))
    assert set(quick) < set(full)
    assert {case.stage for case in list_points(is_quick=True)} == {"views", "prefill", "decode"}
    assert {case.stage for case in list_points(is_quick=True) if case.has_peaks} == {"views", "prefill", "decode"}
