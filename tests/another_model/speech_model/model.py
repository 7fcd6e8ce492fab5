"""The record of the speech model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from modelmeter.dimensions.functions import Size, floor_div
from modelmeter.dimensions.size_rules import Rule
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.cost import Elements
from modelmeter.model.definition import Derivation, DerivedSize, Model
from modelmeter.model.loop import Loop
from modelmeter.model.stages import Stage
from speech_model.architecture import SpeechArchitecture, read_architecture
from speech_model.layers.listener import Listener
from speech_model.layers.transcriber import Transcriber
from speech_model.layers.writer import Writer
from speech_model.sizes import DIMENSIONS, symbol


def stage_of(run: str, path: str) -> str:
    """Return the stage of a module: whatever the run is, the writer writes."""
    return "text" if run == "text" or path.startswith("writer") else "audio"


def build_layers(sizes: Mapping[str, Size]) -> dict[str, BaseLayer]:
    """Return the layers of the run over audio, and of one word."""
    listener = Listener(
        **{name: sizes[name] for name in ("batch_size", "num_frames", "num_mel_bins", "stack_size", "hidden_size")}
    )
    writer = Writer(
        batch_size=sizes["batch_size"],
        words_so_far=sizes["word"],
        hidden_size=sizes["hidden_size"],
        dictionary_size=sizes["dictionary_size"],
    )
    return {
        run: Transcriber(listener=listener, writer=writer, is_listening=run == "audio") for run in ("audio", "text")
    }


def list_inputs(sizes: Mapping[str, Size]) -> dict[str, Elements]:
    """Return what each run is given: frames, and the words so far."""
    frames = sizes["batch_size"] * sizes["num_frames"] * sizes["num_mel_bins"]
    return {"audio": Elements(activation=frames), "text": Elements(index=sizes["batch_size"] * sizes["word"])}


def default_workload() -> dict[str, int]:
    """Return a minute of speech."""
    return {
        "batch_size": 1, "num_frames": 6000, "num_words": 151, "max_words": 150, "weight_bits": 16,
        "activation_bits": 16, "kv_bits": 16,
    }  # fmt: skip


def trace(architecture: SpeechArchitecture) -> ModuleGraph:
    """Trace the torch modules."""
    from speech_model import modules

    return modules.trace(architecture)


def list_proofs(architecture: SpeechArchitecture, is_full: bool) -> Iterable[Callable[..., Any]]:
    """Return the proofs: there is one of each run."""
    from speech_model.proofs import list_proofs

    return list_proofs(architecture)


MODEL = Model(
    name="tiny-speech",
    title="Tiny-Speech",
    package="tiny_speech_costs",
    dimensions=DIMENSIONS,
    stages=(
        Stage(
            name="audio",
            words="the listener, over all frames of a recording",
            meaning="The listener, over all frames of each recording.",
        ),
        Stage(
            name="text",
            words="the writer, for each word; word y reads y words",
            meaning="The writer, for each word: ``word`` reads as many words.",
        ),
    ),
    stage_of=stage_of,
    loop=Loop(stage="text", index=symbol("word"), count=symbol("num_words")),
    build_layers=build_layers,
    list_inputs=list_inputs,
    make_architecture=SpeechArchitecture,
    read_architecture=read_architecture,
    default_workload=default_workload,
    trace=trace,
    rules=(Rule("stack_size", "divides", "num_frames"), Rule("num_words", "at_most", "num_positions")),
    derivations=(
        Derivation(
            name="num_words",
            terms=("max_words", 1),
            words="``max_words + 1``",
            meaning="an end mark follows the words",
            replaces="max_words",
        ),
    ),
    derived=(
        DerivedSize(
            name="num_positions",
            formula=floor_div(symbol("num_frames"), symbol("stack_size")),
            words="the positions that the frames of one recording are stacked into",
        ),
    ),
    description="a listener and a writer",
    workload_words="a minute of speech",
    list_proofs=list_proofs,
)
