"""The numbers of an operator by one name each, for whoever finds a formula for each of them; nothing needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import asdict

from modelmeter.dimensions.functions import Size
from modelmeter.frontend.records import TracedForward
from modelmeter.metrics.cost import KINDS, Elements, Operator


def list_parts(operator: Operator) -> dict[str, Size]:
    """Return the FLOPs of an operator, and what it reads and writes as ``reads.weight`` and alike."""
    return {
        "tensor_core_flops": operator.tensor_core_flops,
        "cuda_core_flops": operator.cuda_core_flops,
        **{f"reads.{kind}": size for kind, size in asdict(operator.reads).items()},
        **{f"writes.{kind}": size for kind, size in asdict(operator.writes).items()},
    }


PARTS: Final = tuple(list_parts(Operator(name="")))
"""The names of the numbers."""


def list_moved(parts: Mapping[str, Size]) -> tuple[str, ...]:
    """Return the names of what is read and written: they tell a cast from a copy."""
    return tuple(part for part, size in parts.items() if "." in part and size != 0)


def make_operator(name: str, parts: Mapping[str, Size]) -> Operator:
    """Return an operator of these numbers; those that are not given are 0."""
    return Operator(
        name=name,
        tensor_core_flops=parts.get("tensor_core_flops", 0),
        cuda_core_flops=parts.get("cuda_core_flops", 0),
        reads=Elements(**{kind: parts.get(f"reads.{kind}", 0) for kind in KINDS}),
        writes=Elements(**{kind: parts.get(f"writes.{kind}", 0) for kind in KINDS}),
    )


def list_alive(forward: TracedForward) -> list[dict[str, int]]:
    """Return the elements that are alive beside each operator of a forward without symbols, by kind."""
    alive = [dict.fromkeys(KINDS, 0) for _ in forward.operators]
    for life in forward.lifetimes:
        for kind, size in asdict(life.elements).items():
            for place in range(life.first, life.last + 1) if size else ():
                alive[place][kind] += int(size)
    return alive
