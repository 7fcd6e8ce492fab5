"""What is to be said of the pages or requests that a plan is of."""

from __future__ import annotations

from llm_perf_opt.planning.mix import PageMix
from modelmeter.model.positions import describe_positions


def find_length_note(mix: PageMix) -> str | None:
    """Return what is to be said of the longest of them; None where the model was made for as many positions."""
    return describe_positions(mix.model.model, max(each.cached_tokens for each in mix.classes))
