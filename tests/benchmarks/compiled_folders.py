"""Evaluators of models that were traced: what an operation of theirs takes, against one of DeepSeek-OCR's."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Final

from tests.benchmarks import imports
from tests.benchmarks.tables import Table, time_interleaved

import deepseek_ocr_costs
from modelmeter.compiler import emit_files
from modelmeter.frontend.compile import compile_config
from modelmeter.model.registry import forget_model
from modelmeter.support.generated_files import write_files

MODELS: Final = ("llama", "qwen3_moe", "gemma3_text")
"""Plain, with experts, and with windows: each by the default config of its type."""

FUNCTIONS: Final = ("prefill", "decode", "stages")

GATED: Final = ("prefill", "decode")
"""The others have a cost of one call, for tuples and checks, that few operations share where a model has few stages."""

SHORT_RUNS: Final = 301
"""Runs of 50 calls each: what else the machine does falls on all ways alike."""

TITLE = "Compiled folders against DeepSeek-OCR, by operation"

IMPORT = "import, milliseconds on this machine"


def count_operations(function: Callable[..., Any]) -> int:
    """Return of how many operations a function says that it is made."""
    found = re.search(r"(\d+)\s+operations?\.", function.__doc__ or "")
    assert found is not None, function.__name__
    return int(found[1])


@contextmanager
def compile_package(model_type: str) -> Iterator[tuple[ModuleType, str]]:
    """Compile the default config of a type, and yield its package and where it is."""
    compilation = compile_config(model_type, points=1)
    files = emit_files(compilation.compiled, targets={"python"})
    (package,) = {path.partition("/")[0] for path in files}
    with TemporaryDirectory() as folder:
        write_files(files, Path(folder))
        sys.path.insert(0, folder)
        try:
            yield importlib.import_module(package), folder
        finally:
            sys.path.remove(folder)
            forget_model(compilation.compiled.definition.name)


def compare_model(model_type: str) -> tuple[str, ...]:
    """Return how long an operation of each stage takes as a ratio to DeepSeek-OCR's, and how long the import."""
    with compile_package(model_type) as (package, folder):
        pairs = {
            (owner.__name__, stage): getattr(owner, stage)
            for stage in FUNCTIONS
            for owner in (deepseek_ocr_costs, package)
        }
        seconds = time_interleaved(
            {
                f"{owner} {stage}": lambda function=function: function(batch_size=3, seq_len=1021)
                for (owner, stage), function in pairs.items()
            },
            runs=SHORT_RUNS,
            calls=50,
        )
        by_operation = {key: seconds[" ".join(key)] / count_operations(function) for key, function in pairs.items()}
        ratios = [
            by_operation[package.__name__, stage] / by_operation[deepseek_ocr_costs.__name__, stage]
            for stage in FUNCTIONS
        ]
        milliseconds, others = imports.time_imports(package.__name__, folder)
        assert not others
    return model_type, *(f"{ratio:.2f}" for ratio in ratios), f"{min(milliseconds):.2f}"


def run() -> Table:
    """Compile some models, and time their evaluators in turn with DeepSeek-OCR's."""
    return Table(
        title=TITLE,
        note=f"Median of {SHORT_RUNS} interleaved runs of each stage at a batch of 3 and a prompt of 1,021, divided "
        "by the operations of its program, as a ratio to the same stage of DeepSeek-OCR. Checks of arguments are "
        "counted in the time and not as operations; a call of stages takes most of a microsecond beside its "
        "operations, of which DeepSeek-OCR has five times as many. Imports are the fastest of fresh processes.",
        columns=("model type", *FUNCTIONS, IMPORT),
        rows=tuple(map(compare_model, MODELS)),
    )
