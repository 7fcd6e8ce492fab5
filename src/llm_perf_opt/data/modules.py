"""The modules of a model as a tree, and what each costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from attrs import field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.errors import RecordError

Stage = Literal["vision", "projector", "prefill", "decode", "other"]
Repetition = Literal["none", "for", "parfor"]

TERABIT_BYTES = 10**12 // 8
COUNT = rules.or_none(rules.whole_number())
"""The rule of an exact count, which a report may lack."""


@frozen(kw_only=True)
class AnalyticModuleNode:
    """One module of the model, or several alike side by side.

    Parameters
    ----------
    module_id
        The id that parents, children and snapshots use.
    name, qualified_class_name
        What people call it, and its class with the package.
    stage
        The part of the work that it belongs to.
    parent_id
        The module that holds it; None for the one root.
    children
        The modules that it holds, in the order of the forward pass.
    repetition
        ``for`` if it stands for several modules that run in turn, ``parfor`` side by side, else ``none``.
    repetition_count
        How many modules it stands for; 1 where ``repetition`` is ``none``.
    constructor_params
        What the module was built with, by name: text, finite numbers, true, false, null, or flat lists of these.

    Raises
    ------
    RecordError
        If a field breaks its rule, or a module that does not repeat has another count than 1.
    """

    module_id: str = field(validator=rules.IDENTIFIER)
    name: str = field(validator=rules.IDENTIFIER)
    qualified_class_name: str = field(validator=rules.IDENTIFIER)
    stage: Stage = field(validator=rules.choice(*get_args(Stage)))
    parent_id: str | None = field(validator=rules.or_none(rules.IDENTIFIER))
    children: tuple[str, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.IDENTIFIER, distinct=True)
    )
    repetition: Repetition = field(validator=rules.choice(*get_args(Repetition)))
    repetition_count: int = field(validator=rules.whole_number(1))
    constructor_params: Mapping[str, rules.ArgumentValue] = field(
        converter=rules.as_arguments, validator=rules.ARGUMENTS
    )

    def __attrs_post_init__(self) -> None:
        if self.repetition == "none" and self.repetition_count != 1:
            raise RecordError(
                "the module does not repeat", place="repetition_count", expected=1, found=self.repetition_count
            )

    @property
    def class_name(self) -> str:
        """The class without its package."""
        return self.qualified_class_name.rpartition(".")[2]


@frozen(kw_only=True)
class OperatorMetrics:
    """What the operators of one category cost in one module.

    Parameters
    ----------
    category_id
        The category, by its id in the report.
    calls
        How often such operators run.
    flops_tflops
        FLOPs, in units of 10^12; one multiply-accumulate is two.
    io_tb
        What they read and write, in terabits: 10^12 bits, not bytes.
    share_of_module_flops
        Their part of the module's FLOPs, from 0 to 1.
    flops, io_bytes
        The same as ``flops_tflops`` and ``io_tb``, exactly: FLOPs, and bytes rounded up. None where a report only has
        the names of the first specification.

    Raises
    ------
    RecordError
        If a field breaks its rule, or two that say the same disagree.
    """

    category_id: str = field(validator=rules.IDENTIFIER)
    calls: int = field(validator=rules.whole_number())
    flops_tflops: float = field(converter=rules.as_float, validator=rules.TFLOPS)
    io_tb: float = field(converter=rules.as_float, validator=rules.TERABITS)
    share_of_module_flops: float = field(converter=rules.as_float, validator=rules.SHARE)
    flops: int | None = field(default=None, validator=COUNT)
    io_bytes: int | None = field(default=None, validator=COUNT)

    def __attrs_post_init__(self) -> None:
        check_twin("flops", self.flops, "flops_tflops", self.flops_tflops, unit=10**12)
        check_twin("io_bytes", self.io_bytes, "io_tb", self.io_tb, unit=TERABIT_BYTES)


@frozen(kw_only=True)
class ModuleMetricsSnapshot:
    """What one module costs under one workload profile, apart from the modules that it holds.

    So all snapshots together are the model, with every operator once.

    Parameters
    ----------
    module_id, profile_id
        The module and the workload profile, by their ids.
    calls
        How often its own operators run: for a module without children, how often the module runs.
    total_time_ms
        Predicted time of all calls, in milliseconds.
    total_flops_tflops
        FLOPs of all calls, in units of 10^12; one multiply-accumulate is two.
    total_io_tb
        What all calls read and write, in terabits: 10^12 bits, not bytes.
    memory_weights_gb, memory_activations_gb, memory_kvcache_gb
        Memory for its own parameters, its operators' outputs in one forward, and its cached keys and values, in
        units of 2^30 bytes. A module that works in two stages has a node, and its parameters, in both.
    share_of_model_time
        The module's part of the model's time, from 0 to 1.
    operator_breakdown
        The same cost by operator category, a category at most once.
    flops, io_bytes
        The same as ``total_flops_tflops`` and ``total_io_tb``, exactly: FLOPs, and bytes rounded up. None, as the next,
        where a report only has the names of the first specification.
    weight_bytes, activation_bytes, kv_cache_bytes
        The same as the three memories in bytes, rounded up.

    Raises
    ------
    RecordError
        If a field breaks its rule, a category appears twice, or two fields that say the same disagree.
    """

    module_id: str = field(validator=rules.IDENTIFIER)
    profile_id: str = field(validator=rules.IDENTIFIER)
    calls: int = field(validator=rules.whole_number())
    total_time_ms: float = field(converter=rules.as_float, validator=rules.MILLISECONDS)
    total_flops_tflops: float = field(converter=rules.as_float, validator=rules.TFLOPS)
    total_io_tb: float = field(converter=rules.as_float, validator=rules.TERABITS)
    memory_weights_gb: float = field(converter=rules.as_float, validator=rules.GIBIBYTES)
    memory_activations_gb: float = field(converter=rules.as_float, validator=rules.GIBIBYTES)
    memory_kvcache_gb: float = field(converter=rules.as_float, validator=rules.GIBIBYTES)
    share_of_model_time: float = field(converter=rules.as_float, validator=rules.SHARE)
    operator_breakdown: tuple[OperatorMetrics, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(OperatorMetrics), key="category_id")
    )
    flops: int | None = field(default=None, validator=COUNT)
    io_bytes: int | None = field(default=None, validator=COUNT)
    weight_bytes: int | None = field(default=None, validator=COUNT)
    activation_bytes: int | None = field(default=None, validator=COUNT)
    kv_cache_bytes: int | None = field(default=None, validator=COUNT)

    def __attrs_post_init__(self) -> None:
        check_twin("flops", self.flops, "total_flops_tflops", self.total_flops_tflops, unit=10**12)
        check_twin("io_bytes", self.io_bytes, "total_io_tb", self.total_io_tb, unit=TERABIT_BYTES)
        check_twin("weight_bytes", self.weight_bytes, "memory_weights_gb", self.memory_weights_gb, unit=2**30)
        check_twin(
            "activation_bytes", self.activation_bytes, "memory_activations_gb", self.memory_activations_gb, unit=2**30
        )
        check_twin("kv_cache_bytes", self.kv_cache_bytes, "memory_kvcache_gb", self.memory_kvcache_gb, unit=2**30)


def check_twin(name: str, exact: int | None, twin: str, scaled: float, *, unit: int) -> None:
    """Check that an exact count, where it is given, is what a number in a larger unit says.

    Raises
    ------
    RecordError
        At ``name``.
    """
    # The exact one is rounded up to whole bytes; other programs may scale in another order.
    if exact is not None and not math.isclose(exact, scaled * unit, rel_tol=1e-12, abs_tol=1):
        raise RecordError(f"not what {twin} says", place=name, expected=f"about {scaled * unit:.17g}", found=exact)


def check_module_tree(modules: Sequence[AnalyticModuleNode], place: str = "modules") -> None:
    """Check that modules with distinct ids are one tree: parents and children agree, one root, no cycle.

    The order of the modules is free.

    Raises
    ------
    RecordError
        At the field that breaks the tree; where a parent and a child disagree, the message names both fields.
    """
    places = {node.module_id: f"{place}[{index}]" for index, node in enumerate(modules)}
    by_id = {node.module_id: node for node in modules}
    for node in modules:
        here = places[node.module_id]
        if node.parent_id is not None and node.parent_id not in by_id:
            raise RecordError("no module has this id", place=f"{here}.parent_id", found=node.parent_id)
        for index, child_id in enumerate(node.children):
            if child_id not in by_id:
                raise RecordError("no module has this id", place=f"{here}.children[{index}]", found=child_id)
            if by_id[child_id].parent_id != node.module_id:
                raise RecordError(
                    f"a parent and its child disagree: {places[child_id]}.parent_id names another module",
                    place=f"{here}.children[{index}]",
                    expected=node.module_id,
                    found=by_id[child_id].parent_id or "no parent",
                )
    for node in modules:
        if node.parent_id is not None and node.module_id not in by_id[node.parent_id].children:
            raise RecordError(
                f"a child and its parent disagree: {places[node.parent_id]}.children does not name the child",
                place=f"{places[node.module_id]}.parent_id",
                found=node.parent_id,
            )
    roots = [node for node in modules if node.parent_id is None]
    if len(roots) != 1:
        where = f"{places[roots[1].module_id]}.parent_id" if roots else place
        raise RecordError("the modules are not one tree", place=where, expected="one root", found=f"{len(roots)} roots")
    reached: set[str] = set()
    waiting = [roots[0]]
    while waiting:
        node = waiting.pop()
        reached.add(node.module_id)
        waiting.extend(by_id[child_id] for child_id in node.children)
    for node in modules:
        if node.module_id not in reached:
            raise RecordError(
                "the parents of this module lead in a circle",
                place=f"{places[node.module_id]}.parent_id",
                found=node.parent_id,
            )
