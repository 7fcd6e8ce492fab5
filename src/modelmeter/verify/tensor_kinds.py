"""Which kind of elements a tensor holds, by what stores it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Set
from operator import is_not
from typing import Literal

import torch
from torch import Tensor, nn

from modelmeter.metrics.cost import Elements
from modelmeter.support.errors import CountError
from modelmeter.verify.dispatch import storage_key

Kind = Literal["activation", "weight", "kv", "index", "float32", "byte", "state"]

SMALL_INTEGERS = frozenset({torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32})
"""What counts by its bytes: booleans, and integers that are no indices."""

Cache = Callable[[], Iterable[Tensor]]
"""Returns the tensors that are the KV cache now: a prefill makes them."""


class TensorKinds:
    """Tells what stores the numbers of a tensor."""

    def __init__(self, model: nn.Module, cache: Cache) -> None:
        parameters = list(model.parameters())
        self._weights = {storage_key(parameter) for parameter in parameters}
        # The type that it computes with is that of most parameters: some models keep a few of them in float32.
        types = Counter(parameter.dtype for parameter in parameters) or Counter([torch.get_default_dtype()])
        self._type = types.most_common(1)[0][0]
        self._cache = cache
        self._tensors: list[Tensor] = []
        self._cached: set[int] = set()

    def refresh(self) -> Set[int]:
        """Look again at what the cache is, and return the keys of its storages."""
        tensors = list(self._cache())
        if len(tensors) != len(self._tensors) or any(map(is_not, tensors, self._tensors)):
            self._tensors, self._cached = tensors, set(map(storage_key, tensors))
        return self._cached

    def is_state(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is a parameter, or part of the cache."""
        return storage_key(tensor) in self._weights or self.is_cached(tensor)

    def is_weight(self, key: int) -> bool:
        """Tell whether a storage is that of a parameter."""
        return key in self._weights

    def has_cached(self, keys: Iterable[int]) -> bool:
        """Tell whether any of these storages is part of the cache."""
        return not self._cached.isdisjoint(keys)

    def is_cached(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is part of the cache."""
        return storage_key(tensor) in self._cached

    def measure(self, tensor: Tensor, elements: int) -> Elements:
        """Return as many elements of a tensor by their kind; those of small integers by their bytes.

        A complex number is stored as two real ones.

        Raises
        ------
        CountError
            If the type of the numbers has no agreed width.
        """
        kind = self.find(tensor)
        if tensor.is_complex():
            elements = 2 * elements
        return Elements(**{kind: elements * tensor.element_size() if kind == "byte" else elements})

    def find(self, tensor: Tensor) -> Kind:
        """Return the kind.

        Raises
        ------
        CountError
            If the type of the numbers has no agreed width.
        """
        key = storage_key(tensor)
        if key in self._weights:
            return "weight"
        if key in self._cached:
            return "kv" if self.find_by_type(tensor.dtype) == "activation" else self._find_state(tensor.dtype)
        return self.find_by_type(tensor.dtype)

    def _find_state(self, dtype: torch.dtype) -> Kind:
        if dtype != torch.float32:
            raise CountError("what is cached is neither in the type of the model nor in float32", found=dtype)
        return "state"

    def find_by_type(self, dtype: torch.dtype) -> Kind:
        """Return the kind of numbers that are neither parameters nor cached; see :meth:`find`."""
        if dtype == torch.int64:
            return "index"
        if dtype == self._type:
            return "activation"
        if dtype == torch.complex64:
            return self.find_by_type(torch.float32)  # of its two parts
        if dtype == torch.float32:
            return "float32"
        if dtype in SMALL_INTEGERS:
            return "byte"
        raise CountError("a type of numbers without an agreed width", found=dtype)
