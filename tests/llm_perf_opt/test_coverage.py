"""The coverage ledger of a traced model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from llm_perf_opt.commands.coverage import coverage
from llm_perf_opt.reporting.coverage import _NEEDS_NONE, _TORCH_MODULES, compare_with_layers
from llm_perf_opt.utils.dsocr_callgraph_parse import load_target_operator_list

REMOTE = "transformers_modules.0123abcd"
# What the vendor's remote code holds, by its own names.
VENDOR = {
    "modelled": [
        f"{REMOTE}.modeling_deepseekocr.DeepseekOCRForCausalLM",
        f"{REMOTE}.modeling_deepseekocr.DeepseekOCRModel",
        *(
            f"{REMOTE}.modeling_deepseekv2.{name}"
            for name in ("DeepseekV2DecoderLayer", "DeepseekV2MLP", "DeepseekV2MoE", "DeepseekV2RMSNorm", "MoEGate")
        ),
        *(
            f"{REMOTE}.deepencoder.{name}"
            for name in (
                "ImageEncoderViT", "PatchEmbed", "Block", "Attention", "MLPBlock", "LayerNorm2d", "VitModel",
                "CLIPVisionEmbeddings", "NoTPTransformer", "NoTPTransformerBlock", "NoTPAttention", "NoTPFeedForward",
                "MlpProjector",
            )
        ),
        "transformers.models.llama.modeling_llama.LlamaFlashAttention2",
        "transformers.models.llama.modeling_llama.LlamaRotaryEmbedding",
        "torch.nn.modules.linear.Linear",
        "torch.nn.modules.conv.Conv2d",
        "torch.nn.modules.sparse.Embedding",
        "torch.nn.modules.normalization.LayerNorm",
        "torch.nn.modules.activation.GELU",
        "torch.nn.modules.activation.SiLU",
    ],
    "needs none": [
        "torch.nn.modules.container.ModuleList",
        "torch.nn.modules.container.Sequential",
        "torch.nn.modules.linear.Identity",
        "torch.nn.modules.dropout.Dropout",
    ],
}  # fmt: skip


def write_folder(folder: Path, *names: str) -> Path:
    layers: list[dict[str, Any]] = [
        {
            "class_name": name.rpartition(".")[2], "class_name_qualified": name, "var_name": ["m"],
            "instance_name": ["m"], "filepaths": [], "is_torch_builtin": name.startswith("torch."), "count": 3,
            "parents": [], "children": [],
        }
        for name in names
    ]  # fmt: skip
    document = {
        "generated_at": "2025-11-18", "model_path": "/models/ocr", "device": "cuda:0", "base_size": 1024,
        "image_size": 640, "seq_len": 512, "crop_mode": True, "depth": 5, "total_params": 7, "total_macs": 11,
        "num_unique_layers": len(layers), "layers": layers,
    }  # fmt: skip
    (folder / "torchinfo-unique-layers.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def ledger(folder: Path) -> dict[str, tuple[str, str]]:
    entries = compare_with_layers(load_target_operator_list(folder))
    return {entry.operator.class_name_qualified: (entry.coverage, entry.reason) for entry in entries}


def run(folder: Path) -> Any:
    app = typer.Typer()
    app.command()(coverage)
    return CliRunner().invoke(app, [str(folder)])


@pytest.mark.parametrize("expected", VENDOR)
def test_the_vendors_classes_are_covered(tmp_path: Path, expected: str) -> None:
    found = ledger(write_folder(tmp_path, *VENDOR[expected]))
    assert {name: entry[0] for name, entry in found.items()} == dict.fromkeys(VENDOR[expected], expected)
    assert all(reason for _, reason in found.values())


def test_a_layer_is_named(tmp_path: Path) -> None:
    found = ledger(write_folder(tmp_path, f"{REMOTE}.modeling_deepseekv2.MoEGate", "torch.nn.modules.linear.Linear"))
    assert list(found.values()) == [
        ("modelled", "models.deepseek_ocr.layers.decoder.moe_gate"), ("modelled", "layers.linear")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        # As transformers names folders of remote code: by repository and revision, or by a checkpoint's folder.
        "transformers_modules.deepseek_hyphen_ai.DeepSeek_hyphen_OCR.0123abcd.deepencoder.Block",
        "transformers_modules.DeepSeek-OCR.modeling_deepseekv2.DeepseekV2MLP",
        "deepencoder.PatchEmbed",
        "modelmeter.models.deepseek_ocr.reference_vision.Block",
        "modelmeter.models.deepseek_ocr.reference_decoder.LlamaFlashAttention2",
        "modelmeter.models.deepseek_ocr.reference.DeepseekOCRModel",
    ],
)
def test_a_class_of_the_model_is_known_wherever_its_code_lies(tmp_path: Path, name: str) -> None:
    assert ledger(write_folder(tmp_path, name))[name][0] == "modelled"


def test_the_modules_of_torch_are_those_that_it_has() -> None:
    nn = pytest.importorskip("torch.nn")
    assert {name: getattr(nn, name).__module__ for name in _TORCH_MODULES} == {
        name: f"torch.nn.modules.{module}" for name, module in _TORCH_MODULES.items()
    }
    assert set(_NEEDS_NONE) <= set(_TORCH_MODULES)


@pytest.mark.parametrize(
    "name",
    [
        f"{REMOTE}.deepencoder.Unheard",
        # It stores q x kv, which the fused layer does not.
        "transformers.models.llama.modeling_llama.LlamaAttention",
        # PyTorch's and custom classes of one name are not the same.
        "elsewhere.Linear",
        "elsewhere.Dropout",
        "torch.nn.modules.transformer.Attention",
        "torch.nn.modules.rnn.LSTM",
        # Nor are classes of one name from other libraries, or from other modules of the same.
        "timm.models.vision_transformer.Block",
        "timm.layers.patch_embed.PatchEmbed",
        "vllm.model_executor.models.deepencoder.Block",
        f"{REMOTE}.modeling_deepseekv2.Block",
        f"{REMOTE}.deepencoder.DeepseekV2MLP",
        f"{REMOTE}.modeling_llama.LlamaFlashAttention2",
        "vllm.model_executor.models.llama.LlamaRotaryEmbedding",
        "torch.ao.nn.quantized.modules.linear.Linear",
        "torch.nn.quantized.modules.conv.Conv2d",
        "torch.ao.nn.quantized.modules.dropout.Dropout",
        "Block",
    ],
)
def test_a_class_without_a_layer_is_unmodelled_and_fails(tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path, "torch.nn.modules.linear.Linear", name)
    assert ledger(folder)[name] == ("unmodelled", name)
    result = run(folder)
    assert result.exit_code == 1
    assert "1 modelled, 1 unmodelled" in result.stdout
    assert name[-20:] in result.stdout.replace("\n", "").replace(" ", "")


def test_a_covered_folder_passes(tmp_path: Path) -> None:
    result = run(write_folder(tmp_path, *VENDOR["modelled"], *VENDOR["needs none"]))
    assert result.exit_code == 0
    assert f"{len(VENDOR['modelled'])} modelled, 4 needs none" in result.stdout


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in str(run(tmp_path).exception)
