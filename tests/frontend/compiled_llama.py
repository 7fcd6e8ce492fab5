"""A small Llama that a command compiles into a folder, and the commands on it; numbers are counted by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from llm_perf_opt.cli import app
from llm_perf_opt.evaluators import load_costs
from modelmeter.model.registry import forget_model
from modelmeter.support.checked_imports import CheckedFinder
from modelmeter.support.errors import ModelMeterError

CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 33, "intermediate_size": 53, "num_hidden_layers": 3,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 10, "vocab_size": 97, "tie_word_embeddings": False,
    "_name_or_path": "acme/Folder-Llama",
}  # fmt: skip

NAME, PACKAGE = "folder-llama", "folder_llama_costs"

PARAMETERS = (
    97 * 33  # the table
    + 3 * (33 * 30 + 2 * 33 * 10 + 30 * 33 + 3 * 33 * 53 + 2 * 33)  # q; k and v; o; the MLP; two norms
    + 33  # the last norm
    + 33 * 97  # the head
)


def count_prefill(tokens: int) -> int:
    """FLOPs of the matrix products over a prompt: linear layers, full attention of 3 heads of 10, and one head row."""
    linear = 2 * tokens * (33 * 30 + 2 * 33 * 10 + 30 * 33 + 3 * 33 * 53)
    attention = 2 * 2 * 3 * 10 * tokens * tokens
    return 3 * (linear + attention) + 2 * 33 * 97


def forget(model: str = NAME, package: str = PACKAGE) -> None:
    forget_model(model)
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, CheckedFinder)]
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
    load_costs.cache_clear()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refuse(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ModelMeterError), result.output
    return str(result.exception)


@contextmanager
def open_compiled(config: dict[str, Any], name: str, package: str, folder: Path) -> Iterator[str]:
    """Compile a config into a folder that is a model while the context is open; yields what the command printed."""
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    said = run("compile", str(file), "--name", name, "--out", str(folder / "out"), "--target", "python")
    from modelmeter.frontend.compiled_folder import open_folder

    open_folder(folder / "out")
    yield said
    forget(name, package)
