"""The causes explain every operator of a tiny model, at sizes where each of their cases comes up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import evolve
from tiny import TINY

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.decoder_causes import DECODER_CAUSES
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.expert_causes import GROUPED_CAUSES, LOOP_CAUSES
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.sides import Models
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.tower_causes import TOWER_CAUSES
from modelmeter.support.errors import CountError
from modelmeter.verify.foreign_bytes.causes import Cause
from modelmeter.verify.foreign_bytes.comparison import Traffic, explain_traffic
from modelmeter.verify.foreign_bytes.records import Sides

# Most experts get no token where there are few tokens, and none of them two.
SPARSE = evolve(TINY, n_routed_experts=11, num_experts_per_tok=4, first_k_dense_replace=0)
# Rows of a grouped product have to begin at multiples of 16 bytes.
ALIGNED = evolve(SPARSE, hidden_size=48, moe_intermediate_size=8)


@pytest.fixture(scope="module")
def towers() -> Models:
    return Models.build(TINY, "eager")


@pytest.fixture(scope="module", params=["eager", "grouped_mm"])
def decoder(request: pytest.FixtureRequest) -> Models:
    return Models.build(SPARSE if request.param == "eager" else ALIGNED, request.param)


def added(traffic: Traffic) -> dict[str, int]:
    return {cause.name: nbytes for cause, nbytes in traffic.causes if nbytes}


@pytest.mark.parametrize(
    ("pages", "views", "side", "absent"),
    [
        # 15 patches, of which windows of 14 make 28; 13 were trained. CLIP's 4 of 7 are resized.
        (1, 2, 240, {"windows padded by nothing", "no loop over pages"}),
        # As SAM was trained; one window of a single view for each page.
        (3, 1, 208, {"windows padded by nothing"}),
        # One whole window, and four.
        (2, 1, 224, set()),
        (2, 3, 448, {"queries, keys and values of single grids copied"}),
        # 25 to 28 patches are the 7 that CLIP was trained with; the last pixels fill no patch.
        (5, 2, 411, {"position embeddings not looked up", "windows padded by nothing"}),
        (1, 7, 33, {"no loop over pages"}),
    ],
)
def test_towers(towers: Models, pages: int, views: int, side: int, absent: set[str]) -> None:
    sides = towers.record_views(batch_size=pages, num_views=views, view_size=side)
    found = added(explain_traffic(TINY.dimension_values(), sides, TOWER_CAUSES))
    assert {cause.name for cause in TOWER_CAUSES} - found.keys() >= absent
    always = {"bias of attention copied", "q, k, v apart", "neck's norms in one operator"}
    assert found.keys() >= always | {"last convolution's input not copied"}


def prompts(models: Models) -> Iterator[tuple[Sides, set[str]]]:
    for sequences, positions, logits in ((1, 1, 1), (1, 17, 17), (3, 19, 5), (2, 7, 1)):
        sides = models.record_prefill(batch_size=sequences, seq_len=positions, logits_tokens=logits)
        yield sides, {"rows with logits not gathered"} if sequences > 1 and logits < positions else set()
    for sequences, keys in ((1, 23), (5, 2)):
        yield models.record_decode(batch_size=sequences, num_keys=keys), set()


def test_decoder(decoder: Models) -> None:
    architecture = decoder.architecture
    experts = LOOP_CAUSES if decoder.experts == "eager" else GROUPED_CAUSES
    for sides, rows in prompts(decoder):
        found = added(explain_traffic(architecture.dimension_values(), sides, (*DECODER_CAUSES, *experts)))
        assert "logits stay in bfloat16" in found
        assert found.keys() & {"rows with logits not gathered"} == rows
        sequences = {"rotary embedding once for all sequences"} if sides.sizes["batch_size"] > 1 else set()
        assert found.keys() & {"rotary embedding once for all sequences"} == sequences


def test_no_cause_is_left_out(towers: Models, decoder: Models) -> None:
    """Without any of them, an operator has no explanation at one of these sizes."""
    views = [
        towers.record_views(batch_size=pages, num_views=number, view_size=side)
        for pages, number, side in ((3, 1, 208), (2, 1, 224), (1, 2, 240))
    ]
    experts = LOOP_CAUSES if decoder.experts == "eager" else GROUPED_CAUSES
    runs = [sides for sides, _ in prompts(decoder)]
    for architecture, recorded, causes in (
        (TINY, views, TOWER_CAUSES),
        (decoder.architecture, runs, (*DECODER_CAUSES, *experts)),
    ):
        for cause in causes:
            rest = [other for other in causes if other is not cause]
            assert not all(is_explained(architecture, sides, rest) for sides in recorded), cause.name


def is_explained(architecture: DeepSeekOCRArchitecture, sides: Sides, causes: list[Cause]) -> bool:
    try:
        explain_traffic(architecture.dimension_values(), sides, causes)
    except CountError:
        return False
    return True


def test_causes_have_names_of_their_own_and_texts_in_one_line() -> None:
    causes = (*TOWER_CAUSES, *DECODER_CAUSES, *LOOP_CAUSES, *GROUPED_CAUSES)
    assert len({cause.name for cause in causes}) == len(causes)
    assert all(text.isprintable() and "|" not in text for cause in causes for text in (cause.name, cause.text))
