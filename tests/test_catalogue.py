"""The layer catalogue: every layer class that the model calls, once, in its own sizes."""

from __future__ import annotations

import pytest
from attrs import evolve

from modelmeter.analysis.bind import BoundCall, BoundModule
from modelmeter.analysis.catalogue import LayerEntry, build_catalogue
from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import compile_model
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import divide
from modelmeter.dimensions.symbols import names_of
from modelmeter.graph.module_node import ModuleNode
from modelmeter.layers.activation import SiLU
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import FormulaError

# The vendor's classes that are called as modules, torch's own, and the LM head, which is a Linear.
NAMES = {
    "deepseek_ocr_for_causal_lm", "deepseek_ocr_model", "lm_head",
    "attention", "block", "clip_vision_embeddings", "image_encoder_vit", "layer_norm2d", "mlp_block", "mlp_projector",
    "notp_attention", "notp_feedforward", "notp_transformer", "notp_transformer_block", "patch_embed", "vit_model",
    "deepseek_v2_decoder_layer", "deepseek_v2_mlp", "deepseek_v2_moe", "deepseek_v2_rms_norm", "moe_gate",
    "llama_flash_attention2", "llama_rotary_embedding",
    "linear", "conv2d", "layer_norm", "embedding", "gelu", "silu",
}  # fmt: skip


SHALLOW = {
    "num_hidden_layers": 1, "sam_num_hidden_layers": 2, "sam_global_attn_indexes": (), "clip_num_hidden_layers": 1
}  # fmt: skip


def by_name(model: CompiledModel) -> dict[str, LayerEntry]:
    return {entry.name: entry for entry in model.catalogue}


def test_it_has_every_class_of_the_model_once_and_no_container(published: CompiledModel) -> None:
    names = [entry.name for entry in published.catalogue]
    assert len(names) == len(set(names))
    assert set(names) == NAMES
    called = {node.class_name for node in published.graph.nodes} - {"ModuleList", "Sequential"}
    assert {entry.class_name for entry in published.catalogue} == called


@pytest.mark.parametrize("model", ["published", "other"])
def test_the_formula_in_its_own_sizes_is_that_of_its_place_in_the_model(
    model: str, request: pytest.FixtureRequest
) -> None:
    """At the sizes of the first call that it describes, under the default workload."""
    compiled: CompiledModel = request.getfixturevalue(model)
    for entry in compiled.catalogue:
        assert entry.sizes.keys() == {name for metric in METRICS for name in names_of(entry.cost[metric])}
        seen = {metric: evaluate(entry.cost[metric], entry.sizes) for metric in METRICS}
        places = [
            {metric: evaluate(call.layer.cost[metric], compiled.defaults) for metric in METRICS}
            for bound in compiled.model.walk()
            for call in bound.calls
            if type(call.layer) is type(entry.layer) and call.layer.flags == entry.layer.flags
        ]
        assert seen == places[0], entry.name


def test_of_two_forms_the_canonical_one_is_shown_at_a_place_that_has_it(published: CompiledModel) -> None:
    """The decoder's linear layers come first but have no bias; SAM's first is from 768 channels to 3 x 768."""
    entries = by_name(published)
    assert entries["linear"].layer.bias
    assert (entries["linear"].sizes["in_features"], entries["linear"].sizes["out_features"]) == (768, 3 * 768)
    assert entries["deepseek_v2_decoder_layer"].layer.is_sparse
    assert not entries["lm_head"].layer.bias


