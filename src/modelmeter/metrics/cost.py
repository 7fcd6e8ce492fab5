"""What work costs: elements moved, operators, and the six metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter
from typing import Any, Final

import sympy
from attrs import asdict, evolve, field, fields, frozen

from modelmeter.dimensions import symbols
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.sums import add_size, add_sizes, bits_to_bytes, multiply_size
from modelmeter.metrics.metric import METRICS, MetricName

INDEX_BITS = 64
"""Token ids, positions and expert numbers are 64-bit integers in PyTorch, whatever the activations are."""

FLOAT32_BITS = 32
"""What the code keeps in float32 whatever the activations are: the inside of norms, scores of experts, angles."""


@frozen(kw_only=True)
class Precision:
    """How many bits store one element of each kind; formulas by default."""

    weight_bits: Size = symbols.symbol("weight_bits")
    activation_bits: Size = symbols.symbol("activation_bits")
    kv_bits: Size = symbols.symbol("kv_bits")

    def substitute(self, size: Size) -> Size:
        """Return ``size`` with these widths for the symbols that brackets compare, as of a cast."""
        if isinstance(size, int):
            return size
        symbol = symbols.symbol
        widths = {symbol(name): sympy.sympify(width) for name, width in asdict(self).items() if width != symbol(name)}
        return size.xreplace(widths) if widths else size


@frozen(kw_only=True)
class Elements:
    """Numbers of elements by what stores them.

    Activations, parameters, the KV cache, 64-bit indices, and float32 whatever the activations are; bytes, as of
    booleans (a 32-bit integer is four); and states that are cached in float32.
    """

    activation: Size = 0
    weight: Size = 0
    kv: Size = 0
    index: Size = 0
    float32: Size = 0
    byte: Size = 0
    state: Size = 0

    def __add__(self, other: Elements) -> Elements:
        return Elements(**{kind: add_size(getattr(self, kind), getattr(other, kind)) for kind in KINDS})

    @classmethod
    def total(cls, parts: Iterable[Elements]) -> Elements:
        """Return the sum over ``parts``."""
        listed = list(parts)
        if len(listed) <= 1:  # as of the operators of most modules
            return listed[0] if listed else cls()
        return cls(**{kind: add_sizes(map(attrgetter(kind), listed)) for kind in KINDS})

    def convert(self, change: Callable[[Any], Size]) -> Elements:
        """Return elements of which each number is what ``change`` makes of it; 0, as most are, stays."""
        return Elements(
            **{kind: change(size) for kind in KINDS if type(size := getattr(self, kind)) is not int or size}
        )

    def scale(self, factor: Size) -> Elements:
        """Return these elements, ``factor`` times."""
        return self.convert(partial(multiply_size, factor))

    @property
    def floats(self) -> Elements:
        """The floating-point numbers among them that a forward makes or learns: all but indices and the cache."""
        return evolve(self, kv=0, index=0, byte=0, state=0)

    def to_bits(self, precision: Precision) -> Size:
        """Return the bits of these elements."""
        widths = (
            (precision.activation_bits, self.activation), (precision.weight_bits, self.weight),
            (precision.kv_bits, self.kv), (INDEX_BITS, self.index), (FLOAT32_BITS, self.float32), (8, self.byte),
            (FLOAT32_BITS, self.state),
        )  # fmt: skip
        return precision.substitute(
            add_sizes(multiply_size(bits, size) for bits, size in widths if type(size) is not int or size)
        )

    def to_bytes(self, precision: Precision) -> Size:
        """Return the bytes of these elements: an exact rational before the final rounding up."""
        return bits_to_bytes(self.to_bits(precision))


KINDS: Final = tuple(field.name for field in fields(Elements))
"""What elements are told apart by."""

LINEAR_OPERATORS: frozenset[str] = frozenset(
    {
        "embedding", "add", "sub", "_to_copy", "cat", "copy_", "index", "index_put_", "upsample_linear1d",
        "_upsample_bicubic2d_aa", "neg", "constant_pad_nd", "sum", "mean",
    }
)  # fmt: skip
"""Operators whose derivative does not depend on the numbers that they read."""

COPIES: frozenset[str] = frozenset({"clone"})
"""Operators whose backward hands the gradient on as it is."""


@frozen(kw_only=True)
class Operator:
    """One operator of a layer: it reads each input and weight once and writes its output once.

    Its backward makes gradients of what it read from the gradient of what it wrote. See :attr:`backward`.

    Parameters
    ----------
    name
        The ATen operator (``addmm``, ``add``, ``scaled_dot_product_attention``).
    tensor_core_flops, cuda_core_flops
        FLOPs of its matrix products, and of its other arithmetic.
    reads, writes
        Elements that it reads and writes.
    backward_tensor_core_flops, backward_cuda_core_flops
        The same FLOPs of its backward.
    gradients
        Elements of the gradients that its backward writes; by default one for all numbers that it reads. Pixels,
        angles and indices have none.
    differentiated
        Elements of the gradient that its backward begins with; by default one for all numbers that it writes.
        Statistics that it writes beside its output have none.
    is_linear
        Whether its backward needs none of the numbers that it read; by default what ``LINEAR_OPERATORS`` says.
    """

    name: str
    tensor_core_flops: Size = 0
    cuda_core_flops: Size = 0
    reads: Elements = Elements()
    writes: Elements = Elements()
    backward_tensor_core_flops: Size = 0
    backward_cuda_core_flops: Size = 0
    gradients: Elements | None = None
    differentiated: Elements | None = None
    is_linear: bool = field()

    @is_linear.default
    def _is_linear(self) -> bool:
        return self.name in LINEAR_OPERATORS

    @property
    def backward(self) -> Work:
        """What its backward does, without the sums of gradients of a tensor that others use too.

        It reads the gradient of the output, and what the forward read, of which a linear operator needs only the
        indices. It writes a gradient, in the kind of elements of what it is the gradient of.
        """
        own = self.without_cache
        gradients = own.reads.floats if self.gradients is None else self.gradients
        if gradients == Elements() or self.name in COPIES:  # the gradient is handed on: nothing is moved
            return Work(
                tensor_core_flops=self.backward_tensor_core_flops, cuda_core_flops=self.backward_cuda_core_flops
            )
        needed = Elements(index=own.reads.index) if self.is_linear else own.reads
        differentiated = own.writes.floats if self.differentiated is None else self.differentiated
        return Work(
            tensor_core_flops=self.backward_tensor_core_flops,
            cuda_core_flops=self.backward_cuda_core_flops,
            reads=needed + differentiated,
            writes=gradients,
        )

    @property
    def without_cache(self) -> Operator:
        """The operator in training, where keys and values are activations, and nothing is appended to a cache."""
        if self.writes.kv != 0 or self.writes.state != 0:
            return evolve(self, reads=Elements(), writes=Elements())
        reads = self.reads
        floats = {
            "activation": add_size(reads.activation, reads.kv), "float32": add_size(reads.float32, reads.state)
        }  # fmt: skip
        return evolve(self, reads=evolve(reads, **floats, kv=0, state=0))

    def scale(self, factor: Size) -> Operator:
        """Return what ``factor`` calls of the operator do; 0 where it does not run."""
        return evolve(
            self,
            tensor_core_flops=multiply_size(factor, self.tensor_core_flops),
            cuda_core_flops=multiply_size(factor, self.cuda_core_flops),
            reads=self.reads.scale(factor),
            writes=self.writes.scale(factor),
            backward_tensor_core_flops=multiply_size(factor, self.backward_tensor_core_flops),
            backward_cuda_core_flops=multiply_size(factor, self.backward_cuda_core_flops),
            gradients=None if self.gradients is None else self.gradients.scale(factor),
            differentiated=None if self.differentiated is None else self.differentiated.scale(factor),
        )


@frozen(kw_only=True)
class Work:
    """The summed flows of operators, before a precision turns elements into bytes."""

    tensor_core_flops: Size = 0
    cuda_core_flops: Size = 0
    reads: Elements = Elements()
    writes: Elements = Elements()

    def __add__(self, other: Work) -> Work:
        return Work(
            tensor_core_flops=add_size(self.tensor_core_flops, other.tensor_core_flops),
            cuda_core_flops=add_size(self.cuda_core_flops, other.cuda_core_flops),
            reads=self.reads + other.reads,
            writes=self.writes + other.writes,
        )

    def scale(self, factor: Size) -> Work:
        """Return this work, done ``factor`` times."""
        return Work(
            tensor_core_flops=multiply_size(factor, self.tensor_core_flops),
            cuda_core_flops=multiply_size(factor, self.cuda_core_flops),
            reads=self.reads.scale(factor),
            writes=self.writes.scale(factor),
        )

    @classmethod
    def of(cls, parts: Iterable[Operator | Work]) -> Work:
        """Return the sum over ``parts``."""
        listed = list(parts)
        return cls(
            tensor_core_flops=add_sizes(part.tensor_core_flops for part in listed),
            cuda_core_flops=add_sizes(part.cuda_core_flops for part in listed),
            reads=Elements.total(part.reads for part in listed),
            writes=Elements.total(part.writes for part in listed),
        )


@frozen(kw_only=True, eq=False)
class Cost:
    """The six metrics of a layer, a module or a stage. FLOPs are counts, the others bytes.

    It equals the cost of a generated package with the same numbers.
    """

    tensor_core_flops: Size = 0
    cuda_core_flops: Size = 0
    io_bytes: Size = 0
    weight_bytes: Size = 0
    activation_bytes: Size = 0
    kv_cache_bytes: Size = 0

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Cost):
            return all(self[metric] == other[metric] for metric in METRICS)
        if isinstance(other, tuple) and getattr(other, "_fields", None) == METRICS:  # that of a generated package
            return tuple(self.as_dict().values()) == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __add__(self, other: Cost) -> Cost:
        return Cost(**{metric: self[metric] + other[metric] for metric in METRICS})

    def __getitem__(self, metric: MetricName) -> Size:
        value: Size = getattr(self, metric)
        return value

    def scale(self, factor: Size) -> Cost:
        """Return every metric times ``factor``."""
        return Cost(**{metric: factor * self[metric] for metric in METRICS})

    def as_dict(self) -> dict[MetricName, Size]:
        """Return the metrics by name, in their published order."""
        return {metric: self[metric] for metric in METRICS}

    @classmethod
    def of(
        cls, *, work: Work, parameters: Size, kv_elements: Size, precision: Precision, state_elements: Size = 0
    ) -> Cost:
        """Return the metrics of ``work`` by a module of ``parameters`` that caches ``kv_elements``, and states.

        Activations are what operators write, the cache apart: it is a state of its own.
        """
        activations = evolve(work.writes, weight=0, kv=0, state=0)
        return cls(
            tensor_core_flops=work.tensor_core_flops,
            cuda_core_flops=work.cuda_core_flops,
            io_bytes=(work.reads + work.writes).to_bytes(precision),
            weight_bytes=bits_to_bytes(parameters * precision.weight_bits),
            activation_bytes=activations.to_bytes(precision),
            kv_cache_bytes=bits_to_bytes(kv_elements * precision.kv_bits + state_elements * FLOAT32_BITS),
        )


assert tuple(field.name for field in fields(Cost)) == METRICS  # one order everywhere
