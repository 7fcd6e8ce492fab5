"""How the tests of the commands run the command line, and what they compare with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from llm_perf_opt.commands.compile import ACCURACY_FILE, IDS_FILE
from llm_perf_opt.commands.verify import EVIDENCE_FILE
from modelmeter.models.deepseek_ocr.package import PACKAGE
from modelmeter.support.generated_files import GRAPH_FILE

CODEGEN = Path(__file__).parents[2] / "codegen"
GRAPH = CODEGEN / PACKAGE / GRAPH_FILE
CHECKS = (EVIDENCE_FILE, ACCURACY_FILE)  # which a compilation does not write but reads

# Another model of this family, the least that says so: other widths, depths, experts and heads everywhere.
OTHER_CONFIG: dict[str, Any] = {
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


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]
"""Runs the command line with these arguments."""


def assert_refused(result: Result, *words: str) -> None:
    """Check that a command ended in one line that has these words, and printed nothing else."""
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    for word in words:
        assert word in result.err


def run_apart(
    *arguments: object,
    forbidden: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a new Python in which importing a forbidden package fails."""
    program = (
        "import sys\n"
        f"forbidden = {forbidden!r}\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in forbidden:\n"
        "            raise AssertionError(f'{name} is imported')\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from llm_perf_opt.cli import main\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip


def list_files(folder: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: text for path, text in files.items() if path not in CHECKS}


def add_evidence(folder: Path) -> None:
    """Put what a compilation into ``folder`` reads there: the evidence, the page about other counters, old ids."""
    for name in (*CHECKS, IDS_FILE):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CODEGEN / name, target)
