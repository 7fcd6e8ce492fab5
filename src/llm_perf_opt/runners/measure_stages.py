"""Times the stages of a model on this machine, for ``modelmeter calibrate``; with random weights. Needs torch."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from attrs import frozen

from llm_perf_opt.arguments import parse_size
from llm_perf_opt.errors import RecordError
from llm_perf_opt.exit_codes import print_warning, run_to_end
from llm_perf_opt.planning.calibrate.table import MILLISECONDS, STAGE
from llm_perf_opt.planning.measured.records import STEP
from llm_perf_opt.terminal import print_lines, track
from modelmeter.model.registry import DEFAULT, find_beside, find_model
from modelmeter.model.serving import Serving, find_serving
from modelmeter.support.errors import OutputError
from modelmeter.support.files import explain_failure, write_text

MODULE: Final = "measuring"
"""The module beside that of a model which has ``StageCalls``: its stages as calls that can be timed."""

PEAK_MEMORY: Final = "peak_memory_bytes"
DEVICE: Final = "device"
DTYPE: Final = "dtype"

BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64)
PROMPTS: Final = (113, 307, 913, 1801)
"""What is called where nothing is said: steps of so many sequences, and prompts of so many tokens."""

CONTEXT_TOKENS: Final = 945
"""Cached positions of a sequence in such a step."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@frozen(kw_only=True)
class WantedCall:
    """A stage, or a step, and its sizes."""

    stage: str
    sizes: Mapping[str, int]


@frozen(kw_only=True)
class Timing:
    """One run of a call: how long it took, and the most memory that was in use, where the device tells."""

    milliseconds: float
    peak_memory_bytes: int | None


@app.command()
def run(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The measurements, a CSV file.")],
    call: Annotated[
        list[str] | None,
        typer.Option(
            "--call",
            metavar="CALL",
            help="A stage and its sizes, as in 'step batch_size=4 context_tokens=3780'; may be repeated. Else steps of "
            "1 to 64 sequences, prompts of 113 to 1801 tokens, and a page.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="As torch calls it: cuda, cuda:1, cpu.")
    ] = "cuda",
    dtype: Annotated[
        str, typer.Option("--dtype", metavar="TYPE", help="What to compute and store in: float32, bfloat16 or float16.")
    ] = "bfloat16",
    repeat: Annotated[int, typer.Option("--repeat", metavar="N", min=1, help="Timed runs of each call.")] = 7,
    warm_up: Annotated[int, typer.Option("--warm-up", metavar="N", min=0, help="Runs before, which do not count.")] = 3,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="A registered model.")] = DEFAULT,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The config.json of another model of its family.")
    ] = None,
) -> None:
    """Time the stages of a model with random weights, and write what modelmeter calibrate reads.

    A call is timed from its start to the end of its last kernel: by CUDA events on a GPU, by the clock elsewhere.
    """
    _refuse_foreign(out)
    wanted = [parse_call(text) for text in call] if call else list_usual_calls(find_serving(model))
    torch = _import_torch()
    stages = _build(torch, model, config, device, dtype)
    rows: list[tuple[WantedCall, Timing]] = []
    with track(wanted, total=len(wanted), description="time calls") as tracked:
        for each in tracked:
            rows += [(each, timing) for timing in _time(torch, stages, each, device, repeat, warm_up)]
    if not rows:
        raise OutputError("no call fits into the memory", place="--call", remedy="give smaller ones")
    write_text(out, render_rows(rows, _name_device(torch, device), dtype), name="the file of measurements")
    print_lines(
        f"{out}: {len(rows)} runs of {len({id(each) for each, _ in rows})} calls on {_name_device(torch, device)}"
    )


def parse_call(text: str) -> WantedCall:
    """Return a call as someone types it: a stage, then its sizes.

    Raises
    ------
    WorkloadError, RecordError
        If it is not written so.
    """
    stage, *assignments = text.split() or [""]
    sizes: dict[str, int] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator or not name or name in sizes:
            raise RecordError(
                "this is no call", place="--call", expected="a stage and sizes, each once, as seq_len=913", found=text
            )
        sizes[name] = int(parse_size(name, value))
    return WantedCall(stage=stage, sizes=sizes)


