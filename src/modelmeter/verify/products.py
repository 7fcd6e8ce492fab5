"""Counts matrix products with the formulas of FlopCounterMode, and nothing else: that follows modules too."""

from __future__ import annotations

from typing import Any

from torch.utils.flop_counter import flop_registry

from modelmeter.verify.plain_mode import PlainDispatchMode


class ProductCounter(PlainDispatchMode):
    """Counts what FlopCounterMode counts; functions that are made of operators are taken apart for that, as there."""

    def __init__(self) -> None:
        super().__init__()
        self._total: Any = 0
        self._whole: set[Any] = set()

    def get_total_flops(self) -> Any:
        """Return what was counted by now; the same object as before if nothing was since."""
        return self._total

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run ``func``, and count it."""
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            result = func(*args, **kwargs)
            self._total = self._total + formula(*args, **kwargs, out_val=result)
            return result
        if func not in self._whole and func.namespace != "prim":
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
            self._whole.add(func)
        return func(*args, **kwargs)
