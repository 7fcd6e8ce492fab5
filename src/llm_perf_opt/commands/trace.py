"""``modelmeter trace``: the files of a TorchInfo run of the reference model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_perf_opt.commands.report import TimestampOption, WorkloadOption, read_clock
from llm_perf_opt.defaults import WORKLOAD
from modelmeter.model.registry import find_model
from modelmeter.support.extras import explain_missing_extra

if TYPE_CHECKING:
    from llm_perf_opt.data import OCRWorkloadProfile


def trace(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go.")],
    workload: WorkloadOption = WORKLOAD,
    timestamp: TimestampOption = False,
) -> None:
    """Write what TorchInfo sees of the reference model. It runs on the meta device."""
    from llm_perf_opt.profiles import find_profile
    from llm_perf_opt.reporting.folder import write_folder

    files = make_files(find_profile(workload), read_clock() if timestamp else None)
    write_folder(out, files, command="trace")
    typer.echo("\n".join(str(out / name) for name in files))


def make_files(profile: OCRWorkloadProfile, generated_at: str | None = None) -> dict[str, str]:
    """Return the files of a TorchInfo run of a workload, by name.

    Raises
    ------
    RecordError
        If the profile does not say which views there are.
    TraceError
        If torch or torchinfo is not installed, or the run fails.
    """
    num_width_tiles, num_height_tiles = profile.tile_grid
    definition = find_model()
    assert definition.trace_artifacts is not None  # workload profiles are of DeepSeek-OCR
    sizes = {
        "batch_size": profile.num_pages,
        "images_per_prompt": profile.images_per_prompt,
        "vision_batch_size": profile.vision_batch_size,
        "base_size": profile.view_size,
        "image_size": profile.image_size,
        "num_width_tiles": num_width_tiles,
        "num_height_tiles": num_height_tiles,
        "seq_len": profile.seq_len,
        "logits_tokens": profile.seq_len if profile.logits_tokens is None else profile.logits_tokens,
    }
    with explain_missing_extra():
        return definition.trace_artifacts(definition.make_architecture(), sizes, generated_at)
