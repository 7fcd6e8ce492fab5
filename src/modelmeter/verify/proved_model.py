"""A model as proofs see it: the layers of its runs, its stages, and points where its reference modules can be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from attrs import field, frozen
from torch import nn

from modelmeter.analysis.totals import StageRule
from modelmeter.core.cost import Elements
from modelmeter.core.functions import Size
from modelmeter.core.size_rules import Rule
from modelmeter.layers.base import BaseLayer
from modelmeter.verify.operators import Cache


@frozen(kw_only=True)
class ProvedModel:
    """A model whose formulas are to be proved.

    Parameters
    ----------
    sizes
        A symbol for every dimension, and for the index of a step of the looped stage.
    build_layers, list_inputs
        The layer tree of each run, and what each run is given, at sizes that are formulas or numbers.
    stages
        In the order in which they run.
    stage_of
        The stage that the own work of a module belongs to, by run and path.
    forward_run, looped_stage
        The run that goes through all stages but the looped one, and that one: a run and a stage of many steps.
    repeated_stages
        Stages of the forward that run in several calls; layers replay one of them.
    rules
        What is known of the sizes.
    dtype
        What the reference modules compute with, where they cast some numbers to float32.
    """

    sizes: Mapping[str, Size]
    build_layers: Callable[[Mapping[str, Size]], Mapping[str, BaseLayer]]
    list_inputs: Callable[[Mapping[str, Size]], Mapping[str, Elements]]
    stages: tuple[str, ...]
    stage_of: StageRule
    forward_run: str
    looped_stage: str
    repeated_stages: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    dtype: torch.dtype = torch.bfloat16


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

    @property
    def sizes(self) -> dict[str, int]:
        """All sizes, at the first step of the looped stage."""
        return {**self.architecture, **self.workload, "decode_steps": 1, "decode_step": 1}
