"""A small text decoder and a small mixture of experts, compiled once for all tests that look at them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compiled_experts
import pytest
from compiled_llama import CONFIG, forget, run

from modelmeter.model.registry import forget_model

TINY_LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 39, "intermediate_size": 59, "num_hidden_layers": 5,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 14, "vocab_size": 101,
    "tie_word_embeddings": False,
}  # fmt: skip
"""Sizes that are not alike. A head has 14 channels, which is even for the rotation of its halves."""


@pytest.fixture(scope="module")
def tiny_llama() -> Iterator[Any]:
    """The compilation of the small decoder, with counts at two points of each stage."""
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    yield compile_config(TINY_LLAMA, name="Tiny-Llama", points=2)
    forget_model("tiny-llama")


@pytest.fixture(scope="module")
def tiny_costs(tiny_llama: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Its evaluators, imported from the generated files."""
    from modelmeter.compiler import emit_files
    from modelmeter.support.generated_files import write_files

    folder: Path = tmp_path_factory.mktemp("compiled")
    write_files(emit_files(tiny_llama.compiled), folder)
    sys.path.insert(0, str(folder))
    yield __import__("tiny_llama_costs")
    sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def written_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command wrote the decoder."""
    pytest.importorskip("transformers")
    root = tmp_path_factory.mktemp("folder")
    config = root / "config.json"
    config.write_text(json.dumps(CONFIG), encoding="utf-8")
    out = root / "compiled"
    run("compile", str(config), "--out", str(out))
    forget()
    return out


@pytest.fixture(scope="module")
def folder(written_llama: Path) -> Iterator[Path]:
    """The same folder, whose model is registered by no other test; what damages one takes a copy."""
    forget()
    before = read_files(written_llama)
    yield written_llama
    forget()
    assert read_files(written_llama) == before, "a test has changed the folder of all tests"


def read_files(folder: Path) -> dict[Path, bytes]:
    """Return the files of a folder, without what Python writes beside modules."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path: path.read_bytes() for path in paths}


@pytest.fixture(scope="session")
def written_experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command wrote the mixture of experts."""
    pytest.importorskip("transformers")
    root = tmp_path_factory.mktemp("experts")
    (root / "config.json").write_text(json.dumps(compiled_experts.CONFIG), encoding="utf-8")
    run("compile", str(root / "config.json"), "--out", str(root / "compiled"))
    return root / "compiled"


@pytest.fixture(scope="module")
def experts(written_experts: Path) -> Iterator[Path]:
    """The same folder, whose model is registered by no other test."""
    forget(compiled_experts.NAME, compiled_experts.PACKAGE)
    yield written_experts
    forget(compiled_experts.NAME, compiled_experts.PACKAGE)


@pytest.fixture(scope="module")
def expert_costs(experts: Path) -> Any:
    """Its evaluators, of files that were compared as the model was loaded."""
    from modelmeter import load

    load(str(experts))
    return __import__(compiled_experts.PACKAGE)
