"""The sizes of the speech model."""

from __future__ import annotations

from modelmeter.dimensions.symbols import Dimensions, define_sizes

DIMENSIONS = Dimensions(
    workload=define_sizes(
        "workload",
        ("batch_size", "recordings", "recordings transcribed side by side"),
        ("num_frames", "frames", "frames of each recording, silence included"),
        ("num_words", "words", "words that are written, one in each step", 0),
        ("max_words", "words", "words that may be written before the end mark", 0),
    ),
    architecture=define_sizes(
        "architecture",
        ("num_mel_bins", "bins", "mel bins of one frame"),
        ("stack_size", "frames", "frames that are stacked into one position"),
        ("hidden_size", "neurons", "width of the listener and of the writer"),
        ("dictionary_size", "words", "words that can be written"),
    ),
    local=define_sizes(
        "local",
        ("words_so_far", "words", "words that the writer reads again"),
        ("word", "words", "the index of a word, from 1"),
    ),
    latex={
        "batch_size": "R",
        "num_frames": "F",
        "num_words": "Y",
        "word": "y",
        "max_words": r"Y_{\mathrm{max}}",
        "words_so_far": "u",
        "stack_size": r"\sigma",
        "num_mel_bins": "m",
        "hidden_size": r"\eta",
        "dictionary_size": r"\Delta",
    },
)
"""``hidden_size`` and ``batch_size`` are not what another model calls so."""

symbol = DIMENSIONS.symbol