def test_a_class_occurs_as_often_as_it_is_called(published: CompiledModel) -> None:
    """Counted by hand, for a page with tiles: SAM, CLIP and the projector are called twice."""
    calls = {
        name: [
            sum(evaluate(each.times, published.defaults) for each in entry.occurrences if each.run == run)
            for run in ("prefill", "decode")
        ]
        for name, entry in by_name(published).items()
    }
    # patches, two in the neck, two with stride 2; CLIP's own is stored but never called.
    assert calls["conv2d"] == [2 * 5, 0]
    assert calls["block"] == calls["attention"] == calls["mlp_block"] == calls["gelu"] == [2 * 12, 0]
    assert calls["layer_norm2d"] == [2 * 2, 0]
    assert calls["notp_transformer_block"] == calls["notp_attention"] == [2 * 24, 0]
    # two in each block of SAM and of CLIP, and one before CLIP's blocks
    assert calls["layer_norm"] == [2 * (2 * 12 + 2 * 24 + 1), 0]
    # the tokens, and CLIP's positions
    assert calls["embedding"] == [1 + 2, 1]
    assert calls["llama_flash_attention2"] == calls["llama_rotary_embedding"] == [12, 12]
    assert calls["deepseek_v2_moe"] == calls["moe_gate"] == [11, 11]
    # one dense MLP; 64 experts and the shared ones in each of 11 layers
    assert calls["deepseek_v2_mlp"] == calls["silu"] == [1 + 11 * 65, 1 + 11 * 65]
    # two in each layer, and one at the end
    assert calls["deepseek_v2_rms_norm"] == [25, 25]
    # SAM 4 a block, CLIP 4 a block, the projector; decoder 4 a layer and 3 an MLP; the LM head is an entry of its own
    decoder = 12 * 4 + 3 * (1 + 11 * 65)
    assert calls["linear"] == [2 * (12 * 4 + 24 * 4 + 1) + decoder, decoder]
    assert calls["lm_head"] == [1, 1]


def test_occurrences_name_places_of_the_graph_and_their_stage(published: CompiledModel) -> None:
    places = {(node.path, run) for node in published.graph.nodes for run in ("prefill", "decode")}
    for entry in published.catalogue:
        assert {(each.path, each.run) for each in entry.occurrences} <= places
    stages = {(each.path, each.stage) for each in by_name(published)["linear"].occurrences}
    assert ("model.projector.layers", "projector") in stages
    assert ("model.layers.0.mlp.gate_proj", "prefill") in stages
    assert ("model.layers.0.mlp.gate_proj", "decode") in stages
    assert ("model.vision_model.transformer.layers.0-23.mlp.fc1", "vision") in stages


def test_without_a_dense_layer_the_shared_experts_give_whole_sizes(other_architecture: DeepSeekOCRArchitecture) -> None:
    """The first MLP is then an expert, and 7 of them share 4 experts a token of the default prompt unevenly."""
    sparse = evolve(other_architecture, **SHALLOW, first_k_dense_replace=0, n_routed_experts=7, n_shared_experts=3)
    compiled = compile_model(sparse)
    assert (compiled.defaults["seq_len"] * 4) % 7 != 0
    entry = by_name(compiled)["deepseek_v2_mlp"]
    assert entry.sizes["intermediate_size"] == 3 * sparse.moe_intermediate_size
    assert entry.sizes["num_tokens"] == compiled.defaults["seq_len"]


def test_without_experts_the_decoder_layer_is_a_dense_one(other_architecture: DeepSeekOCRArchitecture) -> None:
    dense = evolve(other_architecture, **SHALLOW, first_k_dense_replace=1)
    entries = by_name(compile_model(dense))
    assert not NAMES - entries.keys() - {"deepseek_v2_moe", "moe_gate"}
    assert "intermediate_size" in entries["deepseek_v2_decoder_layer"].sizes


def test_a_layer_that_has_no_call_of_whole_sizes_is_refused() -> None:
    layer = SiLU(shape=(divide(symbol("seq_len"), 2), 5))
    node = ModuleNode(
        path="", members=("",), class_name="SiLU", qualified_class_name="net.SiLU", parameter_count=0,
        own_parameter_count=0, calls=(), repetition="none", repetition_count=1, is_torch_builtin=False,
    )  # fmt: skip
    model = BoundModule(node=node, layer=layer, count=1, calls=(BoundCall(run="prefill", layer=layer),), children=())
    with pytest.raises(FormulaError, match="SiLU: no call of this layer has whole sizes"):
        build_catalogue(model, {"seq_len": 7}, lambda run, path: run)
    (entry,) = build_catalogue(model, {"seq_len": 8}, lambda run, path: run)
    assert (entry.sizes["num_tokens"], entry.sizes["hidden_size"]) == (4, 5)
