"""A model as proofs see it: its record, and points where its reference modules can be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from attrs import field, frozen
from torch import nn

from modelmeter.model.definition import Model
from modelmeter.verify.tensor_kinds import Cache


@frozen(kw_only=True)
class ProvedModel:
    """A model whose formulas are to be proved.

    Parameters
    ----------
    model
        Its record.
    forward_run
        The run that goes through all stages but the looped one.
    repeated_stages
        Stages of the forward that run in several calls; layers replay one of them.
    dtype
        What the reference modules compute with, where they cast some numbers to float32.
    """

    model: Model
    forward_run: str
    repeated_stages: tuple[str, ...] = ()
    dtype: torch.dtype = torch.bfloat16

    def at_first_step(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return sizes that are numbers with those of a loop of one step, where the model has a loop."""
        loop = self.model.loop
        return {**sizes} if loop is None else {**sizes, loop.count.name: 1, loop.index.name: 1}


@frozen(kw_only=True)
class PreparedRuns:
    """Reference modules, ready to run at sizes that are numbers, on the meta device.

    Parameters
    ----------
    module
        The model.
    forwards
        Calls of it, by run, in their order.
    cache
        The KV cache that they share.
    """

    module: nn.Module
    forwards: Mapping[str, Callable[[], object]]
    cache: Cache = tuple


@frozen(kw_only=True)
class Point:
    """Sizes that are numbers, at which formulas are compared with what the reference modules do.

    Parameters
    ----------
    workload
        The sizes of the workload; they are the domain of a verdict.
    architecture
        The sizes of the model.
    prepare
        Builds the reference modules, in the type that they compute with.
    calls
        How often the repeated stages run.
    first_operators
        Operators of the repeated stages that run once, before their first call.
    has_plain_layers
        Whether each layer is called at the sizes of its formula only, so that layers can be compared one by one.
    note
        What a verdict has to say of the modules.
    """

    workload: Mapping[str, int]
    architecture: Mapping[str, int]
    prepare: Callable[[torch.dtype], PreparedRuns] = field(repr=False)
    calls: int = 1
    first_operators: int = 0
    has_plain_layers: bool = True
    note: str = ""
