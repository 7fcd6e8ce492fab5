"""The reference model under the counters: on real tensors as on the meta device, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from model_inputs import build_cache, ids_on_meta
from oracle import RESIZED, TINY, UNTILED
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.graph.dtypes import default_dtype
from modelmeter.metrics.cost import Elements
from modelmeter.models.deepseek_ocr.reference import build_reference
from modelmeter.support.errors import TraceError
from modelmeter.verify.counting import ForwardCount, count_forward
from modelmeter.verify.operators import CountedOperator

DTYPES = (torch.bfloat16, torch.float32)


def count_stages(device: str, dtype: torch.dtype) -> list[ForwardCount]:
    """Count a prefill of 67 positions with images, and one step after it."""
    model = build_reference(TINY, expert_routing="even", device=device, dtype=dtype)
    with default_dtype(dtype):
        images = RESIZED.draw(dtype, device)
        cache = build_cache(TINY, 2, 71, like=images.global_views)
        ids = torch.zeros(2, 67, dtype=torch.int64, device=device)
        prefill = count_forward(model, lambda: model(ids, cache, **images.given), cache=cache.tensors)
        cache.make_room()
        return [prefill, count_forward(model, lambda: model(ids[:, :1], cache), cache=cache.tensors)]


def leave_out_statistics(operator: CountedOperator) -> CountedOperator:
    """Return the operator without the statistics of a layer norm.

    Kernels on a CPU write them in the type of the features, and those on other devices in float32.
    """
    if operator.name != "native_layer_norm":
        return operator
    features = operator.reads.activation
    assert operator.writes.float32 + operator.writes.activation > features
    return evolve(operator, writes=Elements(activation=features))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_counters_see_the_same_on_meta_as_on_real_tensors(dtype: torch.dtype) -> None:
    """Operators, paths, elements and FLOPs, where casts really copy and where nothing is cast."""
    meta, real = count_stages("meta", dtype), count_stages("cpu", dtype)
    for ours, theirs in zip(meta, real, strict=True):
        assert list(map(leave_out_statistics, ours.operators)) == list(map(leave_out_statistics, theirs.operators))
    # 4 layers, keys and values: 2 sequences, 2 heads of 4 channels; 67 positions, then one more.
    for counts in (meta, real):
        for count, positions in zip(counts, (67, 68), strict=True):
            assert count.cached_by_path == {
                f"model.layers.{index}.self_attn": 2 * (2 * 2 * positions * 4) for index in range(4)
            }


def test_only_a_model_in_another_type_than_float32_casts_activations() -> None:
    """What is kept in float32, cast there and back; and what is cast in both.

    * A call of SAM: position embeddings to float32 and back, 2; offsets of both axes to indices in 5 blocks, 10; tables
      of both axes to float32 and back in 2 blocks with global attention, 8. Of CLIP: its positions, 2. There are 4
      calls: tiles and global views of two pages.
    * A decoder layer: two norms to float32 and back, 4; positions to numbers, 1; cosines and sines back, 2. A mixture
      of experts, of which there are 2 in 4 layers: what the gate is given and its weight, and all outputs there and
      back, 4.
    * The last norm, 2, and the logits, 1.
    """
    cast, plain = (count_stages("meta", dtype) for dtype in DTYPES)
    decoder = 4 * (4 + 1 + 2) + 2 * 4 + 2 + 1
    assert [count.calls["_to_copy"] for count in cast] == [4 * (2 + 10 + 8 + 2) + decoder, decoder]
    # Offsets and positions.
    assert [count.calls["_to_copy"] for count in plain] == [4 * 10 + 4, 4]
    for narrow, wide in zip(cast, plain, strict=True):
        assert narrow.calls | {"_to_copy": 0} == wide.calls | {"_to_copy": 0}, "nothing else differs"


def test_counted_matrix_flops_are_what_flop_counter_mode_counts_alone() -> None:
    model = build_reference(TINY, expert_routing="even")
    cache = build_cache(TINY, 2, 67)
    images = RESIZED.draw()
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        model(ids_on_meta(2, 67), cache, **images.given)
    assert count_stages("meta", torch.bfloat16)[0].work.tensor_core_flops == flops.get_total_flops()


def test_a_prompt_shorter_than_its_image_tokens_is_refused() -> None:
    model = build_reference(TINY, expert_routing="even")
    page = evolve(UNTILED, batch_size=1)
    # 10 patches a side, then 5, then 3: 3 rows of 3 tokens and a newline, and the separator make 13.
    message = "shorter than its image tokens; expected at least 13 positions for them; found 12"
    with pytest.raises(TraceError, match=message):
        model(ids_on_meta(1, 12), build_cache(TINY, 1, 12), **page.draw().given)
    # The second of two images has what the first leaves over.
    two = evolve(page, images_per_prompt=2)
    with pytest.raises(TraceError, match="at least 13 positions for them; found 11"):
        model(ids_on_meta(1, 24), build_cache(TINY, 1, 24), **two.draw().given)
    model(ids_on_meta(1, 26), build_cache(TINY, 1, 26), **two.draw().given)
