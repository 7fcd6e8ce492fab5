"""Keeps what operators make of tensors on the meta device: layers that are alike do the same once more.

On the meta device an operator does nothing but work out types, shapes and strides, in Python for most of them. These of
what it is given say all about what it returns, and about what it is counted at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import torch
from attrs import field, frozen
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from modelmeter.verify.plain_mode import PlainDispatchMode

_PLAIN: Final = frozenset(
    {bool, int, float, str, torch.dtype, torch.device, torch.layout, torch.memory_format, type(None)}
)
"""Types of arguments that say all."""

_SYMBOLIC: Final = (torch.SymInt, torch.SymFloat, torch.SymBool)

_BY_VALUES: Final = (torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output)
"""Tags of operators whose results hang on the values of tensors."""

_ROWS: Final = torch.ops.aten.index.Tensor
"""An operator with such a tag, whose results do so only where a condition chooses."""


@frozen
class _Made:
    """A tensor that an operator made, on memory of its own."""

    shape: tuple[Any, ...]
    stride: tuple[Any, ...]
    dtype: torch.dtype
    fake: FakeTensorMode | None

    @classmethod
    def of(cls, tensor: Tensor) -> _Made:
        """Return what says all about a tensor."""
        fake = tensor.fake_mode if isinstance(tensor, FakeTensor) else None
        return cls(tuple(tensor.shape), tensor.stride(), tensor.dtype, fake)

    def make(self) -> Tensor:
        """Make one that is like it."""
        with torch._C._DisableTorchDispatch():  # as FakeTensorMode itself makes what it has kept
            tensor = torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")
            return tensor if self.fake is None else FakeTensor(self.fake, tensor, tensor.device)


@frozen
class Known:
    """What an operator returned, one tensor or several, and what was counted meanwhile.

    Parameters
    ----------
    made, container, flops
        These.
    counted
        What those who count operators made of it, by what else that hangs on.
    """

    made: tuple[_Made, ...]
    container: type | None
    flops: Any
    counted: dict[Any, Any] = field(factory=dict, eq=False)

    def make(self) -> Any:
        """Make what is like it."""
        if self.container is None:
            return self.made[0].make()
        return self.container(each.make() for each in self.made)


@frozen
class _Views:
    """Views that an operator returned, one or several: the shape, the strides and the beginning of each."""

    shown: tuple[tuple[Any, Any, Any], ...]
    container: type | None

    def show(self, viewed: FakeTensor) -> Any:
        """Return the like of them."""
        if self.container is None:
            return _show(viewed, *self.shown[0])
        return self.container(_show(viewed, *each) for each in self.shown)


def _show(viewed: FakeTensor, shape: Any, stride: Any, begin: Any) -> Tensor:
    with torch._C._DisableTorchDispatch():  # as FakeTensorMode itself makes what it has kept
        view = viewed.as_strided(shape, stride, begin)
        return FakeTensor(viewed.fake_mode, view, view.device)


class KnownResults:
    """Runs operators, and again only those that are not known.

    An operator is known if it was given the same numbers, and tensors on the meta device of the same types, shapes and
    strides before, and made nothing but new tensors. That is for one forward, during which the default type stays.
    Autograd, which is above all modes, makes its own of a result where gradients are wanted; of views it makes more.

    Parameters
    ----------
    count
        Returns what was counted by now.

    Attributes
    ----------
    last
        What is known of the operator that was run last; None if it is nothing.
    """

    def __init__(self, count: Callable[[], Any] = int) -> None:
        self._count = count
        self._seen = self._total = count()
        self._known: dict[Any, Known | None] = {}
        self.last: Known | None = None
        self._views: dict[Any, _Views | None] = {}

    def get_total_flops(self) -> Any:
        """Return what was counted by now, and with it what those operators count that were known.

        It is the same object as before if nothing was counted since.
        """
        now = self._count()
        if now is not self._seen:
            self._total = self._total + (now - self._seen)
            self._seen = now
        return self._total

    def run(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        finish: Callable[[Any], Any] = lambda result: result,
    ) -> Any:
        """Return what an operator makes of its arguments, and ``finish`` of that; or the like of it."""
        key = make_key(func, args, kwargs)
        known = self.last = None if key is None else self._known.get(key)
        if known is not None:
            if known.flops is not None:
                self._total = self._total + known.flops
            return known.make()
        if key is None or key in self._known:
            return finish(func(*args, **kwargs))
        before = self.get_total_flops()
        result = finish(func(*args, **kwargs))
        after = self.get_total_flops()
        self.last = self._known[key] = _learn(result, None if after is before else after - before)
        return result

    def view(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the views that an operator makes; or the like of them, where working them out takes time.

        That is where sizes are symbols. Elsewhere no mode needs to see what is a view by its schema: it has no FLOPs.
        """
        viewed = args[0]
        if func.is_view and _is_plain():
            with torch._C._DisableTorchDispatch():
                return func(*args, **kwargs)
        key = _make_key_of_view(func, args, kwargs) if isinstance(viewed, FakeTensor) else None
        known = None if key is None else self._views.get(key)
        if known is not None:
            return known.show(viewed)
        result = func(*args, **kwargs)
        if key is not None and key not in self._views:
            self._views[key] = _learn_views(result, viewed)
        return result


