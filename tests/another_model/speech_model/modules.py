"""The torch modules of the speech model."""

from __future__ import annotations

import torch
from attrs import evolve
from torch import Tensor, nn

from modelmeter.graph.dtypes import default_dtype
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.graph.trace import trace_modules
from speech_model.architecture import SpeechArchitecture

WORKLOAD = {"batch_size": 3, "num_frames": 35, "num_words": 1, "max_words": 0}


class Listener(nn.Module):
    """(batch_size, num_frames, num_mel_bins) to (batch_size, positions, hidden_size)."""

    def __init__(self, sizes: SpeechArchitecture) -> None:
        super().__init__()
        self.project = nn.Linear(sizes.num_mel_bins * sizes.stack_size, sizes.hidden_size)
        self.act = nn.GELU()
        self.norm = nn.LayerNorm(sizes.hidden_size)
        self.stack_size = sizes.stack_size

    def forward(self, frames: Tensor) -> Tensor:
        batch_size, num_frames, bins = frames.shape
        stacked = frames.view(batch_size, num_frames // self.stack_size, bins * self.stack_size)
        return self.norm(self.act(self.project(stacked)))


class Writer(nn.Module):
    """(batch_size, words_so_far) to (batch_size, words_so_far, dictionary_size)."""

    def __init__(self, sizes: SpeechArchitecture) -> None:
        super().__init__()
        self.words = nn.Embedding(sizes.dictionary_size, sizes.hidden_size)
        self.mix = nn.Linear(sizes.hidden_size, sizes.hidden_size)
        self.score = nn.Linear(sizes.hidden_size, sizes.dictionary_size, bias=False)

    def forward(self, words: Tensor) -> Tensor:
        read = self.words(words)
        mixed = self.mix(read)
        return self.score(read + mixed)


class Transcriber(nn.Module):
    """Listens to floating-point numbers, and writes after integers."""

    def __init__(self, sizes: SpeechArchitecture) -> None:
        super().__init__()
        self.listener = Listener(sizes)
        self.writer = Writer(sizes)

    def forward(self, given: Tensor) -> Tensor:
        return self.listener(given) if given.is_floating_point() else self.writer(given)


def build(sizes: SpeechArchitecture, dtype: torch.dtype = torch.bfloat16) -> Transcriber:
    """Return the modules on the meta device."""
    with torch.device("meta"), default_dtype(dtype):
        return Transcriber(sizes)


def trace(sizes: SpeechArchitecture) -> ModuleGraph:
    """Return the module graph of a run over audio, and of the first word."""
    model, batch_size = build(sizes), WORKLOAD["batch_size"]
    frames = torch.empty(batch_size, WORKLOAD["num_frames"], sizes.num_mel_bins, device="meta", dtype=torch.bfloat16)
    words = torch.empty(batch_size, 1, device="meta", dtype=torch.int64)
    graph = trace_modules(model, {"audio": lambda: model(frames), "text": lambda: model(words)})
    return evolve(graph, workload=WORKLOAD, architecture=sizes.dimension_values())
