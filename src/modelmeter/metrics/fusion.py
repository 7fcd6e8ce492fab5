"""A second reading of the traffic of the same operators: with all of them fused that can be.

``io_bytes`` is the traffic of eager PyTorch: every operator reads its inputs and writes its output. A compiler or a
serving engine fuses norms, activations, sums, rotations, casts and copies into their neighbours. What is left then is
the traffic of matrix products, convolutions, attention and look-ups.
"""

from __future__ import annotations

from modelmeter.metrics.cost import Operator, Work
from modelmeter.metrics.operator_table import UNFUSED_OPERATORS


def keep_unfused(operator: Operator) -> Work:
    """Return what an operator reads and writes, or nothing where it is fused into its neighbours."""
    if operator.name in UNFUSED_OPERATORS:
        return Work(reads=operator.reads, writes=operator.writes)
    return Work()
