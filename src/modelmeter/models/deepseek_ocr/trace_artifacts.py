"""The files that a TorchInfo run of the reference model leaves, for people and for programs that read such folders.

They describe structure: what modules there are, what they hold, and the shapes of every call. TorchInfo's
mult-adds are in them as TorchInfo reports them, which is far from the truth for linear layers; nothing of ours
reads them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from torch import nn
from torchinfo import ModelStatistics, summary
from torchinfo.torchinfo import clear_cached_forward_pass

from modelmeter.graph.trace import name_rows
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.stages import STAGES, stage_of
from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload, prepare_runs
from modelmeter.support.errors import ModelMeterError, TraceError

SUMMARY_TXT: Final = "torchinfo-summary.txt"
LAYERS_JSON: Final = "torchinfo-layers.json"
UNIQUE_JSON: Final = "torchinfo-unique-layers.json"
UNIQUE_MD: Final = "torchinfo-unique-layers.md"
STAGES_JSON: Final = "torchinfo-stages.json"

Record = dict[str, Any]


def trace_artifacts(
    architecture: DeepSeekOCRArchitecture, workload: TraceWorkload, generated_at: str | None = None
) -> dict[str, str]:
    """Run the reference model under TorchInfo, a prefill and one decode step, and return the files by name.

    Parameters
    ----------
    architecture, workload
        What to run, on the meta device.
    generated_at
        The value of that key in the files; by default a digest of everything else in them, so that equal runs
        give equal files.

    Raises
    ------
    TraceError
        If a run fails.
    """
    model, functions = prepare_runs(architecture, workload)
    # The decode step reads the cache that the prefill leaves.
    runs = {name: _run(name, model, function) for name, function in functions.items()}
    rows = [row for run in runs.values() for row in run.rows]
    facts = {
        "model_path": type(model).__module__,
        "device": next(model.parameters()).device.type,
        "base_size": workload.base_size,
        "image_size": workload.image_size,
        "seq_len": workload.seq_len,
        "crop_mode": workload.num_width_tiles * workload.num_height_tiles > 1,
        "depth": max(row["depth"] for row in rows),
        "total_params": sum(parameter.numel() for parameter in model.parameters()),
        "total_macs": sum(run.statistics.total_mult_adds for run in runs.values()),
    }
    layers = _list_unique_layers(model)
    text = "\n".join(f"{name}\n{run.statistics}\n" for name, run in runs.items())
    stages = _list_stages(rows)
    generated_at = generated_at or _digest(facts, layers, stages, rows, text)
    facts = {"generated_at": generated_at, **facts}
    return {
        SUMMARY_TXT: text,
        LAYERS_JSON: _to_json(facts, layers=rows),
        UNIQUE_JSON: _to_json({**facts, "num_unique_layers": len(layers)}, layers=layers),
        UNIQUE_MD: _to_markdown(facts, layers),
        STAGES_JSON: _to_json(facts, stages=stages),
    }


class Run(nn.Module):
    """One run of a model, as a module for TorchInfo."""

    def __init__(self, model: nn.Module, function: Callable[[], object]) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self) -> object:
        """Run it."""
        return self.function()


@frozen(kw_only=True)
class _Traced:
    """What TorchInfo says about one run: its own summary, and a record for each call of a module."""

    statistics: ModelStatistics
    rows: tuple[Record, ...]


def _run(name: str, model: nn.Module, function: Callable[[], object]) -> _Traced:
    try:
        statistics = summary(
            Run(model, function),
            input_data=(),
            depth=1 + max(path.count(".") + 2 for path, _ in model.named_modules()),
            col_names=("input_size", "output_size", "num_params", "mult_adds"),
            row_settings=("depth", "var_names"),
            verbose=0,
            cache_forward_pass=False,
        )
    except RuntimeError as error:
        cause = error.__cause__ or error  # TorchInfo wraps what a forward raises
        if isinstance(cause, ModelMeterError):
            raise cause from None
        raise TraceError(
            "the forward fails under TorchInfo", place=name, found=f"{type(cause).__name__}: {cause}"
        ) from cause
    finally:
        clear_cached_forward_pass()  # it keeps the model alive even if the cache is off
    return _Traced(statistics=statistics, rows=tuple(_list_rows(name, statistics)))


def _list_rows(run: str, statistics: ModelStatistics) -> Iterator[Record]:
    for path, row in name_rows(statistics.summary_list):
        kind = type(row.module)
        yield {
            "run": run,
            "stage": stage_of(run, path),
            "path": path,
            "var_name": row.var_name if path else kind.__name__,
            "class_name": kind.__name__,
            "class_name_qualified": _qualified(kind),
            "depth": row.depth - 1,
            "executed": bool(row.executed),
            "input_size": list(row.input_size),
            "output_size": list(row.output_size),
            "num_params": row.num_params,
            "mult_adds": row.macs,
            "is_recursive": row.is_recursive,
        }


def _list_unique_layers(model: nn.Module) -> list[Record]:
    """Return a record for each module class, in the order in which the model registers them, called or not."""
    layers: dict[type[nn.Module], Record] = {}
    modules = dict(model.named_modules())
    for path, module in modules.items():
        kind = type(module)
        layer = layers.setdefault(
            kind,
            {
                "class_name": kind.__name__,
                "class_name_qualified": _qualified(kind),
                "var_name": {},
                "instance_name": {},
                "filepaths": [_source_of(kind)],
                "is_torch_builtin": kind.__module__.partition(".")[0] == "torch",
                "count": 0,
                "parents": {},
                "children": {},
            },
        )
        # The root has no attribute name; TorchInfo calls it by its class.
        layer["var_name"][path.rpartition(".")[2] or kind.__name__] = None
        layer["instance_name"][path or kind.__name__] = None
        layer["count"] += 1
        if path:
            parent = type(modules[path.rpartition(".")[0]])
            layer["parents"][_qualified(parent)] = None
            layers[parent]["children"][_qualified(kind)] = None
    return [
        {key: list(value) if isinstance(value, dict) else value for key, value in layer.items()}
        for layer in layers.values()
    ]


def _list_stages(rows: list[Record]) -> list[Record]:
    """Return a record for each module class of each stage: how many of its modules run there, and how often."""
    stages = []
    for stage in STAGES:
        calls: dict[str, list[str]] = {}
        for row in rows:
            if row["stage"] == stage and row["executed"]:
                calls.setdefault(row["class_name_qualified"], []).append(row["path"])
        for name, paths in calls.items():
            stages.append(
                {"stage": stage, "class_name_qualified": name, "modules": len(set(paths)), "calls": len(paths)}
            )
    return stages


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _source_of(kind: type) -> str:
    """Return the file of a class below the folder that its package is in, which is the same on every machine."""
    file = sys.modules[kind.__module__].__file__
    if file is None:
        raise TraceError("a module class has no source file", place=_qualified(kind))
    depth = kind.__module__.count(".") + 1 + (Path(file).stem == "__init__")
    return "/".join(Path(file).parts[-depth:])


def _digest(*contents: object) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:16]


def _to_json(facts: Mapping[str, object], **lists: list[Record]) -> str:
    """Return facts and lists of records as JSON, a record per line."""
    parts = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in facts.items()]
    for key, records in lists.items():
        lines = ",\n".join(f"  {json.dumps(record)}" for record in records)
        parts.append(f" {json.dumps(key)}: [\n{lines}\n ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _to_markdown(facts: Mapping[str, object], layers: list[Record]) -> str:
    head = "".join(f"- {key}: {value}\n" for key, value in facts.items())
    rows = "".join(
        f"| {layer['class_name']} | `{layer['class_name_qualified']}` | {layer['count']} | "
        f"{'PyTorch' if layer['is_torch_builtin'] else 'custom'} | "
        f"{', '.join(name.rpartition('.')[2] for name in layer['children']) or '-'} |\n"
        for layer in layers
    )
    return (
        f"# Module classes\n\n{head}\n"
        "`total_macs` is what TorchInfo reports; it leaves out most dimensions of a linear layer.\n\n"
        f"| class | qualified name | modules | from | holds |\n| --- | --- | ---: | --- | --- |\n{rows}"
    )
