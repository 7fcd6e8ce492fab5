"""What the command of an engine cannot say of a plan: the mode, and widths that no option of it gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llm_perf_opt.data.hardware import DTYPE_BITS
from llm_perf_opt.planning.margin import Margin
from llm_perf_opt.planning.setup import Setup

ENGINE_DTYPES: Final = ("bfloat16", "float16", "float32")
"""What ``--dtype`` of both engines takes, beside other names of these."""

FP8: Final = "float8_e4m3fn"
CHECKPOINT: Final = "./quantised-checkpoint"
"""Stands for weights of other widths than the published ones."""

_EIGHT_BITS: Final = 8


def find_engine_dtype(dtype: str) -> str:
    """Return what ``--dtype`` is given: the type itself, or the one that narrower products are added up in."""
    return dtype if dtype in ENGINE_DTYPES else "bfloat16"


def holds_fp8_cache(setup: Setup) -> bool:
    """Tell whether the plan has a cache of 8 bits on a card with FP8 rates."""
    return setup.mix.model.bits["kv_bits"] == _EIGHT_BITS and FP8 in setup.card.tensor_flops_per_second


def list_notes(setup: Setup, engine: str, fp8_cache: str) -> tuple[str, ...]:
    """Return what the command of an engine lacks, one line each.

    Parameters
    ----------
    setup
        What is planned with.
    engine
        Its name.
    fp8_cache
        What its option for a cache of 8 bits takes.
    """
    return (*_list_mode_notes(setup, engine), *_list_width_notes(setup, engine, fp8_cache))


def list_margin_notes(setup: Setup, batch: int, margin: Margin | None, option: str) -> tuple[str, ...]:
    """Return what is to be said where a batch breaks the limit on latency once times are as wrong as the calibration.

    Parameters
    ----------
    setup, batch
        What is planned with, and how much is in flight by the estimate.
    margin
        What the plan takes then; None where nothing tells of errors.
    option
        How the engine calls the batch.
    """
    if margin is None or not margin.is_broken:
        return ()
    items, limit = setup.mix.model.serving.items, margin.limit_seconds
    longer = f"if {items} take {margin.factor:.2f} times as long, as far as the calibration was off at most"
    breaks = f"{batch} in flight take {margin.p95_seconds:.3g} s then, beyond the limit of {limit:g}"
    if margin.batch_size is None:
        return (f"WARNING: {longer}, no number of them in flight keeps the limit: {breaks}.",)
    cards = f", on {margin.num_cards:,} cards" if setup.limits.pages_per_second is not None else ""
    return (
        f"{option} {margin.batch_size} keeps the limit of {limit:g} s even {longer}{cards}; {batch} keep it by the "
        f"estimate alone: {breaks}.",
    )


def _list_mode_notes(setup: Setup, engine: str) -> Iterator[str]:
    serving, cutting = setup.mix.model.serving, setup.cutting
    mode = serving.modes.get(setup.mode)
    sizes = dict(setup.mix.classes[0].views) if mode is None else mode.sizes
    words = ", ".join(f"{name} {size}" for name, size in sizes.items())
    is_cut = "" if mode is None else f", crop_mode {str(mode.is_cut).lower()}"
    program = "" if cutting is None or cutting.preprocessing is None else f", cut as {cutting.preprocessing} does"
    yield f"Planned for mode {setup.mode} ({words}{is_cut}{program}); the numbers hold only for it."
    default = next(iter(serving.modes))
    if setup.mode != default:
        yield (
            f"WARNING: no option selects this mode. {engine} as it comes runs {default}: configure the sizes above in "
            "its image processor, or neither memory nor speed are as planned."
        )


def _list_width_notes(setup: Setup, engine: str, fp8_cache: str) -> Iterator[str]:
    bits, dtype = setup.mix.model.bits, find_engine_dtype(setup.dtype)
    stored = DTYPE_BITS[dtype]
    if dtype != setup.dtype:
        yield (
            f"Planned with matrix products in {setup.dtype}, which --dtype does not take: a checkpoint quantised to it "
            "is needed."
        )
    elif setup.dtype == "float32" and setup.float32_matmul_precision == "high":
        yield "Planned with TF32, for which there is no option: torch.set_float32_matmul_precision('high') is needed."
    if bits["weight_bits"] != stored:
        yield (
            f"Planned with weights of {bits['weight_bits']} bits: {CHECKPOINT} stands for a checkpoint quantised so "
            f"that {engine} reads it; {setup.mix.model.serving.repository} has 16."
        )
    if bits["activation_bits"] != stored:
        yield f"Planned with activations of {bits['activation_bits']} bits; {engine} holds them in {dtype}."
    if bits["kv_bits"] == stored or holds_fp8_cache(setup):
        return
    if bits["kv_bits"] == _EIGHT_BITS:
        yield (
            f"Planned with a cache of 8 bits, but {setup.card.name} has no FP8 rates: --kv-cache-dtype {fp8_cache} is "
            f"left out, and a cache in {dtype} holds fewer pages than planned."
        )
    else:
        yield (
            f"Planned with a cache of {bits['kv_bits']} bits, which {engine} does not have: it is in {dtype}, or with "
            f"--kv-cache-dtype {fp8_cache} in 8 bits where the card has FP8 rates."
        )
