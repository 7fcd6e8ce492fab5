"""What the functions of formulas take: the smallest value of a size, and what stands for it where it is not given."""

from typing import NamedTuple

from ._runtime import check_bits, check_size


class Size(NamedTuple):
    """The smallest value that has a meaning, and the default; None where it follows from other sizes.

    Some are only there for a ``target``, a size that follows from them: they are left out where that is given.
    """

    minimum: int
    default: int | None
    target: str | None = None
    may_be_fraction: bool = False

    @property
    def implied(self) -> int | None:
        """What stands for a size that is not given: None is left to the formulas."""
        return None if self.target else self.default

    def check(self, name: str, value: object) -> int:
        """Return one value of the size, or raise the error that says what is wrong with it."""
        return (check_bits if self.may_be_fraction else check_size)(name, value, self.minimum)