def list_usual_calls(serving: Serving) -> list[WantedCall]:
    """Return calls that tell the coefficients apart: short and long, of few sequences and of many."""
    steps = [
        WantedCall(stage=STEP, sizes={"batch_size": size, "context_tokens": size * CONTEXT_TOKENS})
        for size in BATCH_SIZES
    ]
    prompts = [
        WantedCall(stage=serving.prompt_stage, sizes=serving.name_sizes(batch_size=1, seq_len=length))
        for length in PROMPTS
        if serving.prompt_stage is not None
    ]
    return [*steps, *prompts, WantedCall(stage=serving.page_stages[0], sizes={serving.batch_size: 1})]


def render_rows(rows: Sequence[tuple[WantedCall, Timing]], device: str, dtype: str) -> str:
    """Return a CSV file with a row for each run."""
    sizes = list(dict.fromkeys(name for each, _ in rows for name in each.sizes))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((STAGE, *sizes, MILLISECONDS, PEAK_MEMORY, DEVICE, DTYPE))
    for each, timing in rows:
        peak = "" if timing.peak_memory_bytes is None else timing.peak_memory_bytes
        cells = (each.sizes.get(name, "") for name in sizes)
        writer.writerow((each.stage, *cells, f"{timing.milliseconds:.6g}", peak, device, dtype))
    return buffer.getvalue()


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise OutputError("measuring needs torch", found=str(error), remedy="pip install 'modelmeter[trace]'") from None
    return torch


def _build(torch: Any, model: str, config: Path | None, device: str, dtype: str) -> Any:
    make = find_beside(model, MODULE, "StageCalls")
    if make is None:
        raise OutputError("the stages of this model cannot be timed", place=model, remedy=f"give it a module {MODULE}")
    types = {name: getattr(torch, name) for name in ("float32", "bfloat16", "float16")}
    if dtype not in types:
        raise RecordError("no such type to compute in", place="--dtype", expected=", ".join(types), found=dtype)
    found = find_model(model)
    if config is not None and found.read_config is None:
        raise OutputError("this model reads no config", place=model)
    architecture = (
        found.make_architecture()
        if config is None or found.read_config is None
        else (found.read_config(config).architecture)
    )
    try:
        return make(architecture, device, types[dtype])
    except (RuntimeError, AssertionError) as error:  # torch's words for a device that is not there, or is too small
        raise OutputError(
            "the model cannot be put on this device", place=f"--device {device}", found=str(error).partition("\n")[0]
        ) from None


def _time(torch: Any, stages: Any, wanted: WantedCall, device: str, repeat: int, warm_up: int) -> Iterator[Timing]:
    call: Callable[[], object] = stages.prepare(wanted.stage, wanted.sizes)
    is_cuda = device.partition(":")[0] == "cuda"
    try:
        for _ in range(warm_up):
            call()
        timings = [_time_on_cuda(torch, call, device) if is_cuda else _time_by_clock(call) for _ in range(repeat)]
    except torch.OutOfMemoryError:
        print_warning(f"{wanted.stage} {dict(wanted.sizes)} does not fit into the memory; it is left out")
        return
    yield from timings


def _time_on_cuda(torch: Any, call: Callable[[], object], device: str) -> Timing:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    start.record()
    call()
    end.record()
    torch.cuda.synchronize(device)
    return Timing(
        milliseconds=float(start.elapsed_time(end)), peak_memory_bytes=int(torch.cuda.max_memory_allocated(device))
    )


def _time_by_clock(call: Callable[[], object]) -> Timing:
    start = time.perf_counter()
    call()
    return Timing(milliseconds=1000 * (time.perf_counter() - start), peak_memory_bytes=None)


def _name_device(torch: Any, device: str) -> str:
    return str(torch.cuda.get_device_name(device)) if device.partition(":")[0] == "cuda" else device


def _refuse_foreign(out: Path) -> None:
    with explain_failure("the file of measurements", out):
        if out.exists() and not (out.is_file() and out.read_bytes().startswith(f"{STAGE},".encode())):
            raise OutputError(
                "the file of measurements would replace something else", place=str(out), remedy="name another file"
            )


def main() -> NoReturn:
    """Run the command line."""
    run_to_end(app)


if __name__ == "__main__":
    main()
