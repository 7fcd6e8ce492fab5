"""The module graph of the reference model, at the published size and at others; all numbers are counted by hand."""

import math

import pytest
from attrs import asdict, evolve

from modelmeter.graph.module_graph import ModuleGraph, ModuleNode
from modelmeter.models.deepseek_ocr import vision_tokens
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload, trace_reference
from modelmeter.support.errors import TraceError, WorkloadError

PUBLISHED = DeepSeekOCRArchitecture()
SMALL = DeepSeekOCRArchitecture(
    hidden_size=20,
    intermediate_size=22,
    moe_intermediate_size=18,
    num_hidden_layers=5,
    first_k_dense_replace=2,
    num_attention_heads=10,
    num_key_value_heads=5,
    n_routed_experts=4,
    n_shared_experts=1,
    num_experts_per_tok=3,
    vocab_size=51,
    sam_image_size=56,
    sam_patch_size=8,
    sam_hidden_size=24,
    sam_num_hidden_layers=3,
    sam_global_attn_indexes=(1,),
    sam_num_attention_heads=4,
    sam_intermediate_size=26,
    sam_window_size=2,
    sam_neck_channels=6,
    sam_downsample_channels=9,
    clip_image_size=35,
    clip_patch_size=7,
    clip_hidden_size=28,
    clip_num_hidden_layers=2,
    clip_num_attention_heads=4,
    clip_intermediate_size=34,
)
ARCHITECTURES = [
    PUBLISHED,
    SMALL,
    evolve(PUBLISHED, n_routed_experts=1, num_experts_per_tok=1),
    evolve(PUBLISHED, n_routed_experts=64, num_experts_per_tok=64),
    evolve(PUBLISHED, n_routed_experts=15, num_experts_per_tok=4),
    evolve(PUBLISHED, sam_window_size=1),
    # The grids that would be chosen otherwise are those that the position embeddings were trained at.
    evolve(PUBLISHED, sam_image_size=29 * 16 + 3),
    evolve(PUBLISHED, clip_image_size=8 * 14),
    evolve(PUBLISHED, sam_window_size=29, sam_patch_size=14),
    # 7 patches would be those, and 9 would be whole windows.
    evolve(PUBLISHED, sam_window_size=3, sam_image_size=7 * 16 + 3),
]


@pytest.fixture(scope="module")
def graph() -> ModuleGraph:
    return trace_reference(PUBLISHED)


def count_modules(graph: ModuleGraph) -> int:
    """Return how many modules the nodes stand for, repetitions above them included."""
    return sum(times for _, times in spread(graph))


def spread(graph: ModuleGraph) -> list[tuple[ModuleNode, int]]:
    times = {"": 1}
    for node in graph.nodes[1:]:
        parent = graph.parent(node.path)
        assert parent is not None
        times[node.path] = times[parent.path] * node.repetition_count
    return [(node, times[node.path]) for node in graph.nodes]


def repetitions(graph: ModuleGraph) -> dict[str, tuple[str, int]]:
    return {node.path: (node.repetition, node.repetition_count) for node in graph.nodes if node.repetition != "none"}


def test_the_published_model_has_4083_modules_in_91_nodes(graph: ModuleGraph) -> None:
    """Layer by layer, a group counted once.

    * model, LM head, and of the inner model itself, embedding, list of layers, norm: 6
    * attention: itself, four linears, rotary embedding: 6. A dense layer adds itself, two norms, an MLP of 5: 14
    * an MoE layer: itself, two norms, attention 6, MoE, gate, list, shared experts 5, experts of 5: 17 + 5 a piece
    * SAM: itself, patches 2, list, neck 5, two convolutions: 11, and blocks of 10 (two kinds)
    * CLIP: itself, embeddings 3, transformer 2, norm: 7, and blocks of 9 (one kind); projector: 2
    """
    assert len(graph.nodes) == 6 + 14 + (17 + 5) + (11 + 2 * 10) + (7 + 9) + 2 == 91
    assert count_modules(graph) == 6 + 14 + 11 * (17 + 64 * 5) + (11 + 12 * 10) + (7 + 24 * 9) + 2 == 4083


def test_it_has_the_checkpoints_parameters(graph: ModuleGraph) -> None:
    """3,336,106,240 is the sum over the checkpoint's 2,710 tensors."""
    assert graph.root.parameter_count == 3_336_106_240
    assert sum(times * node.own_parameter_count for node, times in spread(graph)) == 3_336_106_240


def test_alike_siblings_are_groups(graph: ModuleGraph) -> None:
    assert repetitions(graph) == {
        "model.layers.1-11": ("for", 11),
        "model.layers.1-11.mlp.experts.0-63": ("parfor", 64),
        "model.sam_model.blocks.0-1,3-4,6-7,9-10": ("for", 8),
        "model.sam_model.blocks.2,5,8,11": ("for", 4),
        "model.vision_model.transformer.layers.0-23": ("for", 24),
    }


