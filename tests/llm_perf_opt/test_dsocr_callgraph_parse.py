"""The loader reads folders of any maker, and names the file and the place of what is wrong."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from llm_perf_opt.errors import RecordError
from llm_perf_opt.utils.dsocr_callgraph_parse import load_target_operator_list

FILE = "torchinfo-unique-layers.json"
REMOTE = "transformers_modules.0123456789abcdef0123456789abcdef01234567"


def layer(qualified: str, *, builtin: bool = False, children: tuple[str, ...] = ()) -> dict[str, Any]:
    name = qualified.rpartition(".")[2]
    return {
        "class_name": name,
        "class_name_qualified": qualified,
        "var_name": [name.lower(), ""],
        "instance_name": [""],
        "filepaths": ["/somewhere/modeling.py"],
        "is_torch_builtin": builtin,
        "count": 3,
        "parents": [],
        "children": list(children),
    }


def snapshot() -> dict[str, Any]:
    """A file as made from the vendor's remote code, with a class that nobody knows and a key of its own."""
    layers = [
        layer("torch.nn.modules.activation.GELU", builtin=True),
        layer(f"{REMOTE}.deepencoder.Block", children=(f"{REMOTE}.deepencoder.Attention",)),
        layer(f"{REMOTE}.deepencoder.Attention", children=("torch.nn.modules.linear.Linear",)),
        layer(f"{REMOTE}.modeling_deepseekv2.MoEGate"),
        layer("transformers.models.llama.modeling_llama.LlamaFlashAttention2"),
        layer("somebody.else.HyperConnection"),
    ]
    return {
        "generated_at": "2025-11-18T05:05:40Z",
        "model_path": "/models/deepseek-ocr",
        "device": "cuda:0",
        "base_size": 1024,
        "image_size": 640,
        "seq_len": 1024,
        "crop_mode": True,
        "depth": 3,
        "total_params": 3170627840,
        "total_macs": 184271298048,
        "num_unique_layers": len(layers),
        "layers": layers,
        "torch_version": "2.8",
    }


def write(folder: Path, data: Any) -> Path:
    (folder / FILE).write_text(json.dumps(data), encoding="utf-8")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(RecordError) as caught:
        load_target_operator_list(folder)
    return str(caught.value)


def test_a_folder_from_the_vendors_code_is_read(tmp_path: Path) -> None:
    loaded = load_target_operator_list(str(write(tmp_path, snapshot())))
    assert loaded.snapshot_id == "2025-11-18T05:05:40Z"
    assert loaded.source_artifact_dir == str(tmp_path)
    assert loaded.layers_json_path == str(tmp_path / FILE)
    assert loaded.layers_md_path == str(tmp_path / "torchinfo-unique-layers.md")
    assert loaded.stages_json_path == str(tmp_path / "torchinfo-stages.json")
    assert [(operator.class_name, operator.default_category_id) for operator in loaded.operators] == [
        ("GELU", "activation"),
        ("Block", "composite"),
        ("Attention", "attention"),
        ("MoEGate", "moe_routing"),
        ("LlamaFlashAttention2", "attention"),
        ("HyperConnection", "other"),
    ]
    assert [operator.class_name_qualified for operator in loaded.uncategorized] == ["somebody.else.HyperConnection"]
    assert [operator.is_pytorch_builtin for operator in loaded.operators] == [True, False, False, False, False, False]
    assert all(operator.is_custom is not operator.is_pytorch_builtin for operator in loaded.operators)
    assert loaded.operators[1].children_classes == (f"{REMOTE}.deepencoder.Attention",)


def test_the_id_may_be_of_the_content_and_the_folder_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, snapshot() | {"generated_at": "sha256:3f8a"})
    monkeypatch.chdir(tmp_path.parent)
    loaded = load_target_operator_list(tmp_path.name)
    assert loaded.snapshot_id == "sha256:3f8a"
    assert os.path.isabs(loaded.source_artifact_dir)


def test_a_missing_folder_or_file_is_refused_by_name(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent").startswith(f"{tmp_path / 'absent'}: no such folder")
    assert refusal(tmp_path).startswith(f"{tmp_path / FILE}: the file cannot be read")


@pytest.mark.parametrize("content", ["", "{", "[]", "\udcff"])
def test_a_broken_file_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content, encoding="utf-8", errors="surrogateescape")
    assert refusal(tmp_path).startswith(f"{tmp_path / FILE}: ")


@pytest.mark.parametrize("key", [key for key in snapshot() if key != "torch_version"])
def test_a_missing_key_is_refused_by_name(tmp_path: Path, key: str) -> None:
    data = snapshot()
    del data[key]
    assert refusal(write(tmp_path, data)).startswith(f"{tmp_path / FILE}: {key}: the key is missing; its keys are ")


@pytest.mark.parametrize("key", list(layer("a.B")))
def test_a_missing_key_of_a_layer_is_refused_by_place(tmp_path: Path, key: str) -> None:
    data = snapshot()
    del data["layers"][4][key]
    assert refusal(write(tmp_path, data)).startswith(
        f"{tmp_path / FILE}: layers[4].{key}: the key is missing; its keys are "
    )


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("class_name", 3, "layers[4].class_name"),
        ("class_name", "", "layers[4].class_name"),
        ("is_torch_builtin", 1, "layers[4].is_torch_builtin"),
        ("count", "3", "layers[4].count"),
        ("count", 0, "layers[4].count"),
        ("count", True, "layers[4].count"),
        ("children", "torch.nn.Linear", "layers[4].children"),
        ("children", [None], "layers[4].children[0]"),
        ("children", ["a", "a"], "layers[4].children[1]"),
        ("var_name", None, "layers[4].var_name"),
        ("class_name_qualified", f"{REMOTE}.deepencoder.Block", "layers[4].class_name_qualified"),
    ],
)
def test_a_wrong_layer_is_refused_by_place(tmp_path: Path, key: str, value: Any, place: str) -> None:
    """The last case is a class that the file already has, as its layer 1."""
    data = snapshot()
    data["layers"][4][key] = value
    assert re.match(re.escape(f"{tmp_path / FILE}: {place}: "), refusal(write(tmp_path, data)))


@pytest.mark.parametrize(
    ("key", "value"),
    [("total_params", -1), ("depth", "3"), ("crop_mode", None), ("total_macs", 1.5), ("generated_at", 20251118)],
)
def test_a_wrong_header_is_refused_by_name(tmp_path: Path, key: str, value: Any) -> None:
    assert refusal(write(tmp_path, snapshot() | {key: value})).startswith(f"{tmp_path / FILE}: {key}: wrong value")


def test_lost_layers_are_noticed(tmp_path: Path) -> None:
    data = snapshot()
    del data["layers"][5]
    message = refusal(write(tmp_path, data))
    assert message == f"{tmp_path / FILE}: num_unique_layers: not the number of layers in the file; expected 5; found 6"
