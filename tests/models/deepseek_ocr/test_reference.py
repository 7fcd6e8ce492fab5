"""The reference model: its state is the checkpoint's, and it computes what an independent implementation computes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from attrs import evolve
from model_inputs import Page, build_cache, ids_on_meta, record_calls
from oracle import IMAGE_TOKEN, NATIVE, RESIZED, TINY, UNTILED, build_oracle, copy_weights
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.errors import TraceError
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference import DeepseekOCRForCausalLM, build_reference
from modelmeter.models.deepseek_ocr.reference_decoder import ExpertRouting
from modelmeter.verify.counting import ForwardCount, count_forward

PUBLISHED = DeepSeekOCRArchitecture()


def build_real(dtype: torch.dtype, routing: ExpertRouting = "learned") -> DeepseekOCRForCausalLM:
    """Build the tiny model with random weights everywhere, also where training starts from zeros or ones."""
    torch.manual_seed(7)
    model = build_reference(TINY, expert_routing=routing, device="cpu", dtype=dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
        model.model.embed_tokens.weight.normal_(std=2.0)  # tokens unlike each other choose unlike experts
    return model


# --- the state ---------------------------------------------------------------------------------------------


def test_the_state_has_the_names_and_shapes_of_the_checkpoint() -> None:
    """2,710 tensors with 3,336,106,240 elements; N stands for the number of a layer, block or expert."""
    state = build_reference(PUBLISHED, expert_routing="even").state_dict()
    assert len(state) == 2710
    assert sum(tensor.numel() for tensor in state.values()) == 3_336_106_240
    rules = Counter((re.sub(r"(?<=\.)\d+(?=\.)", "N", name), tuple(tensor.shape)) for name, tensor in state.items())
    sam, clip, layer = "model.sam_model", "model.vision_model", "model.layers.N"
    block, encoder = f"{sam}.blocks.N", f"{clip}.transformer.layers.N"
    assert rules == {
        ("lm_head.weight", (129280, 1280)): 1,
        ("model.embed_tokens.weight", (129280, 1280)): 1,
        ("model.image_newline", (1280,)): 1,
        ("model.view_seperator", (1280,)): 1,
        ("model.norm.weight", (1280,)): 1,
        ("model.projector.layers.weight", (1280, 2048)): 1,
        ("model.projector.layers.bias", (1280,)): 1,
        # the decoder: 12 layers, the first one dense, 64 experts in each of the other 11
        **{(f"{layer}.{norm}_layernorm.weight", (1280,)): 12 for norm in ("input", "post_attention")},
        **{(f"{layer}.self_attn.{letter}_proj.weight", (1280, 1280)): 12 for letter in "qkvo"},
        **{(f"{layer}.mlp.{name}_proj.weight", (6848, 1280)): 1 for name in ("gate", "up")},
        (f"{layer}.mlp.down_proj.weight", (1280, 6848)): 1,
        (f"{layer}.mlp.gate.weight", (64, 1280)): 11,
        **{(f"{layer}.mlp.shared_experts.{name}_proj.weight", (1792, 1280)): 11 for name in ("gate", "up")},
        (f"{layer}.mlp.shared_experts.down_proj.weight", (1280, 1792)): 11,
        **{(f"{layer}.mlp.experts.N.{name}_proj.weight", (896, 1280)): 704 for name in ("gate", "up")},
        (f"{layer}.mlp.experts.N.down_proj.weight", (1280, 896)): 704,
        # SAM: 12 blocks, 4 of them with global attention
        (f"{sam}.patch_embed.proj.weight", (768, 3, 16, 16)): 1,
        (f"{sam}.patch_embed.proj.bias", (768,)): 1,
        (f"{sam}.pos_embed", (1, 64, 64, 768)): 1,
        **{(f"{block}.norm{i}.{kind}", (768,)): 12 for i in (1, 2) for kind in ("weight", "bias")},
        (f"{block}.attn.qkv.weight", (2304, 768)): 12,
        (f"{block}.attn.qkv.bias", (2304,)): 12,
        (f"{block}.attn.proj.weight", (768, 768)): 12,
        (f"{block}.attn.proj.bias", (768,)): 12,
        **{(f"{block}.attn.rel_pos_{axis}", (127, 64)): 4 for axis in "hw"},
        **{(f"{block}.attn.rel_pos_{axis}", (27, 64)): 8 for axis in "hw"},
        (f"{block}.mlp.lin1.weight", (3072, 768)): 12,
        (f"{block}.mlp.lin1.bias", (3072,)): 12,
        (f"{block}.mlp.lin2.weight", (768, 3072)): 12,
        (f"{block}.mlp.lin2.bias", (768,)): 12,
        (f"{sam}.neck.N.weight", (256, 768, 1, 1)): 1,
        (f"{sam}.neck.N.weight", (256, 256, 3, 3)): 1,
        (f"{sam}.neck.N.weight", (256,)): 2,
        (f"{sam}.neck.N.bias", (256,)): 2,
        (f"{sam}.net_2.weight", (512, 256, 3, 3)): 1,
        (f"{sam}.net_3.weight", (1024, 512, 3, 3)): 1,
        # CLIP: 24 layers, and a patch convolution that nothing calls
        (f"{clip}.embeddings.class_embedding", (1024,)): 1,
        (f"{clip}.embeddings.patch_embedding.weight", (1024, 3, 14, 14)): 1,
        (f"{clip}.embeddings.position_embedding.weight", (257, 1024)): 1,
        **{(f"{clip}.pre_layrnorm.{kind}", (1024,)): 1 for kind in ("weight", "bias")},
        **{(f"{encoder}.layer_norm{i}.{kind}", (1024,)): 24 for i in (1, 2) for kind in ("weight", "bias")},
        (f"{encoder}.self_attn.qkv_proj.weight", (3072, 1024)): 24,
        (f"{encoder}.self_attn.qkv_proj.bias", (3072,)): 24,
        (f"{encoder}.self_attn.out_proj.weight", (1024, 1024)): 24,
        (f"{encoder}.self_attn.out_proj.bias", (1024,)): 24,
        (f"{encoder}.mlp.fc1.weight", (4096, 1024)): 24,
        (f"{encoder}.mlp.fc1.bias", (4096,)): 24,
        (f"{encoder}.mlp.fc2.weight", (1024, 4096)): 24,
        (f"{encoder}.mlp.fc2.bias", (1024,)): 24,
    }
    # Which of the numbered ones: the first decoder layer is dense, SAM's blocks 2, 5, 8, 11 are global.
    assert "model.layers.0.mlp.gate_proj.weight" in state
    assert {name.split(".")[2] for name in state if ".experts." in name} == {str(i) for i in range(1, 12)}
    assert [i for i in range(12) if state[f"{sam}.blocks.{i}.attn.rel_pos_h"].shape[0] == 127] == [2, 5, 8, 11]
    assert [state[f"{sam}.neck.{i}.weight"].ndim for i in range(4)] == [4, 1, 4, 1]


# --- against the independent implementation ----------------------------------------------------------------


# Everything runs in float64, but both implementations round to float32 on the way: norms, rotary angles and
# routing weights in both, resized relative positions and the sum over experts only in the reference. Values are
# of the order of 1 to 10, so a correct pair differs by units in float32's last place (at most 2e-7 was seen); an
# epsilon of 1e-5 instead of 1e-6 in SAM's norms, the smallest slip that we could think of, shows as 2e-6.
FLOAT32_ROUNDING = {"rtol": 0.0, "atol": 4 * torch.finfo(torch.float32).eps, "check_dtype": False}


@pytest.mark.parametrize("page", [RESIZED, NATIVE, UNTILED], ids=["resized", "native", "untiled"])
def test_features_logits_and_a_cached_step_equal_the_independent_implementation(page: Page) -> None:
    """Real routing to every expert, batch 2, fewer key/value heads than query heads."""
    reference = build_real(torch.float64)
    oracle = build_oracle(
        TINY, image_token_id=IMAGE_TOKEN, experts_implementation="eager", device="cpu", dtype=torch.float64
    )
    copy_weights(reference, oracle)
    views, tiles = page.draw(torch.float64, "cpu")
    images = {"pixel_values": views, "pixel_values_local": tiles, **page.grids}
    with torch.no_grad():
        image_tokens = reference.model.encode_images(views, tiles, page.num_width_tiles)
        expected_tokens = torch.stack(oracle.get_image_features(**images).pooler_output)
        torch.testing.assert_close(image_tokens, expected_tokens, **FLOAT32_ROUNDING)

        seq_len = image_tokens.shape[1] + 31
        ids = torch.randint(0, 50, (2, seq_len + 2))
        ids[:, : image_tokens.shape[1]] = IMAGE_TOKEN
        prompt = ids[:, :seq_len]
        called = record_calls(reference, r".*\.experts\.\d+")
        cache = build_cache(TINY, 2, seq_len + 2, like=views)
        logits = reference(prompt, cache, views, tiles, page.num_width_tiles)
        output = oracle(input_ids=prompt, use_cache=True, **images)
        torch.testing.assert_close(logits, output.logits, **FLOAT32_ROUNDING)
        assert len(called) == 2 * 7, "two layers of seven experts; one without a token would go untested"

        for position in (seq_len, seq_len + 1):
            step = ids[:, position : position + 1]
            output = oracle(input_ids=step, past_key_values=output.past_key_values, use_cache=True)
            torch.testing.assert_close(reference(step, cache), output.logits, **FLOAT32_ROUNDING)
    assert cache.length == seq_len + 2


def test_only_the_last_positions_get_logits_on_request() -> None:
    reference = build_real(torch.float32)
    ids = torch.randint(0, 50, (2, 11))
    like = torch.zeros(0)
    with torch.no_grad():
        everything = reference(ids, build_cache(TINY, 2, 11, like=like))
        last = reference(ids, build_cache(TINY, 2, 11, like=like), logits_tokens=3)
    # The same products in another order: a few units in the last place.
    torch.testing.assert_close(last, everything[:, -3:], rtol=1e-5, atol=1e-6)


def count_matrix_flops(forward: Callable[[], object]) -> tuple[int, object]:
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        result = forward()
    return flops.get_total_flops(), result


@pytest.mark.parametrize(
    ("architecture", "page", "seq_len"),
    [
        (TINY, evolve(RESIZED, batch_size=3), 17),
        (
            evolve(TINY, num_key_value_heads=3, n_routed_experts=5, num_hidden_layers=3),
            evolve(NATIVE, batch_size=1),
            19,
        ),
        (PUBLISHED, Page(1024, 640, 2, 3), 913),
    ],
    ids=["tiny", "other", "published"],
)
def test_matrix_flops_equal_the_independent_implementation(
    architecture: DeepSeekOCRArchitecture, page: Page, seq_len: int
) -> None:
    """Only the rotary angles differ: the reference multiplies matrices, once a layer, where the oracle does not."""
    reference = build_reference(architecture, expert_routing="even")
    # batched_mm runs every pair of a token and its expert; the default grouped_mm would count as 0.
    oracle = build_oracle(
        architecture, image_token_id=0, experts_implementation="batched_mm", device="meta", dtype=torch.bfloat16
    )
    views, tiles = page.draw()
    vision, _ = count_matrix_flops(lambda: reference.model.encode_images(views, tiles, page.num_width_tiles))
    oracle_vision, _ = count_matrix_flops(
        lambda: oracle.get_image_features(pixel_values=views, pixel_values_local=tiles, **page.grids)
    )
    assert vision == oracle_vision

    # Prefill, then one step: (head_dim / 2 frequencies) x (positions), 2 FLOPs each, per layer and sequence.
    cache, past = build_cache(architecture, page.batch_size, seq_len + 1), None
    head_dim = architecture.hidden_size // architecture.num_attention_heads
    for positions in (seq_len, 1):
        ids = ids_on_meta(page.batch_size, positions)
        ours, _ = count_matrix_flops(lambda ids=ids: reference(ids, cache))
        theirs, output = count_matrix_flops(lambda ids=ids, past=past: oracle(input_ids=ids, past_key_values=past))
        past = output.past_key_values
        assert ours - theirs == architecture.num_hidden_layers * page.batch_size * positions * head_dim


@pytest.mark.parametrize(("side", "flops"), [(640, 388_149_837_824), (1024, 1_139_967_033_344)])
def test_published_matrix_flops_of_one_view(side: int, flops: int) -> None:
    """Two anchors, measured elsewhere, through SAM, CLIP and the projector."""
    model = build_reference(PUBLISHED, expert_routing="even").model
    view = torch.empty(1, 3, side, side, dtype=torch.bfloat16, device="meta")
    assert count_matrix_flops(lambda: model.encode_views(view))[0] == flops


# --- under the counters ------------------------------------------------------------------------------------


def count_stages(device: str, dtype: torch.dtype) -> list[ForwardCount]:
    """Count a prefill of 67 positions with images, and one step after it."""
    model = build_reference(TINY, expert_routing="even", device=device, dtype=dtype)
    views, tiles = RESIZED.draw(dtype, device)
    cache = build_cache(TINY, 2, 71, like=views)
    ids = torch.zeros(2, 67, dtype=torch.int64, device=device)
    return [
        count_forward(model, forward, cache=[*cache.keys, *cache.values])
        for forward in (
            lambda: model(ids, cache, views, tiles, RESIZED.num_width_tiles),
            lambda: model(ids[:, :1], cache),
        )
    ]


def test_the_counters_see_the_same_on_meta_as_on_real_tensors() -> None:
    """Operators, paths, elements and FLOPs; also in another precision, where casts really copy."""
    meta = count_stages("meta", torch.bfloat16)
    assert [count.operators for count in count_stages("cpu", torch.float32)] == [count.operators for count in meta]
    # 4 layers, keys and values: 2 sequences, 2 heads of 4 channels; 67 positions, then one more.
    assert [count.cached_shapes for count in meta] == [((2, 2, 67, 4),) * 8, ((2, 2, 68, 4),) * 8]


def test_counted_matrix_flops_are_what_flop_counter_mode_counts_alone() -> None:
    model = build_reference(TINY, expert_routing="even")
    cache = build_cache(TINY, 2, 67)
    views, tiles = RESIZED.draw()
    alone, _ = count_matrix_flops(lambda: model(ids_on_meta(2, 67), cache, views, tiles, RESIZED.num_width_tiles))
    assert count_stages("meta", torch.bfloat16)[0].work.tensor_core_flops == alone


def test_a_prompt_shorter_than_its_image_tokens_is_refused() -> None:
    model = build_reference(TINY, expert_routing="even")
    views, _ = evolve(UNTILED, batch_size=1).draw()
    # 10 patches a side, then 5, then 3: 3 rows of 3 tokens and a newline, and the separator make 13.
    with pytest.raises(TraceError, match="shorter than its image tokens; expected at least 13 positions; found 12"):
        model(ids_on_meta(1, 12), build_cache(TINY, 1, 12), views)
