"""Cases of the commands that read modules: ``compile``, ``show``, ``tree``, ``trace``, ``coverage``, ``verify``."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, Final

from tests.fuzz.case import Case, Content
from tests.fuzz.documents import make_file, write_json
from tests.fuzz.values import Draw
from tests.fuzz.work_cases import FILES, FOLDERS, STAGES, make_workload

import deepseek_ocr_costs as costs

# The least config of this family, its sizes pairwise different.
_CONFIG: Final[dict[str, Any]] = {
    "architectures": ["DeepseekOCRForCausalLM"],
    "model_type": "deepseek_vl_v2",
    "language_config": {
        "hidden_size": 60, "intermediate_size": 61, "moe_intermediate_size": 37, "num_hidden_layers": 7,
        "first_k_dense_replace": 2, "num_attention_heads": 6, "num_key_value_heads": 3, "n_routed_experts": 11,
        "n_shared_experts": 5, "num_experts_per_tok": 4, "vocab_size": 101, "use_mla": False, "topk_method": "greedy",
    },
    "projector_config": {"projector_type": "linear", "input_dim": 170, "n_embed": 60},
    "vision_config": {
        "image_size": 208,
        "width": {
            "sam_vit_b": {
                "width": 69, "layers": 9, "heads": 23, "global_attn_indexes": [1, 8], "downsample_channels": [47, 85],
            },
            "clip-l-14-224": {"width": 85, "layers": 10, "heads": 17, "image_size": 29, "patch_size": 13},
        },
    },
}  # fmt: skip

_LAYER: Final[dict[str, Any]] = {
    "class_name": "Linear", "class_name_qualified": "torch.nn.modules.linear.Linear", "var_name": ["proj"],
    "instance_name": ["a.proj"], "filepaths": ["torch/nn/modules/linear.py"], "is_torch_builtin": True, "count": 3,
    "parents": ["x.Attention"], "children": [],
}  # fmt: skip
_LAYERS: Final[dict[str, Any]] = {
    "generated_at": "sha256:0", "model_path": "x", "device": "meta", "base_size": 1024, "image_size": 640,
    "seq_len": 913, "crop_mode": True, "depth": 3, "total_params": 7, "total_macs": 11, "num_unique_layers": 3,
    "layers": [
        _LAYER,
        {**_LAYER, "class_name": "Attention", "class_name_qualified": "x.Attention", "is_torch_builtin": False},
        {**_LAYER, "class_name": "SiLU", "class_name_qualified": "torch.nn.SiLU"},
    ],
}  # fmt: skip

_LAYERS_FILE: Final = "torchinfo-unique-layers.json"
_GRAPH: Final = "graph.json"
TARGETS: Final = ("python", "javascript", "duckdb", "spark", "json", "formulas")
"""What ``compile`` makes."""


def make_compile(draw: Draw) -> Case:
    """Return a case of ``compile``."""
    files: dict[str, Content] = {}
    arguments = ["compile"]
    if draw.chance(0.15):
        return _make_traced_compile(draw, files)
    kind = draw.random()
    if kind < 0.75:
        arguments += ["--config", _name_file(draw, files, "model.json", make_file(draw, _CONFIG, is_yaml=False))]
    if kind > 0.65:
        graph = _make_graph(draw, share_valid=0.02)
        arguments += ["--graph", _name_file(draw, files, _GRAPH, graph)]
    if draw.chance(0.8):
        arguments += ["--out", draw.choice(FOLDERS)]
    if draw.chance(0.2):
        arguments += ["--save-graph", draw.choice(FILES)]
    if draw.chance(0.2):
        arguments.append("--check")
    if draw.chance(0.3):
        arguments += ["--target", draw.choice(TARGETS) if draw.chance(0.6) else draw.text()]
    if draw.chance(0.1):
        files["new/data/ids.json"] = make_file(draw, {"ids": [["a/b/c@0", "0", "1"]], "sha256": "0"}, is_yaml=False)
    if draw.chance(0.1):
        files["new/formulas/evidence.json"] = make_file(draw, {"versions": {}, "layers": {}}, is_yaml=False)
    return Case(arguments=tuple(arguments), files=files)


_TRACED: Final[dict[str, Any]] = {
    "model_type": "llama", "hidden_size": 10**400, "num_hidden_layers": 1001, "num_attention_heads": 3,
    "num_key_value_heads": 2, "auto_map": {"AutoConfig": "code.Config"}, "layer_types": [], "head_dim": "x",
}  # fmt: skip
"""A config of transformers that no model has, whatever is changed in it."""


def _make_traced_compile(draw: Draw, files: dict[str, Content]) -> Case:
    """Return a case of ``compile`` of a config or a name that transformers is asked for; none goes as far as torch."""
    source = draw.text()
    if draw.chance(0.6):
        source = _name_file(draw, files, "model.json", make_file(draw, _TRACED, is_yaml=False))
    arguments = ["compile", source, *(["--out", draw.choice(FOLDERS)] if draw.chance(0.8) else [])]
    if draw.chance(0.1):
        arguments += ["--graph", _GRAPH]
    if draw.chance(0.2):
        arguments.append(draw.choice(("--general", "--training")))
    return Case(arguments=tuple(arguments), files=files)


def make_show(draw: Draw) -> Case:
    """Return a case of ``show``."""
    files: dict[str, Content] = {}
    name = draw.choice((*STAGES, *costs.layers.__all__, "Linear")) if draw.chance(0.4) else draw.text()
    arguments = ["show", name]
    if draw.chance(0.5):
        arguments += ["--metric", draw.choice((*costs.Cost._fields, "peak_activation_bytes", draw.text()))]
    if draw.chance(0.3):
        arguments.append("--latex")
    if draw.chance(0.1):
        arguments.append("--modules")
    if draw.chance(0.7):
        arguments += ["--graph", _name_file(draw, files, _GRAPH, _make_graph(draw, share_valid=0.02))]
    return Case(arguments=tuple(arguments), files=files)


def make_tree(draw: Draw) -> Case:
    """Return a case of ``tree``."""
    files: dict[str, Content] = {}
    arguments = ["tree", *(["--json"] if draw.chance(0.3) else [])]
    if draw.chance(0.97):
        arguments += ["--graph", _name_file(draw, files, _GRAPH, _make_graph(draw, share_valid=0.05))]
    return Case(arguments=tuple(arguments), files=files)


def make_coverage(draw: Draw) -> Case:
    """Return a case of ``coverage``."""
    files: dict[str, Content] = {}
    folder = "artifacts" if draw.chance(0.9) else draw.choice(FOLDERS)
    if folder == "artifacts":
        files[f"artifacts/{_LAYERS_FILE}"] = make_file(draw, _LAYERS, is_yaml=False)
    return Case(arguments=("coverage", folder), files=files)


def make_trace(draw: Draw) -> Case:
    """Return a case of ``trace``."""
    files: dict[str, Content] = {}
    arguments = ["trace"]
    if draw.chance(0.97):
        arguments += ["--out", draw.choice(FOLDERS)]
    if draw.chance(0.9):
        arguments += ["--workload", make_workload(draw, files)]
    return Case(arguments=tuple(arguments), files=files)


def make_huge_trace(draw: Draw) -> Case:
    """Return a case of ``trace`` that goes on into torch, with sizes that no tensor has."""
    size = draw.choice((2**31, 2**40, 2**62, 2**63 - 1))
    page = {
        "profile_id": "huge", "description": "", "seq_len": 2**63 - 1, "base_size": 640, "image_size": 640,
        "crop_mode": False, "max_new_tokens": 3, "doc_kind": "synthetic", "num_pages": 1,
    }  # fmt: skip
    page[draw.choice(("base_size", "num_pages", "seq_len"))] = size
    return Case(
        arguments=("trace", "--out", "new", "--workload", "page.json"),
        files={"page.json": write_json(page).encode()}, works=True,
    )  # fmt: skip


def make_huge_compile(draw: Draw) -> Case:
    """Return a case of ``compile`` that goes on into torch, of a model with more modules than can be built."""
    config = json.loads(json.dumps(_CONFIG))
    config["language_config"] |= {"num_hidden_layers": 4096, "n_routed_experts": draw.choice((1024, 2048, 4096))}
    return Case(
        arguments=("compile", "--out", "new", "--config", "model.json"),
        files={"model.json": write_json(config).encode()}, works=True,
    )  # fmt: skip


def make_verify(draw: Draw) -> Case:
    """Return a case of ``verify`` that has to end before the proofs begin, and seldom one that has not."""
    arguments = ["verify", *(["--quick"] if draw.chance(0.3) else []), *(["--full"] if draw.chance(0.3) else [])]
    wrong = draw.choice(("layer", "json", "jobs", "out", ""))
    if wrong == "layer" or draw.chance(0.2):
        arguments += [
            "--layer",
            draw.choice(("x", "linears", "", "\x1b[31m", "\u202e", "x" * 5000) if wrong == "layer" else STAGES),
        ]
    if wrong == "json" or draw.chance(0.1):
        bad = (
            "",
            ".",
            "empty",
            "nowhere/x.json",
            "notes.txt/x",
            "x" * 300,
            "/dev/null",
            "/dev/full",
            "/proc/x.json",
            "a\x00b",
        )
        arguments += ["--json", draw.choice(bad if wrong == "json" else ("rows.json", "../elsewhere/rows.json"))]
    if wrong == "jobs":
        arguments += ["--jobs", draw.choice(("0", "-1", "x", "1.5", "", "-" + "9" * 400, "nan"))]
    if wrong == "out":
        arguments += ["--full", "--out", draw.choice(("empty", "notes.txt", "nowhere", "/dev/null", "x" * 300))]
    return Case(arguments=tuple(arguments), fails_early=bool(wrong))


def _name_file(draw: Draw, files: dict[str, Content], name: str, content: Content) -> str:
    if draw.chance(0.06):
        return draw.choice(
            ("nowhere.json", "empty", "notes.txt", "config.json", "/dev/full", "/dev/zero", "", draw.text())
        )
    files[name] = content
    return name


def _make_graph(draw: Draw, share_valid: float) -> Content:
    kind = draw.random()
    if kind < 0.06:
        sizes = json.loads(_read_shipped_graph()) if draw.chance(0.5) else {}
        sizes = {key: sizes[key] for key in ("workload", "architecture", "lists") if key in sizes}
        return json.dumps(_make_chain(draw.choice((5, 50, 300, 2000))) | sizes).encode()
    document = _read_shipped_graph() if kind < 0.4 else _make_chain(draw.randrange(1, 6))
    return make_file(draw, json.loads(document) if isinstance(document, str) else document, is_yaml=False,
                     share_valid=share_valid)  # fmt: skip


@cache
def _read_shipped_graph() -> str:
    return (resources.files("deepseek_ocr_costs") / "module_graph.json").read_text()


def _make_chain(depth: int) -> dict[str, Any]:
    """Return a module graph of modules one in another."""
    paths = [".".join("a" * level) for level in range(depth)]
    nodes = [
        {
            "path": path, "members": [path.rpartition(".")[2]], "class_name": "Net", "qualified_class_name": "x.Net",
            "parameter_count": 3, "own_parameter_count": 0 if level < depth - 1 else 3,
            "calls": [{"run": "prefill", "input_shapes": [[2, 3]], "output_shape": [2, 5]}], "repetition": "none",
            "repetition_count": 1, "is_torch_builtin": False,
        }
        for level, path in enumerate(paths)
    ]  # fmt: skip
    return {
        "schema_version": 2, "workload": {"batch_size": 2}, "architecture": {"hidden_size": 3},
        "lists": {}, "call_order": paths, "nodes": nodes,
    }  # fmt: skip


def make_publish(draw: Draw) -> Case:
    """Return a case of ``publish``: nearly all are refused, as one that is not takes seconds."""
    arguments = ["publish", "--check"] if draw.chance(0.3) else ["publish"]
    wrong = draw.choice(("--graph", "--evidence", "--studies", "--model"))
    arguments += [wrong, draw.text() if wrong == "--model" else draw.choice((*FILES, *FOLDERS, "nowhere.json"))]
    if draw.chance(0.7):
        arguments += ["--out", draw.choice(FOLDERS)]
    if draw.chance(0.3):
        arguments += ["--book", draw.choice((*FILES, *FOLDERS))]
        if draw.chance(0.5):
            arguments += ["--typesetter", draw.choice(("tex", "typst", "", "TeX", "../tex", "latex\x07"))]
    return Case(arguments=tuple(arguments))
