"""How many positions the code of a model has room for, where it has a table or a mask of so many."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from modelmeter.dimensions.symbols import Dimensions, define_sizes

SHORTEST_PROMPT: Final = 2
"""Of any decoder: of one token, the code of torch takes other branches."""


def limit_context(dimensions: Dimensions, longest: int | None, shortest: int) -> Dimensions:
    """Return the sizes with a ``shortest`` prompt, and the largest number of positions among them, if there is one."""
    prompt = dimensions.workload["seq_len"]
    if prompt.minimum != shortest:
        workload = {**dimensions.workload, "seq_len": evolve(prompt, minimum=shortest)}
        dimensions = evolve(dimensions, workload=workload)
    if longest is None:
        return dimensions
    return Dimensions(
        workload=dimensions.workload,
        architecture=define_sizes(
            "architecture",
            ("longest_prompt", "tokens", "prompt positions that the model has room for beside as many new ones"),
            ("longest_output", "tokens", "steps after them that it has room for"),
        ),
        local=dimensions.local,
        latex={
            **{name: dimensions.latex[name] for name in (*dimensions.workload, *dimensions.local)},
            "longest_prompt": r"S_{\max}",
            "longest_output": r"T_{\max}",
        },
    )


def split_context(longest: int | None) -> dict[str, int]:
    """Return the longest prompt and output together with which a context is full, if it has an end."""
    return {} if longest is None else {"longest_prompt": longest // 2, "longest_output": longest - longest // 2}


def describe_positions(longest: int | None) -> dict[str, str]:
    """Return the counting rule for positions, where their number has an end."""
    if longest is None:
        return {}
    return {
        "Positions": f"The code has room for {longest} positions. The formulas hold up to there, and evaluators refuse "
        "more: a prompt has at most half of them, and what follows the rest."
    }
