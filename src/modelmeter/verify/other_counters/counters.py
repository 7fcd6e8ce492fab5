"""Other counters of FLOPs, each called as its documentation says; the packages are in the group ``others``."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from importlib.metadata import version
from typing import Any, Literal

import torch
from attrs import frozen
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.support.errors import CountError
from modelmeter.verify.other_counters.stage import CountedStage

Device = Literal["cpu", "meta"]


@frozen(kw_only=True)
class Count:
    """What a counter says of a stage.

    Parameters
    ----------
    flops
        FLOPs, two for each multiply-add that it counts.
    unsupported
        Operators that it says it has left out, by name.
    """

    flops: int
    unsupported: tuple[str, ...] = ()


@frozen(kw_only=True)
class Counter:
    """A counter.

    Parameters
    ----------
    name, package
        For people, and the distribution that it is in.
    call
        How it is called, as code.
    unit
        What it counts.
    count
        Counts a stage.
    needs_data
        Stages that it cannot count on tensors without data.
    device
        Of the tensors without data.
    """

    name: str
    package: str
    call: str
    unit: Literal["FLOPs", "multiply-adds", "multiply-adds and calls them FLOPs"]
    count: Callable[[CountedStage], Count]
    needs_data: frozenset[str] = frozenset()
    device: Device = "cpu"

    @property
    def version(self) -> str:
        """The version that is installed, without the build."""
        return version(self.package).partition("+")[0]


def _count_with_torch(stage: CountedStage) -> Count:
    with FlopCounterMode(display=False) as counter:
        stage.run()
    return Count(flops=counter.get_total_flops())


def _count_with_torchinfo(stage: CountedStage) -> Count:
    torchinfo = _load("torchinfo")
    with torch.no_grad():
        summary = torchinfo.summary(stage.module, input_data=dict(stage.inputs), verbose=0)
    return Count(flops=2 * summary.total_mult_adds)


def _count_with_fvcore(stage: CountedStage) -> Count:
    analysis = _load("fvcore.nn").FlopCountAnalysis(stage.module, tuple(stage.inputs.values()))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with torch.no_grad():
        multiply_adds, unsupported = analysis.total(), analysis.unsupported_ops()
    names = (name.removeprefix("aten::") for name in unsupported)
    return Count(flops=2 * _whole(multiply_adds), unsupported=tuple(sorted(names)))


def _count_with_calflops(stage: CountedStage) -> Count:
    calflops = _load("calflops")
    with torch.no_grad():
        flops, *_ = calflops.calculate_flops(
            stage.module, kwargs=dict(stage.inputs), print_results=False, output_as_string=False
        )
    return Count(flops=_whole(flops))


def _count_with_ptflops(backend: str) -> Callable[[CountedStage], Count]:
    def count(stage: CountedStage) -> Count:
        ptflops, printed = _load("ptflops"), io.StringIO()
        with torch.no_grad(), redirect_stdout(printed), redirect_stderr(printed):
            multiply_adds, _ = ptflops.get_model_complexity_info(
                stage.module, (1,), input_constructor=lambda _: dict(stage.inputs), backend=backend,
                as_strings=False, print_per_layer_stat=False,
            )  # fmt: skip
        if multiply_adds is None:  # it prints its errors
            raise CountError("ptflops has failed", place=stage.name, found=printed.getvalue())
        return Count(flops=2 * _whole(multiply_adds))

    return count


COUNTERS: Mapping[str, Counter] = {
    counter.name: counter
    for counter in (
        Counter(
            name="torchinfo", package="torchinfo", unit="multiply-adds", count=_count_with_torchinfo,
            call="summary(module, input_data=...).total_mult_adds",
        ),
        Counter(
            name="fvcore", package="fvcore", unit="multiply-adds", count=_count_with_fvcore,
            call="FlopCountAnalysis(module, inputs).total()",
            # It traces the module, and a convolution without data cannot be traced.
            needs_data=frozenset({"vision"}), device="meta",
        ),
        Counter(
            name="calflops", package="calflops", unit="FLOPs", count=_count_with_calflops,
            call="calculate_flops(module, kwargs=...)",
        ),
        Counter(
            name="ptflops", package="ptflops", unit="multiply-adds", count=_count_with_ptflops("pytorch"),
            call='get_model_complexity_info(module, ..., backend="pytorch")',
        ),
        Counter(
            name="ptflops (aten)", package="ptflops", unit="multiply-adds", count=_count_with_ptflops("aten"),
            call='get_model_complexity_info(module, ..., backend="aten")',
        ),
        Counter(
            name="FlopCounterMode on the CPU", package="torch", unit="FLOPs", count=_count_with_torch,
            call="FlopCounterMode().get_total_flops()",
        ),
    )
}  # fmt: skip
"""By name."""

EXACT = Counter(
    name="FlopCounterMode on the meta device", package="torch", unit="FLOPs", count=_count_with_torch,
    call="FlopCounterMode().get_total_flops()", device="meta",
)  # fmt: skip
"""Has a rule for every matrix product of the model, since attention is made of them there."""


def _load(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise CountError(
            "a counter is not installed", place=module, found=error, remedy="pip install --group others"
        ) from None


def _whole(value: Any) -> int:
    """Return a count as an integer; numpy's and whole floats are as good."""
    if int(value) != value:
        raise CountError("a count is not whole", found=value)
    return int(value)
