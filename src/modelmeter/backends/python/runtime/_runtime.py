"""What the evaluators share: the record of a cost, the checks of arguments, the routing of experts."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from fractions import Fraction
    from typing import NoReturn, TypeVar

    Bits = int | Fraction
    Result = TypeVar("Result")
else:  # what is quick to import
    Bits = "int | Fraction"


class CostError(ValueError):
    """A size is out of range, or sizes contradict each other."""


def refuse_sum(cost: object, other: object) -> "NoReturn":
    """Refuse to add costs, or to multiply one: a tuple would be joined to the other one."""
    raise TypeError(
        "costs cannot be added or multiplied: FLOPs and io_bytes add up over calls, but bytes that are held do not; "
        "ask for the request or for the sizes that are meant, or add single metrics"
    )


class Cost(tuple[int, int, int, int, int, int]):
    """The six metrics of a stage or a layer, exact: FLOPs are counts, the others bytes.

    It is a tuple: :meth:`as_dict` has the names too, as for JSON.
    """

    if TYPE_CHECKING:  # what widths that are fractions make is rounded up by who gave them

        def __new__(cls, metrics: "Iterable[Bits]") -> "Cost": ...

    __slots__ = ()
    _fields = (
        "tensor_core_flops",
        "cuda_core_flops",
        "io_bytes",
        "weight_bytes",
        "activation_bytes",
        "kv_cache_bytes",
    )

    @property
    def tensor_core_flops(self) -> int:
        """FLOPs of matrix products."""
        return self[0]

    @property
    def cuda_core_flops(self) -> int:
        """FLOPs of all other arithmetic."""
        return self[1]

    @property
    def io_bytes(self) -> int:
        """Bytes that operators read and write."""
        return self[2]

    @property
    def weight_bytes(self) -> int:
        """Bytes of the parameters."""
        return self[3]

    @property
    def activation_bytes(self) -> int:
        """Bytes of all operator outputs of one forward."""
        return self[4]

    @property
    def kv_cache_bytes(self) -> int:
        """Bytes of the keys and values that are kept."""
        return self[5]

    def as_dict(self) -> dict[str, int]:
        """Return the metrics by name."""
        return dict(zip(self._fields, self, strict=True))

    _asdict = as_dict
    __add__ = __radd__ = __mul__ = __rmul__ = refuse_sum

    def __repr__(self) -> str:
        return f"Cost({', '.join(f'{name}={show(value)}' for name, value in self._asdict().items())})"


def show(value: object) -> str:
    """Return a value for a message, shortened."""
    if isinstance(value, int) and value.bit_length() > 1024:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_size(name: str, value: object, minimum: int) -> int:
    """Return a size as an int, or raise the error that says what is wrong with it."""
    from operator import index

    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {value}")
    try:
        # Whatever says of itself that it is an integer, such as NumPy's scalars.
        size = index(value)  # type: ignore[arg-type]
    except TypeError:
        varies = is_fraction(value) and name.endswith("_bits")
        where = " where it varies: only a width that is known may be a fraction" if varies else ""
        raise TypeError(f"{name} must be an integer{where}, not {type(value).__name__} {show(value)}") from None
    if size < minimum:
        raise CostError(f"{name} must be at least {minimum}, not {show(size)}{explain_minimum(minimum)}")
    return size


def explain_minimum(minimum: int) -> str:
    """Return why a size cannot be smaller, where it is not that nothing is none."""
    return ": with less, the code of the model does something else" if minimum > 1 else ""


def check_bits(name: str, value: object, minimum: int) -> int:
    """Return a size that may be a fraction, or raise the error that says what is wrong with it.

    To the type checker a fraction is an integer here: what comes of it is rounded up in the end.
    """
    if is_fraction(value):
        if value < minimum:  # type: ignore[operator]  # it is a number
            raise CostError(f"{name} must be at least {minimum}, not {value}")
        return value  # type: ignore[return-value]
    if isinstance(value, float):
        raise TypeError(f"{name} must be an integer or a fractions.Fraction, not float {show(value)}")
    # A fraction of denominator 1 is an integer, and true is none though it has one.
    whole = value if isinstance(value, int) else getattr(value, "numerator", value)
    return check_size(name, whole, minimum)


def is_fraction(value: object) -> bool:
    """Tell whether a value is a ratio of two integers, and no integer itself."""
    return getattr(value, "denominator", 1) != 1


def check_again(function: "Callable[..., Result]", sizes: dict[str, object], **minima: int) -> "Result | None":
    """Return what a function returns for sizes that are not all plain integers in range, each checked.

    Bytes of widths that are fractions are rounded up at the end. None says that all sizes are right as they are.

    Parameters
    ----------
    minima
        The smallest value of each size that may be left out or whose smallest is not 1.
    """
    from ._bits import check_again

    return check_again(function, sizes, minima)


def check_routing(value: object) -> None:
    """Raise an error unless ``value`` names a routing of experts."""
    if value not in ("uniform", "even"):
        raise CostError(f'expert_routing must be "uniform" or "even", not {show(value)}')


def too_large(name: str, value: int, limit_name: str, limit: int) -> CostError:
    """Return the error of a size that exceeds another."""
    return CostError(f"{name} must be at most {limit_name}: {show(value)} > {show(limit)}")


def too_small(name: str, value: int, limit_name: str, limit: int) -> CostError:
    """Return the error of a size that falls short of another."""
    return CostError(f"{name} must be at least {limit_name}: {show(value)} < {show(limit)}")


def contradiction(name: str, value: int, other_name: str, other: int) -> CostError:
    """Return the error of a size that is given beside what it follows from, and is not that."""
    return CostError(f"{name} must be {other_name} where both are given: {show(value)} is not {show(other)}")


def no_multiple(name: str, value: int, divisor_name: str, divisor: int) -> CostError:
    """Return the error of a size that another does not divide."""
    return CostError(f"{name} must be a multiple of {divisor_name}: {show(value)} and {show(divisor)}")


def not_zero_together(name: str, value: int, other_name: str, other: int) -> CostError:
    """Return the error of two sizes of which only one is 0."""
    return CostError(f"{name} and {other_name} must be 0 together: {show(value)} and {show(other)}")


def routed_reads(experts: int, per_token: int, tokens: int, weights: int, expert_routing: str) -> int:
    """Return the weights that ``tokens`` tokens read of ``experts`` experts with ``weights`` parameters each.

    A token chooses ``per_token`` experts. With ``"uniform"`` routing the expected number of distinct experts is
    ``E (1 - (1 - k/E)^N)``, and its product with the weights is rounded to a whole number; ``"even"`` is the bound
    ``min(E, k N)``.
    """
    key = (experts, per_token, tokens, weights, expert_routing)
    reads = _known_reads.get(key)
    if reads is None:
        reads = _compute_reads(*key)
        if len(_known_reads) < _MOST_KNOWN_READS:
            _known_reads[key] = reads
    return reads


# Batches and prompts come again and again, and few of them read less than everything.
_known_reads: dict[tuple[int, int, int, int, str], int] = {}
_MOST_KNOWN_READS = 4096


def _compute_reads(experts: int, per_token: int, tokens: int, weights: int, expert_routing: str) -> int:
    if expert_routing == "even":
        return min(experts, per_token * tokens) * weights
    everything = experts * weights
    bits = (2 * everything).bit_length()
    # (1 - k/E)^N is at most exp(-k N / E): below 1 / (2 E W), what is missed rounds to nothing.
    if per_token * tokens > experts * bits:
        return everything
    if tokens * experts.bit_length() > 100_000_000:
        raise CostError(f"too many experts to route {show(tokens)} tokens exactly: {show(experts)}")
    whole: int = experts**tokens
    missed: int = (experts - per_token) ** tokens
    return (2 * everything * (whole - missed) + whole) // (2 * whole)
