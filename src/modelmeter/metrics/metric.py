"""The metrics: what each counts, in which unit, and how it adds up over the stages of a request."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from attrs import frozen

MetricName = Literal[
    "tensor_core_flops", "cuda_core_flops", "io_bytes", "weight_bytes", "activation_bytes", "kv_cache_bytes"
]
"""The metrics of a cost."""

FusedMetric = Literal["fused_io_bytes"]
PeakMetric = Literal["peak_activation_bytes"]
BackwardMetric = Literal["backward_tensor_core_flops", "backward_cuda_core_flops"]


@frozen(kw_only=True)
class Metric:
    """A metric.

    Parameters
    ----------
    name
        Of the field of a cost, or of the function that returns it.
    unit
        What one of it is.
    meaning
        What it counts, as a part of a sentence.
    short_name
        In formulas.
    over_stages
        What a request has of those of its stages: their sum, the one that all of them share (``once``), the largest,
        or that of the last stage. A sum is a flow, and adds over calls and steps, too; the others are states.
    """

    name: str
    unit: Literal["FLOPs", "bytes"]
    meaning: str
    short_name: str
    over_stages: Literal["sum", "once", "largest", "last"]

    @property
    def is_flow(self) -> bool:
        """Whether it adds over calls, steps and stages."""
        return self.over_stages == "sum"


METRICS: Final[tuple[MetricName, ...]] = (
    "tensor_core_flops",
    "cuda_core_flops",
    "io_bytes",
    "weight_bytes",
    "activation_bytes",
    "kv_cache_bytes",
)

FUSED_IO: Final[FusedMetric] = "fused_io_bytes"
"""A flow, as ``io_bytes`` is, but no field of a cost: these are of all operators (:mod:`modelmeter.metrics.fusion`)."""

PEAK: Final[PeakMetric] = "peak_activation_bytes"
"""Of the operators of a stage, the largest; so it does not add up, and is no field of a cost."""

BACKWARD_METRICS: Final[tuple[BackwardMetric, ...]] = ("backward_tensor_core_flops", "backward_cuda_core_flops")
"""FLOPs of the backward of a layer."""

METRIC_RECORDS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(
                name="tensor_core_flops", unit="FLOPs", meaning="FLOPs of matrix products", short_name="tensor",
                over_stages="sum",
            ),
            Metric(
                name="cuda_core_flops", unit="FLOPs", meaning="FLOPs of all other arithmetic", short_name="cuda",
                over_stages="sum",
            ),
            Metric(
                name="io_bytes", unit="bytes", meaning="bytes that operators read and write", short_name="io",
                over_stages="sum",
            ),
            Metric(
                name=FUSED_IO, unit="bytes", meaning="the same with every operator fused that can be",
                short_name="fused", over_stages="sum",
            ),
            Metric(
                name="weight_bytes", unit="bytes", meaning="bytes of the parameters", short_name="weight",
                over_stages="once",
            ),
            Metric(
                name="activation_bytes", unit="bytes", meaning="bytes of all operator outputs of one forward",
                short_name="act", over_stages="largest",
            ),
            Metric(
                name="kv_cache_bytes", unit="bytes", meaning="bytes of the keys and values that are kept",
                short_name="kv", over_stages="last",
            ),
            Metric(
                name=PEAK, unit="bytes", meaning="bytes of the activations that are alive together at the most",
                short_name="peak", over_stages="largest",
            ),
        )
    }
)  # fmt: skip
"""All metrics by name, in the order of the documentation."""

FLOWS: Final[frozenset[str]] = frozenset(name for name in METRICS if METRIC_RECORDS[name].is_flow)
"""Metrics of a cost that add over calls, steps and stages. The others are states."""
