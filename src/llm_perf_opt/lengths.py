"""The sizes of a request that follow from others, and what is to be said of its length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_perf_opt.evaluators import load_costs, take_arguments
from modelmeter.model.positions import describe_positions, find_most_positions
from modelmeter.model.registry import find_beside
from modelmeter.model.serving import MODULE, Serving, find_serving

NOTES = "notes"
"""The key of what is to be said of a result, in JSON."""


def complete_sizes(known: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return sizes of a request with the length of its prompt and the number of its steps, where these follow.

    Parameters
    ----------
    known
        Sizes by name: those that were given, and defaults.
    model
        The name of a registered model that says how it is served.
    """
    costs, names, sizes = load_costs(model), find_serving(model), dict(known)
    if names.seq_len is not None and names.seq_len not in sizes and names.prompt_tokens is not None:
        prompt = names.prompt_tokens[0]
        if prompt in sizes and names.image_tokens is not None:
            tokens = getattr(costs, names.image_tokens)
            sizes[names.seq_len] = tokens(**take_arguments(tokens, sizes)) + sizes[prompt]
    if names.steps not in sizes and "max_new_tokens" in sizes:
        sizes[names.steps] = sizes["max_new_tokens"] - 1  # the prefill gives the first token
    return sizes


def list_length_notes(known: Mapping[str, Any], model: str) -> list[str]:
    """Return what is to be said of the length of a request or of a stage; nothing where its config names no limit.

    Parameters
    ----------
    known
        The sizes that it was given, with their defaults.
    model
        The name of a registered model.
    """
    names = find_beside(model, MODULE, "SERVING")
    if find_most_positions(model) is None or not isinstance(names, Serving):
        return []
    sizes = complete_sizes(known, model)
    if names.seq_len not in sizes:
        return []
    note = describe_positions(model, sizes[names.seq_len] + sizes.get(names.steps, 0))
    return [] if note is None else [note]
