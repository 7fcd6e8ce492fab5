"""Proofs of the formulas of the speech model: traces of its torch modules with symbols for sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from modelmeter.model.registry import find_model
from modelmeter.verify.case import Case
from modelmeter.verify.identities import prove_layer_formulas
from modelmeter.verify.model_formulas import build_formulas
from modelmeter.verify.proof import Progress, Verdict, prove
from modelmeter.verify.proved_model import Point, PreparedRuns, ProvedModel
from modelmeter.verify.stage_peaks import prove_peaks
from modelmeter.verify.symbolic_trace import Forward, TorchSizes, trace_everything
from speech_model.architecture import SpeechArchitecture
from speech_model.modules import Transcriber, trace
from speech_model.sizes import symbol


def list_proofs(architecture: SpeechArchitecture) -> list[Callable[..., Any]]:
    """Return all proofs."""
    proved = ProvedModel(model=find_model(SpeechArchitecture.model), forward_run="audio")
    return [
        partial(_prove_runs, proved, architecture),
        partial(_prove_layers, proved, architecture),
        partial(prove_peaks, proved, [_make_point(architecture)]),
    ]


def _prove_runs(proved: ProvedModel, architecture: SpeechArchitecture, progress: Progress) -> Iterator[Verdict]:
    formulas = build_formulas(trace(architecture), proved).substitute(architecture.dimension_values())
    batch_size, positions, word = symbol("batch_size"), symbol("num_frames"), symbol("word")
    stack_size = architecture.stack_size

    def listen(sizes: TorchSizes) -> Forward:
        model = Transcriber(architecture)
        frames = sizes["positions"] * stack_size
        given = torch.empty(sizes["batch_size"], frames, architecture.num_mel_bins)
        return Forward(model=model, run=lambda: model(given))

    def write(sizes: TorchSizes) -> Forward:
        model = Transcriber(architecture)
        given = torch.empty(sizes["batch_size"], sizes["word"], dtype=torch.int64)
        return Forward(model=model, run=lambda: model(given))

    shared = {"batch_size": batch_size}
    cases = [
        Case(
            name="audio", trace=trace_everything, inputs={**shared, "positions": positions}, build=listen,
            sizes={**shared, "num_frames": positions * stack_size}, stages=("audio",),
        ),
        Case(
            name="one word", trace=trace_everything, inputs={**shared, "word": word}, build=write,
            sizes={**shared, "word": word}, stages=("text",),
        ),
    ]  # fmt: skip
    yield from prove(formulas, cases, progress=progress)


def _prove_layers(proved: ProvedModel, architecture: SpeechArchitecture, progress: Progress) -> Iterator[Verdict]:
    progress("layers in their own sizes")
    formulas = build_formulas(trace(architecture), proved)
    yield from prove_layer_formulas(formulas.model, proved.model.dimensions)


def _make_point(architecture: SpeechArchitecture) -> Point:
    def prepare(dtype: torch.dtype) -> PreparedRuns:
        from speech_model.modules import build

        model = build(architecture, dtype)
        frames = torch.empty(3, 35, architecture.num_mel_bins, device="meta", dtype=dtype)
        words = torch.empty(3, 1, device="meta", dtype=torch.int64)
        return PreparedRuns(module=model, forwards={"audio": lambda: model(frames), "text": lambda: model(words)})

    return Point(
        workload={"batch_size": 3, "num_frames": 35}, architecture=architecture.dimension_values(), prepare=prepare
    )
