"""Names of the layers of a trace: of their classes, and of which of alike siblings they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_FEWEST_IN_STEPS: Final = 3
"""Spans that have to be equally far from each other before a name says so, and not each of them."""

_WORDS: Final = re.compile("MoE|SiLU|GeLU|ReLU|LoRA|RoPE|ViT")
"""Words of the field that have capitals inside."""

_Span = tuple[int, int]
"""The first and the last of neighbours."""


def name_evaluator(class_name: str) -> str:
    """Return the name of a class in small letters: ``OlmoeRMSNorm`` becomes ``olmoe_rms_norm``, ``MoE`` ``moe``."""
    parts = _WORDS.sub(lambda word: word[0].capitalize(), class_name)
    parts = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", parts)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", parts).lower().lstrip("_")


def name_siblings(members: Sequence[str]) -> str:
    """Return which siblings a layer stands for, as a part of an identifier in small letters.

    No two groups of them have the same.

    Parameters
    ----------
    members
        The name of one, or numbers in ascending order.

    Returns
    -------
    str
        The name, or spans of numbers: ``0_to_2_and_7``. Three or more spans of one length in equal steps are said by
        the first, the step, and the last number of all: ``0_to_2_step_4_to_46`` are 0 to 2, 4 to 6, up to 44 to 46.
    """
    if len(members) == 1:
        return "".join(character if character.isalnum() else "_" for character in members[0]).lower()
    parts = []
    for spans in _group_spans(_list_spans([int(member) for member in members])):
        (first, last), step = spans[0], spans[1][0] - spans[0][0] if len(spans) > 1 else 0
        span = f"{first}_to_{last}" if last > first else f"{first}"
        parts.append(f"{span}_step_{step}_to_{spans[-1][1]}" if step else span)
    return "_and_".join(parts)


def explain_siblings(members: Sequence[str]) -> str:
    """Return what a name that has steps says, in words; of another name nothing, as it says so itself."""
    name = name_siblings(members) if len(members) > 1 else ""
    if "_step_" not in name:
        return ""
    return re.sub(r"_step_(\d+)_to_(\d+)", r" and so on in steps of \1 up to \2", name).replace("_", " ")


def _list_spans(numbers: Sequence[int]) -> list[_Span]:
    """Return the spans of neighbours."""
    starts = [0, *(place for place in range(1, len(numbers)) if numbers[place] != numbers[place - 1] + 1)]
    return [(numbers[start], numbers[stop - 1]) for start, stop in pairwise([*starts, len(numbers)])]


def _group_spans(spans: list[_Span]) -> list[list[_Span]]:
    """Return the spans, with those in one group that are alike and in equal steps; each group as long as it can be."""
    groups: list[list[_Span]] = []
    while spans:
        count = 1
        while count < len(spans) and all(
            later - earlier == spans[1][0] - spans[0][0]
            for side in (0, 1)
            for earlier, later in pairwise(span[side] for span in spans[: count + 1])
        ):
            count += 1
        taken = count if count >= _FEWEST_IN_STEPS else 1
        groups.append(spans[:taken])
        spans = spans[taken:]
    return groups
