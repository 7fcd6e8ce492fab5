"""The peaks of the stages, against a walk over the live storages of the reference model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter

import sympy
from attrs import asdict

from modelmeter.evaluate import evaluate
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import STAGES, Stage, build_layers, stage_of, symbolic_sizes
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload, make_cache, prepare_runs
from modelmeter.models.deepseek_ocr.vision_tokens import image_tokens
from modelmeter.peak import PEAK, find_peaks
from modelmeter.size_rules import substitute_sizes
from modelmeter.verify.live_storages import watch_storages
from modelmeter.verify.proof import Progress, Verdict

ACTIVATION_BITS = 13
"""Odd, so that bytes are fractions."""


def list_workloads(patch_size: int) -> Iterator[TraceWorkload]:
    """Yield workloads at which different operators are the peak; sides in patches, and pixels that are left over."""
    for base, image, width, height, batch, text, logits in (
        # The MLP of a SAM block on tiles, and on the global view; few logits, and many.
        (64, 40, 2, 3, 1, 10, 3), (40, 40, 1, 1, 3, 7, 101),
        # Padded windows; global attention; both on tiles.
        (15, 3, 0, 0, 5, 3, 1), (131, 7, 1, 2, 1, 1, 1), (3, 15, 1, 3, 3, 3, 1), (3, 131, 2, 1, 1, 1, 3),
        # The smallest views, and many of them.
        (1, 3, 2, 1, 7, 5, 1), (3, 1, 9, 1, 1, 131, 5),
    ):  # fmt: skip
        views = (base * patch_size + base % patch_size // 2, image * patch_size, width, height)
        yield TraceWorkload(
            batch_size=batch,
            base_size=views[0],
            image_size=views[1],
            num_width_tiles=width,
            num_height_tiles=height,
            seq_len=int(image_tokens(*views, patch_size)) + text,
            logits_tokens=logits,
        )


def watch_stages(architecture: DeepSeekOCRArchitecture, workload: TraceWorkload) -> dict[Stage, int]:
    """Return the most elements that are alive beside an operator of each stage, in a prefill and a decode step."""
    cache = make_cache(architecture, workload)
    model, runs = prepare_runs(architecture, workload, cache)
    peaks = dict.fromkeys(STAGES, 0)
    for run, forward in runs.items():
        for live in watch_storages(model, forward, cache=(*cache.keys, *cache.values)):
            stage = stage_of(run, live.path)
            peaks[stage] = max(peaks[stage], live.elements)
    return peaks


def prove_peaks(
    architecture: DeepSeekOCRArchitecture, workloads: Iterable[TraceWorkload], progress: Progress
) -> Iterator[Verdict]:
    """Yield a verdict on the peak of every stage at each workload."""
    known = architecture.dimension_values()
    layers = build_layers({**symbolic_sizes(), **known})
    peaks = find_peaks(layers, stage_of, stages=STAGES, rules=substitute_sizes(RULES, known))
    for workload in workloads:
        sizes = asdict(workload)
        domain = "; ".join(f"{name} = {size}" for name, size in sizes.items())
        progress(f"live storages at {domain}")
        start = perf_counter()
        watched = watch_stages(architecture, workload)
        seconds = perf_counter() - start
        for stage in STAGES:
            ours = evaluate(peaks[stage].formula, {**sizes, "decode_steps": 1, "activation_bits": ACTIVATION_BITS})
            theirs = sympy.Rational(watched[stage] * ACTIVATION_BITS, 8)
            yield Verdict(
                implementation="reference",
                subject="",
                layer="",
                stages=stage,
                metric=PEAK,
                kind="exact at n points",
                domain=domain,
                dimensions=tuple(sizes),
                ours=sympy.sympify(ours),
                theirs=theirs,
                difference=sympy.sympify(ours) - theirs,
                seconds=seconds,
                note="even shares of the tokens for the experts",
            )