def _is_plain() -> bool:
    """Tell whether tensors are what they seem, as no mode makes fake ones of them."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is None


class KnownForward(PlainDispatchMode):
    """Runs a forward on the meta device in less time: what is known does not run again."""

    def __init__(self) -> None:
        super().__init__()
        self._known = KnownResults()

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run ``func`` if it is not known."""
        return self._known.run(func, args, kwargs or {})


def make_key(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what an operator and its arguments are known by; None where that does not say what the result is."""
    if func is _ROWS and any(index is not None and index.dtype != torch.int64 for index in args[1]):
        return None  # how many elements a condition chooses is in its values
    return _make_key(func, args, kwargs) if _makes_new(func) else None


def _make_key_of_view(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if torch.is_grad_enabled():
        return None
    key = _make_key(func, args, kwargs)
    return None if key is None or func._schema.is_mutable else (key, name_size(args[0].storage_offset()))


def _make_key(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    devices: set[str] = set()
    try:
        parts = (func, _describe(args, devices), *((name, _describe(value, devices)) for name, value in kwargs.items()))
    except _UnknownError:
        return None
    return parts if "meta" in devices else None


class _UnknownError(Exception):
    """An argument hangs on more than can be told."""


def _describe(argument: Any, devices: set[str]) -> Any:
    """Return what tells an argument from others, and note the devices of its tensors."""
    if type(argument) in _PLAIN:
        return type(argument), argument  # 1, 1.0 and True are equal
    if isinstance(argument, Tensor):
        return _describe_tensor(argument, devices)
    if isinstance(argument, _SYMBOLIC):
        return type(argument), argument.node._expr
    if isinstance(argument, list | tuple):
        return tuple(_describe(each, devices) for each in argument)
    raise _UnknownError


def _describe_tensor(tensor: Tensor, devices: set[str]) -> Any:
    dtype, device = tensor.dtype, tensor.device.type
    # A complex tensor may be a view that is conjugated; booleans that are there may choose elements.
    if dtype.is_complex or tensor.layout is not torch.strided or (device != "meta" and dtype == torch.bool):
        raise _UnknownError
    devices.add(device)
    if isinstance(tensor, FakeTensor):
        return dtype, device, tuple(map(name_size, tensor.shape)), tuple(map(name_size, tensor.stride()))
    return dtype, device, tensor.shape, tensor.stride()


def name_size(size: Any) -> Any:
    """Return the formula of a size, as it was made: a symbolic size has no hash."""
    return size.node._expr if isinstance(size, torch.SymInt) else size


@cache
def _makes_new(func: Any) -> bool:
    """Tell whether all that an operator returns is new, and does not hang on the values of tensors."""
    schema = func._schema
    return not (
        func.namespace != "aten"
        or any(each.alias_info is not None for each in (*schema.arguments, *schema.returns))
        or (any(tag in func.tags for tag in _BY_VALUES) and func is not _ROWS)
    )


def _learn(result: Any, flops: Any) -> Known | None:
    """Return how to make the like of a result; None where it is no new tensor, or tensors, on the meta device."""
    tensors = _list_tensors(result)
    if tensors is None:
        return None
    made = tuple(map(_Made.of, tensors))
    if any(_measure(one) != _measure(other.make()) for one, other in zip(tensors, made, strict=True)):
        return None  # views of more memory than they show
    return Known(made, None if isinstance(result, Tensor) else type(result), flops)


def _learn_views(result: Any, viewed: Tensor) -> _Views | None:
    """Return how to make the like of views; None where they are none of the memory that is viewed, as it is."""
    tensors = _list_tensors(result)
    memory = viewed.untyped_storage()._cdata
    if tensors is None or any(
        tensor.untyped_storage()._cdata != memory or tensor.dtype != viewed.dtype for tensor in tensors
    ):
        return None
    shown = tuple((tuple(tensor.shape), tensor.stride(), tensor.storage_offset()) for tensor in tensors)
    return _Views(shown, None if isinstance(result, Tensor) else type(result))


def _list_tensors(result: Any) -> list[Tensor] | None:
    """Return the tensors of a result; None where there is more to them than types, shapes and strides."""
    if type(result) not in (tuple, list):
        result = [result]
    tensors = [tensor for tensor in result if isinstance(tensor, Tensor)]
    has_more = any(
        tensor.device.type != "meta" or tensor.dtype.is_complex or tensor.layout is not torch.strided
        for tensor in tensors
    )
    return None if has_more or not tensors or len(tensors) < len(result) else tensors


def _measure(tensor: Tensor) -> tuple[Any, ...]:
    """Return the bytes of the memory of a tensor, and where in it the tensor begins."""
    return name_size(tensor.untyped_storage().nbytes()), name_size(tensor.storage_offset())
