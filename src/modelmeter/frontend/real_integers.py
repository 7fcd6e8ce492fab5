"""Runs modules with real integers and all floats on the meta device: code that reads indices takes its true branches.

Windows, lengths, masks and positions are integer tensors on the CPU, with their values. Weights and activations are on
the meta device, and have shapes only. Where both meet, the integers go to the meta device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from modelmeter.verify.dispatch import tensors_in
from modelmeter.verify.plain_mode import PlainDispatchMode


class RealIntegers(PlainDispatchMode):
    """Keeps new tensors of integers on the CPU, wherever they are asked for."""

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func`` where its tensors are."""
        kwargs = dict(kwargs or {})
        name: str = func._overloadpacket.__name__
        if name == "to":  # one of its forms takes the device by its place
            names = [argument.name for argument in func._schema.arguments]
            place = names.index("device") if "device" in names else len(args)
            args, kwargs = args[:place], {**dict(zip(names[place:], args[place:], strict=False)), **kwargs}
        devices = {tensor.device.type for tensor in tensors_in(args, kwargs)}
        wanted = kwargs.get("device")
        is_to_meta = wanted is not None and torch.device(wanted).type == "meta"
        if "meta" not in devices and is_to_meta and (devices or _makes_integers(name, args, kwargs)):
            kwargs["device"] = torch.device("cpu")
        elif devices == {"meta", "cpu"}:
            if name == "copy_" and args[0].device.type == "cpu":
                return args[0]
            args, kwargs = tree_map(_to_meta, (args, kwargs))
        elif "meta" in devices and wanted is not None and torch.device(wanted).type == "cpu":
            kwargs["device"] = torch.device("meta")  # floats have no values to bring to where the integers are
        return func(*args, **kwargs)


def _makes_integers(name: str, args: Any, kwargs: dict[str, Any]) -> bool:
    dtype = kwargs.get("dtype")
    if dtype is not None:
        return not (dtype.is_floating_point or dtype.is_complex)
    numbers = [leaf for leaf in tree_leaves(args) if isinstance(leaf, int | float) and not isinstance(leaf, bool)]
    return name in ("arange", "full", "scalar_tensor") and all(isinstance(number, int) for number in numbers)


def _to_meta(leaf: object) -> object:
    return leaf.to("meta") if isinstance(leaf, Tensor) and leaf.device.type == "cpu" else leaf
