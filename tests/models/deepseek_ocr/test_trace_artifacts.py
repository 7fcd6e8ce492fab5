"""The files of a TorchInfo run say what the torch modules hold, and equal runs give equal files."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from torch import nn

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.trace_artifacts import trace_artifacts
from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload, prepare_runs
from modelmeter.support.errors import TraceError

Files = dict[str, str]


@pytest.fixture(scope="module")
def workload(other_architecture: DeepSeekOCRArchitecture) -> TraceWorkload:
    return TraceWorkload.for_architecture(other_architecture)


@pytest.fixture(scope="module")
def model(other_architecture: DeepSeekOCRArchitecture, workload: TraceWorkload) -> nn.Module:
    return prepare_runs(other_architecture, workload)[0]


@pytest.fixture(scope="module")
def files(other_architecture: DeepSeekOCRArchitecture, workload: TraceWorkload) -> Files:
    return trace_artifacts(other_architecture, workload)


@pytest.fixture
def unique(files: Files) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(files["torchinfo-unique-layers.json"])
    return document


def layer_of(unique: dict[str, Any], name: str) -> dict[str, Any]:
    (layer,) = (layer for layer in unique["layers"] if layer["class_name"] == name)
    return layer


def test_there_are_five_files(files: Files) -> None:
    assert list(files) == [
        "torchinfo-summary.txt", "torchinfo-layers.json", "torchinfo-unique-layers.json",
        "torchinfo-unique-layers.md", "torchinfo-stages.json",
    ]  # fmt: skip


def test_the_unique_layers_have_the_published_keys(
    unique: dict[str, Any], workload: TraceWorkload, model: nn.Module
) -> None:
    assert list(unique) == [
        "generated_at", "model_path", "device", "base_size", "image_size", "seq_len", "crop_mode", "depth",
        "total_params", "total_macs", "num_unique_layers", "layers",
    ]  # fmt: skip
    assert all(
        list(layer) == [
            "class_name", "class_name_qualified", "var_name", "instance_name", "filepaths", "is_torch_builtin",
            "count", "parents", "children",
        ]
        for layer in unique["layers"]
    )  # fmt: skip
    assert (unique["device"], unique["crop_mode"], unique["seq_len"]) == ("meta", True, workload.seq_len)
    assert (unique["base_size"], unique["image_size"]) == (workload.base_size, workload.image_size)
    assert unique["total_params"] == sum(parameter.numel() for parameter in model.parameters())
    # model.layers.4.mlp.experts.10.gate_proj: seven names below the root.
    assert unique["depth"] == 7


def test_every_module_is_counted_once(unique: dict[str, Any], model: nn.Module) -> None:
    """Also the CLIP patch convolution, which nothing calls and TorchInfo does not see."""
    counts = Counter(type(module).__name__ for module in model.modules())
    assert {layer["class_name"]: layer["count"] for layer in unique["layers"]} == counts
    assert unique["num_unique_layers"] == len(counts)
    names = {name for name, _ in model.named_modules()} - {""} | {"DeepseekOCRForCausalLM"}
    listed = [name for layer in unique["layers"] for name in layer["instance_name"]]
    assert sorted(listed) == sorted(names)
    assert "model.vision_model.embeddings.patch_embedding" in layer_of(unique, "Conv2d")["instance_name"]


def test_a_class_knows_its_names_and_its_neighbours(unique: dict[str, Any]) -> None:
    gate = layer_of(unique, "MoEGate")
    models = "modelmeter.models.deepseek_ocr"
    assert gate["class_name_qualified"] == f"{models}.reference_decoder.MoEGate"
    # 5 layers, of which 2 are dense.
    assert (gate["count"], gate["var_name"], gate["is_torch_builtin"]) == (3, ["gate"], False)
    assert gate["filepaths"] == ["modelmeter/models/deepseek_ocr/reference_decoder.py"]
    assert (gate["parents"], gate["children"]) == ([f"{models}.reference_decoder.DeepseekV2MoE"], [])
    linear = layer_of(unique, "Linear")
    assert (linear["is_torch_builtin"], linear["filepaths"]) == (True, ["torch/nn/modules/linear.py"])
    assert layer_of(unique, "DeepseekOCRForCausalLM")["children"] == [
        f"{models}.reference.DeepseekOCRModel", "torch.nn.modules.linear.Linear"
    ]  # fmt: skip


def test_every_call_is_listed_with_its_run_and_stage(files: Files, workload: TraceWorkload) -> None:
    rows = json.loads(files["torchinfo-layers.json"])["layers"]
    heads = [row for row in rows if row["path"] == "lm_head"]
    assert [(row["run"], row["stage"]) for row in heads] == [("prefill", "prefill"), ("decode", "decode")]
    assert heads[0]["input_size"] == [workload.batch_size, workload.logits_tokens, 84]
    assert heads[1]["output_size"] == [workload.batch_size, 1, 211]
    towers = [row for row in rows if row["path"] == "model.sam_model"]
    assert [row["stage"] for row in towers] == ["vision", "vision"], "once for the tiles, once for the page"
    assert {row["depth"] for row in towers} == {2}


def test_the_stages_have_their_classes(files: Files) -> None:
    stages = json.loads(files["torchinfo-stages.json"])["stages"]
    seen = {(each["stage"], each["class_name_qualified"].rpartition(".")[2]): each for each in stages}
    assert {stage for stage, _ in seen} == {"vision", "projector", "prefill", "decode"}
    # 8 blocks, each on the tiles and on the page; 3 sparse layers, each once in a run.
    assert (seen["vision", "Block"]["modules"], seen["vision", "Block"]["calls"]) == (8, 16)
    assert (seen["decode", "MoEGate"]["modules"], seen["decode", "MoEGate"]["calls"]) == (3, 3)
    assert ("decode", "Block") not in seen
    assert ("projector", "MlpProjector") in seen


def test_the_summary_is_torchinfos_own_table_of_both_runs(files: Files) -> None:
    text = files["torchinfo-summary.txt"]
    assert text.count("Total params:") == 2
    assert "MoEGate (gate)" in text
    assert text.index("prefill\n") < text.index("decode\n")


def test_the_markdown_has_a_line_for_each_class(files: Files, unique: dict[str, Any]) -> None:
    lines = files["torchinfo-unique-layers.md"].splitlines()
    for layer in unique["layers"]:
        start = f"| {layer['class_name']} | `{layer['class_name_qualified']}` | {layer['count']} |"
        assert sum(line.startswith(start) for line in lines) == 1


def test_equal_runs_give_equal_files(
    other_architecture: DeepSeekOCRArchitecture, workload: TraceWorkload, files: Files, unique: dict[str, Any]
) -> None:
    assert trace_artifacts(other_architecture, workload) == files
    assert unique["generated_at"].startswith("sha256:")
    noted = trace_artifacts(other_architecture, workload, "2025-03-04T05:06:07+00:00")
    assert noted != files
    assert {
        name: text.replace("2025-03-04T05:06:07+00:00", unique["generated_at"]) for name, text in noted.items()
    } == files


def test_a_run_that_fails_is_one_clear_error(other_architecture: DeepSeekOCRArchitecture) -> None:
    short = TraceWorkload(
        batch_size=1, vision_batch_size=1, base_size=304, image_size=304, num_width_tiles=1, num_height_tiles=1,
        seq_len=3, logits_tokens=1,
    )  # fmt: skip
    with pytest.raises(TraceError, match=r"^input_ids: the prompt is shorter than its image tokens"):
        trace_artifacts(other_architecture, short)
