"""Why other counters differ: each cause with the FLOPs that it makes, from the shapes of the calls of a stage.

A cause is right if the causes of a counter together give its difference from the exact count, to the last FLOP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import floor, prod

from attrs import frozen

from modelmeter.verify.other_counters.calls import ATTENTION, FunctionCall, ModuleCall, StageCalls


@frozen(kw_only=True)
class Cause:
    """A cause of a difference.

    Parameters
    ----------
    text
        What the counter does.
    flops
        What this adds to the exact count, or takes away.
    """

    text: str
    flops: Callable[[StageCalls], int]


def _products(calls: Iterable[FunctionCall]) -> int:
    return sum(call.tensor_core_flops for call in calls)


def _outputs(calls: Iterable[FunctionCall]) -> int:
    return sum(prod(call.output) for call in calls)


def _biased(calls: StageCalls) -> Iterable[FunctionCall]:
    return (call for call in calls.functions if call.has_bias)


def _leave_out(text: str, *names: str) -> Cause:
    return Cause(text=text, flops=lambda calls: -_products(calls.named(*names)))


def _printed(flops: int) -> float:
    """Return the size of a contraction as ``numpy.einsum_path`` prints it: it starts to count at one."""
    return float(f"{flops + 1:.3e}")


def _dropped(calls: StageCalls) -> int:
    """Return what remains of each linear layer when only the first dimension of its output counts, less all of it."""
    return sum(
        2 * call.weights * (call.output[0] - prod(call.output[:-1]))
        for call in calls.modules
        if call.class_name == "Linear"
    )


def _without_product(calls: StageCalls) -> int:
    """Return two FLOPs for each element of a parameter without product, and each element of the first dimension."""

    def elements(call: ModuleCall) -> int:
        if call.class_name == "Conv2d":
            return call.others * prod(call.output) // call.output[1]
        has_product = call.class_name in ("Linear", "MoEGate")
        return call.output[0] * (call.others if has_product else call.weights + call.others)

    return sum(2 * elements(call) for call in calls.modules)


_CPU_ATTENTION = (
    "has no rule for the operator that attention is on the CPU, `_scaled_dot_product_flash_attention_for_cpu`"
)
_BIAS = "counts each sum with a bias as a multiply-add"
_NUMPY = "reads the size of an `einsum` in a text of `numpy.einsum_path`, which rounds it to four digits"

CAUSES: Mapping[str, tuple[Cause, ...]] = {
    "torchinfo": (
        Cause(
            text="multiplies the weights of `Linear` by the first dimension of the output only: rows of a batch, not "
            "its positions. Experts get a list of tokens, so theirs are right",
            flops=_dropped,
        ),
        _leave_out("hooks modules, and attention is a function", *ATTENTION),
        _leave_out(
            "hooks modules, and the products of relative and rotary positions are functions", "einsum", "matmul"
        ),
        Cause(
            text="counts parameters that multiply no matrix, such as biases, norms and whole tables of embeddings",
            flops=_without_product,
        ),
    ),
    "fvcore": (
        _leave_out("has no rule for `scaled_dot_product_attention`; it lists it as unsupported", *ATTENTION),
        Cause(
            text="counts five multiply-adds for each element of a `layer_norm`, but nothing for other norms",
            flops=lambda calls: 2 * 5 * _outputs(calls.named("layer_norm")),
        ),
        Cause(
            text=_NUMPY,
            flops=lambda calls: sum(
                2 * floor(_printed(call.tensor_core_flops) / 2) - call.tensor_core_flops
                for call in calls.named("einsum")
            ),
        ),
    ),
    "calflops": (
        _leave_out("replaces functions by name, and has no rule for `scaled_dot_product_attention`", *ATTENTION),
        _leave_out("replaces `torch.matmul`, and the product of rotary positions is the operator `@`", "matmul"),
        Cause(
            text=_NUMPY,
            flops=lambda calls: sum(
                int(_printed(call.tensor_core_flops)) - call.tensor_core_flops for call in calls.named("einsum")
            ),
        ),
        Cause(
            text="adds the biases of convolutions, though not those of linear layers",
            flops=lambda calls: sum(prod(call.output) for call in calls.named("conv2d") if call.has_bias),
        ),
        Cause(
            text="adds vector arithmetic of some functions: one FLOP an element of `gelu` and `silu`, five of "
            "`layer_norm`, and the pixels of one channel for `interpolate`; none of operators such as `*` and `+`",
            flops=lambda calls: (
                _outputs(calls.named("gelu", "silu"))
                + 5 * _outputs(calls.named("layer_norm"))
                + sum(prod(call.output[2:]) for call in calls.named("interpolate"))
            ),
        ),
    ),
    "ptflops": (
        _leave_out(
            "hooks modules and replaces functions, and has no rule for `scaled_dot_product_attention`", *ATTENTION
        ),
        _leave_out("has no rule for `einsum`, and replaces `torch.matmul`, not the operator `@`", "einsum", "matmul"),
        Cause(
            text="does not replace `linear`, which the router calls as a function",
            flops=lambda calls: -_products(call for call in calls.named("linear") if call.module != "Linear"),
        ),
        Cause(text=_BIAS, flops=lambda calls: 2 * _outputs(_biased(calls))),
        Cause(
            text="counts vector arithmetic as multiply-adds: one an element of `silu`, `layer_norm` and `interpolate`, "
            "and two of `gelu`, once as a module and once as the function inside",
            flops=lambda calls: (
                2 * (_outputs(calls.named("silu", "layer_norm", "interpolate")) + 2 * _outputs(calls.named("gelu")))
            ),
        ),
    ),
    "ptflops (aten)": (
        _leave_out(f"{_CPU_ATTENTION}; only with `verbose` it says so", *ATTENTION),
        Cause(text=_BIAS, flops=lambda calls: 2 * _outputs(_biased(calls))),
    ),
    "FlopCounterMode on the CPU": (_leave_out(f"{_CPU_ATTENTION}, and reports it nowhere", *ATTENTION),),
}
"""By the name of the counter."""
