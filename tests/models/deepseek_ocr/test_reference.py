"""The reference model: its state is the checkpoint's, and it computes what an independent implementation computes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from attrs import evolve
from model_inputs import Images, Page, build_cache, ids_on_meta, record_calls
from oracle import IMAGE_TOKEN, NATIVE, RESIZED, TINY, UNTILED, build_oracle, copy_weights
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import UnlimitedOcrForConditionalGeneration

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference import DeepseekOCRForCausalLM, build_reference
from modelmeter.models.deepseek_ocr.reference_decoder import ExpertRouting

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


def build_both(page: Page) -> tuple[DeepseekOCRForCausalLM, UnlimitedOcrForConditionalGeneration, Images]:
    """Build both implementations with the same weights, and draw the views of the pages."""
    reference = build_real(torch.float64)
    oracle = build_oracle(
        TINY, image_token_id=IMAGE_TOKEN, experts_implementation="eager", device="cpu", dtype=torch.float64
    )
    copy_weights(reference, oracle)
    return reference, oracle, page.draw(torch.float64, "cpu")


def encode(reference: DeepseekOCRForCausalLM, images: Images) -> Tensor:
    """Return the image tokens of every prompt, from calls of the towers one after the other."""
    page, views = images.page, iter(images.calls)
    calls = []
    for _ in range(page.batch_size // page.vision_batch_size):
        given = [reference.model.encode_pages(views, images.given["tile_grid"]) for _ in range(page.images_per_prompt)]
        calls.append(torch.cat(given, dim=1))
    return torch.cat(calls)


@pytest.mark.parametrize(
    "page",
    [
        evolve(page, vision_batch_size=pages, images_per_prompt=images)
        for page in (RESIZED, NATIVE, UNTILED)
        for pages, images in ((1, 1), (2, 1), (1, 2), (2, 2))
    ],
    ids=str,
)
def test_features_logits_and_cached_steps_equal_the_independent_implementation(page: Page) -> None:
    """Real routing to every expert, batch 2, fewer key/value heads than query heads; the towers call by call."""
    reference, oracle, images = build_both(page)
    with torch.no_grad():
        image_tokens = encode(reference, images)
        expected = torch.stack(oracle.get_image_features(**images.for_oracle).pooler_output)
        torch.testing.assert_close(image_tokens, expected.view(image_tokens.shape), **FLOAT32_ROUNDING)
        tokens = page.count_tokens(TINY.sam_patch_size)
        assert image_tokens.shape[1] == tokens

        seq_len = tokens + 31
        ids = torch.randint(0, 50, (2, seq_len + 2))
        ids[:, :tokens] = IMAGE_TOKEN
        prompt = ids[:, :seq_len]
        called = record_calls(reference, r".*\.experts\.\d+")
        cache = build_cache(TINY, 2, seq_len + 2, like=images.global_views)
        logits = reference(prompt, cache, **images.given)
        output = oracle(input_ids=prompt, use_cache=True, **images.for_oracle)
        torch.testing.assert_close(logits, output.logits, **FLOAT32_ROUNDING)
        assert len(called) == 2 * 7, "two layers of seven experts; one without a token would go untested"

        cache.make_room()
        for position in (seq_len, seq_len + 1):
            step = ids[:, position : position + 1]
            output = oracle(input_ids=step, past_key_values=output.past_key_values, use_cache=True)
            torch.testing.assert_close(reference(step, cache), output.logits, **FLOAT32_ROUNDING)
    assert cache.length == seq_len + 2


def test_images_may_stand_behind_other_tokens() -> None:
    """As behind the token that begins a sequence."""
    page = evolve(RESIZED, images_per_prompt=2)
    reference, oracle, images = build_both(page)
    tokens = page.count_tokens(TINY.sam_patch_size)
    ids = torch.randint(0, 50, (2, tokens + 11))
    ids[:, 3 : 3 + tokens] = IMAGE_TOKEN
    with torch.no_grad():
        cache = build_cache(TINY, 2, tokens + 11, like=images.global_views)
        hidden = reference.model(ids, cache, **images.given, image_start=3)
        expected = oracle.model(input_ids=ids, **images.for_oracle).last_hidden_state
    torch.testing.assert_close(hidden, expected, **FLOAT32_ROUNDING)


def test_pages_that_share_a_call_have_the_features_of_pages_that_do_not() -> None:
    """Views are not mixed up, neither of pages nor of prompts: here each has its own."""
    reference, _, images = build_both(evolve(RESIZED, batch_size=6, images_per_prompt=3))
    with torch.no_grad():
        apart, *others = (
            encode(reference, evolve(images, page=evolve(images.page, vision_batch_size=pages)))
            for pages in (1, 2, 3, 6)
        )
    for together in others:
        torch.testing.assert_close(together, apart, **FLOAT32_ROUNDING)
    flat = apart.view(18, -1)
    distances = torch.cdist(flat, flat) + 1e3 * torch.eye(18)
    assert distances.min() > 1.0, "no two images have the same tokens"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_only_the_last_positions_get_logits_on_request(dtype: torch.dtype) -> None:
    """In float32, whatever the model computes with."""
    reference = build_real(dtype)
    ids = torch.randint(0, 50, (2, 11))
    like = torch.zeros(0, dtype=dtype)
    with torch.no_grad():
        everything = reference(ids, build_cache(TINY, 2, 11, like=like))
        last = reference(ids, build_cache(TINY, 2, 11, like=like), logits_tokens=3)
    assert everything.dtype == last.dtype == torch.float32
    # The same products in another order: a few units in the last place.
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(last, everything[:, -3:], rtol=tolerance, atol=tolerance / 10)


def count_matrix_flops(forward: Callable[[], object]) -> tuple[int, object]:
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        result = forward()
    return flops.get_total_flops(), result


@pytest.mark.parametrize(
    ("architecture", "page", "seq_len"),
    [
        (TINY, evolve(RESIZED, batch_size=3, images_per_prompt=2), 17),
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
    images = page.draw()
    vision, _ = count_matrix_flops(lambda: encode(reference, images))
    oracle_vision, _ = count_matrix_flops(lambda: oracle.get_image_features(**images.for_oracle))
    assert vision == oracle_vision

    # Prefill, then one step: (head_dim / 2 frequencies) x (positions), 2 FLOPs each, per layer and sequence.
    cache, past = build_cache(architecture, page.batch_size, seq_len + 2), None
    head_dim = architecture.hidden_size // architecture.num_attention_heads
    for positions in (seq_len, 1):
        ids = ids_on_meta(page.batch_size, positions)
        ours, _ = count_matrix_flops(lambda ids=ids: reference(ids, cache))
        cache.make_room()
        theirs, output = count_matrix_flops(lambda ids=ids, past=past: oracle(input_ids=ids, past_key_values=past))
        past = output.past_key_values
        assert ours - theirs == architecture.num_hidden_layers * page.batch_size * positions * head_dim


@pytest.mark.parametrize(("side", "flops"), [(640, 388_149_837_824), (1024, 1_139_967_033_344)])
def test_published_matrix_flops_of_one_view(side: int, flops: int) -> None:
    """Two anchors, measured elsewhere, through SAM, CLIP and the projector."""
    model = build_reference(PUBLISHED, expert_routing="even").model
    view = torch.empty(1, 3, side, side, dtype=torch.bfloat16, device="meta")
    assert count_matrix_flops(lambda: model.encode_views(view))[0] == flops