def test_experts_share_the_tokens_of_both_runs_evenly(graph: ModuleGraph) -> None:
    """32 pages of 1,135 tokens with 6 experts each, over 64 experts: 3,405; of one token each: 3."""
    expert = graph.node("model.layers.1-11.mlp.experts.0-63")
    assert [(call.run, call.output_shape) for call in expert.calls] == [
        ("prefill", (3405, 1280)),
        ("decode", (3, 1280)),
    ]
    assert 3405 * 64 == 32 * 1135 * 6
    assert 3 * 64 == 32 * 6


def test_the_towers_run_on_tiles_and_on_global_views(graph: ModuleGraph) -> None:
    """464 pixels are 29 patches, 15 and 8 after the convolutions; 688 are 43, 22 and 11; 32 x 15 tiles."""
    for path, outputs in {
        "model.sam_model": [(480, 1024, 8, 8), (32, 1024, 11, 11)],
        "model.sam_model.net_2": [(480, 512, 15, 15), (32, 512, 22, 22)],
        # 29 patches make 3 windows of 14, 43 make 4
        "model.sam_model.blocks.0-1,3-4,6-7,9-10.attn": [(480 * 9, 14, 14, 768), (32 * 16, 14, 14, 768)],
        "model.sam_model.blocks.2,5,8,11.attn": [(480, 29, 29, 768), (32, 43, 43, 768)],
        "model.vision_model": [(480, 1 + 64, 1024), (32, 1 + 121, 1024)],
        "model.projector": [(480, 64, 1280), (32, 121, 1280)],
    }.items():
        assert [(call.run, call.output_shape) for call in graph.node(path).calls] == [
            ("prefill", output) for output in outputs
        ]


def test_the_patch_convolution_of_clip_is_never_called(graph: ModuleGraph) -> None:
    node = graph.node("model.vision_model.embeddings.patch_embedding")
    assert node.calls == ()
    assert node.parameter_count == 1024 * 3 * 14 * 14
    never = [node.path for node in graph.nodes if not node.calls and node.class_name != "ModuleList"]
    assert never == [node.path]


def test_logits_are_for_the_last_positions(graph: ModuleGraph) -> None:
    assert [call.output_shape for call in graph.node("lm_head").calls] == [(32, 7, 129280), (32, 1, 129280)]


def test_tiles_come_before_the_global_view_and_vision_before_the_decoder(graph: ModuleGraph) -> None:
    stages = ["model.embed_tokens", "model.sam_model", "model.vision_model", "model.projector", "model.layers.0"]
    order = [path for path in graph.call_order if path in [*stages, "lm_head"]]
    assert order == [*stages, "lm_head"]


def test_the_graph_knows_its_sizes_and_survives_json(graph: ModuleGraph) -> None:
    assert graph.workload == asdict(TraceWorkload.for_architecture(PUBLISHED))
    assert graph.architecture == PUBLISHED.dimension_values()
    assert graph.lists == {"sam_global_attn_indexes": (2, 5, 8, 11)}
    text = graph.to_json()
    assert ModuleGraph.from_json(text) == graph
    assert ModuleGraph.from_json(text).to_json() == text


def test_another_architecture_has_other_groups() -> None:
    """Two dense layers, three MoE layers of 4 experts, SAM blocks 0 and 2 in windows, two CLIP blocks."""
    small = trace_reference(SMALL)
    assert repetitions(small) == {
        "model.layers.0-1": ("for", 2),
        "model.layers.2-4": ("for", 3),
        "model.layers.2-4.mlp.experts.0-3": ("parfor", 4),
        "model.sam_model.blocks.0,2": ("for", 2),
        "model.vision_model.transformer.layers.0-1": ("for", 2),
    }
    # The same kinds of modules as at the published size; the one global block of SAM is a kind, if not a group.
    assert len(small.nodes) == 91
    assert count_modules(small) == 6 + 2 * 14 + 3 * (17 + 4 * 5) + (11 + 3 * 10) + (7 + 2 * 9) + 2
    assert trace_reference(SMALL).to_json() == small.to_json()


def test_experts_with_uneven_shares_stay_apart() -> None:
    """One page, 3 assignments a token: 47 tokens make 141 = 4 x 35 + 1, one token makes 3, none for the last expert.

    The image is a global view of 40 pixels: 5 patches, a grid of 2, 2 x 3 + 1 = 7 tokens.
    """
    workload = TraceWorkload(
        batch_size=1,
        vision_batch_size=1,
        base_size=40,
        image_size=40,
        num_width_tiles=1,
        num_height_tiles=1,
        seq_len=47,
        logits_tokens=47,
    )
    uneven = trace_reference(SMALL, workload)
    experts = {
        node.members: [call.output_shape[0] for call in node.calls]
        for node in uneven.children("model.layers.2-4.mlp.experts")
    }
    assert experts == {("0",): [36, 1], ("1", "2"): [35, 1], ("3",): [35]}
    assert len(uneven.node("model.sam_model").calls) == 1  # a 1 x 1 grid has no tiles


