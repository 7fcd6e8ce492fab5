"""One forward of each layer class over arrays, and its ``fused_io_bytes``; see the modules ``arrays`` and ``layers``.

The functions are those of ``layers``, whose sizes may be arrays here. Sizes that the reads of routed experts depend on,
other than the tokens, are one number each. ``CONVENTIONS`` of the package says what is counted.
"""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

from numpy.typing import ArrayLike

from . import layers
from ._array_runtime import Cost, Engine, SizeLike, evaluate
from ._operations import Array
from ._plan import Overflow
from ._runtime import Bits

__all__ = list(layers.__all__)


def __getattr__(name: str) -> Callable[..., Any]:
    """Return the function of a layer, made when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    layer = getattr(layers, name)
    function = _over_arrays(layer) if layer.__name__ == name else __getattr__(layer.__name__)
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))


def _over_arrays(layer: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function over arrays of a layer."""
    name, is_cost = layer.__name__, not layer.__name__.endswith("_fused_io_bytes")
    options = {"overflow": ("error", Overflow), "engine": ("auto", Engine)}
    given = signature(layer)
    parameters = [
        *(size.replace(annotation=_KINDS.get(size.annotation, str)) for size in given.parameters.values()),
        *(
            Parameter(option, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for option, (default, kind) in options.items()
        ),
    ]
    defaults = {parameter.name: parameter.default for parameter in parameters}

    def evaluate_layer(**sizes: Any) -> Any:
        for size in sizes:
            if size not in defaults:
                raise TypeError(f"{name}() got an unexpected keyword argument {size!r}")
        known = {**defaults, **sizes}
        overflow, engine = known.pop("overflow"), known.pop("engine")
        routing = known.pop("expert_routing", "uniform")
        metrics = evaluate(f"layers.{name}", known, overflow, engine, routing)
        return Cost(*metrics) if is_cost else metrics[0]

    evaluate_layer.__name__ = evaluate_layer.__qualname__ = name
    evaluate_layer.__doc__ = layer.__doc__
    vars(evaluate_layer)["__signature__"] = given.replace(
        parameters=parameters, return_annotation=Cost if is_cost else Array
    )
    return evaluate_layer


_KINDS: dict[Any, Any] = {int: ArrayLike, int | None: ArrayLike | None, Bits: SizeLike, "Bits": SizeLike}
"""What sizes may be over arrays, by what they are in ``layers``."""