def test_a_prompt_that_does_not_hold_its_image_is_refused() -> None:
    workload = TraceWorkload(
        batch_size=1,
        vision_batch_size=1,
        base_size=40,
        image_size=40,
        num_width_tiles=0,
        num_height_tiles=0,
        seq_len=6,
        logits_tokens=6,
    )
    with pytest.raises(TraceError, match="image tokens"):
        trace_reference(SMALL, workload)


@pytest.mark.parametrize(
    ("name", "size"),
    [("batch_size", 0), ("base_size", -688), ("seq_len", 11.0), ("num_width_tiles", True), ("logits_tokens", 1136)],
)
def test_a_size_out_of_range_is_refused_by_name(name: str, size: object) -> None:
    with pytest.raises(WorkloadError) as caught:
        evolve(TraceWorkload.for_architecture(PUBLISHED), **{name: size})
    assert caught.value.place == name


def test_the_published_model_is_traced_at_these_sizes() -> None:
    """Image tokens: 11 x 12 + 1 of the global view, (5 x 8) x (3 x 8 + 1) of the tiles: 1,133."""
    assert TraceWorkload.for_architecture(PUBLISHED) == TraceWorkload(
        batch_size=32, vision_batch_size=32, base_size=688, image_size=464, num_width_tiles=3, num_height_tiles=5,
        seq_len=1135, logits_tokens=7,
    )  # fmt: skip


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=range(len(ARCHITECTURES)))
def test_chosen_sizes_take_no_shortcut(architecture: DeepSeekOCRArchitecture) -> None:
    workload = TraceWorkload.for_architecture(architecture)
    # The towers take all pages in one call, of one image in each prompt.
    assert (workload.vision_batch_size, workload.images_per_prompt) == (workload.batch_size, 1)
    sizes = [size for name, size in asdict(workload).items() if name not in ("vision_batch_size", "images_per_prompt")]
    assert len({*sizes, *architecture.dimension_values().values()}) == len(sizes) + len(
        set(architecture.dimension_values().values())
    )
    assert workload.batch_size >= 2
    assert workload.batch_size * architecture.num_experts_per_tok % architecture.n_routed_experts == 0
    grids = [side // architecture.sam_patch_size for side in (workload.image_size, workload.base_size)]
    for grid in grids:
        assert grid % 2 == 1
        assert grid > architecture.sam_window_size
        assert grid % architecture.sam_window_size or architecture.sam_window_size == 1
        assert grid != architecture.sam_image_size // architecture.sam_patch_size
        assert math.ceil(grid / 4) != architecture.clip_image_size // architecture.clip_patch_size
    assert math.ceil(grids[0] / 4) < math.ceil(grids[1] / 4)
    windows = [math.ceil(grid / architecture.sam_window_size) for grid in grids]
    assert 1 < windows[0] < windows[1]
    tokens = vision_tokens.image_tokens(
        workload.base_size, workload.image_size, workload.num_width_tiles, workload.num_height_tiles,
        architecture.sam_patch_size,
    )  # fmt: skip
    assert tokens < workload.seq_len
    assert workload.seq_len % 2 == workload.num_width_tiles % 2 == workload.num_height_tiles % 2 == 1
    assert workload.logits_tokens < workload.seq_len


def test_more_experts_than_can_be_traced_are_refused_before_they_are_built() -> None:
    """39 layers of which 2 are dense, and 1772 experts in each other: 37 x 1772 = 65,564, and 2 ** 16 = 65,536."""
    architecture = evolve(SMALL, num_hidden_layers=39, n_routed_experts=1772)
    with pytest.raises(
        TraceError, match=r"more experts than can be traced; expected at most 65536 .* found 1772 in each of 37"
    ):
        trace_reference(architecture)


@pytest.mark.parametrize(("batch_size", "seq_len"), [(2**40, 2**40 + 1), (3, 2**63 - 1)])
def test_a_cache_that_torch_cannot_hold_is_refused(batch_size: int, seq_len: int) -> None:
    """More bytes than 64 bits count, and one position more than they do: the prompt, whose keys it is made of."""
    workload = evolve(
        TraceWorkload.for_architecture(SMALL), batch_size=batch_size, vision_batch_size=1, seq_len=seq_len
    )
    with pytest.raises(TraceError, match=rf"prefill: the forward fails; .*sizes=\[{batch_size}, {seq_len}\]"):
        trace_reference(SMALL, workload)
