"""Puts both implementations of a stage side by side, and explains each operator and what is alive at the peak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from attrs import frozen

from modelmeter.dimensions.evaluate import Evaluator
from modelmeter.dimensions.functions import Size, bounded_routed_reads
from modelmeter.support.errors import CountError
from modelmeter.verify.foreign_bytes.alive import Snapshots, name_storages
from modelmeter.verify.foreign_bytes.causes import Cause, Moved, add_up
from modelmeter.verify.foreign_bytes.records import Recording, Sides


@frozen(kw_only=True)
class ComparedOperator:
    """One ATen operator in both implementations.

    Parameters
    ----------
    name
        The operator.
    our_calls, their_calls
        How often it runs.
    ours, theirs
        Bytes that it moves.
    causes
        Names of the causes that change them.
    """

    name: str
    our_calls: int
    their_calls: int
    ours: Moved
    theirs: Moved
    causes: tuple[str, ...]


@frozen(kw_only=True)
class AliveRow:
    """What is alive for one thing at the peaks of both implementations, in bytes."""

    role: str
    ours: int
    theirs: int


@frozen(kw_only=True)
class PeakPlace:
    """Where the peak of an implementation is, and how many bytes are alive there."""

    path: str
    operator: str
    nbytes: int


@frozen(kw_only=True)
class Traffic:
    """The bytes that a stage moves in both implementations, explained.

    Parameters
    ----------
    operators
        All of both, those with the largest differences first.
    causes
        The causes with the bytes that each one adds, or takes away, in their order.
    """

    operators: tuple[ComparedOperator, ...]
    causes: tuple[tuple[Cause, int], ...]

    @property
    def our_bytes(self) -> int:
        """All that ours moves."""
        return sum(int(row.ours.nbytes) for row in self.operators)

    @property
    def their_bytes(self) -> int:
        """All that transformers moves."""
        return sum(int(row.theirs.nbytes) for row in self.operators)


@frozen(kw_only=True)
class Peaks:
    """What is alive at the peak of a stage in both implementations.

    Parameters
    ----------
    alive
        By what it is for, in both.
    ours, theirs
        Where the peaks are.
    """

    alive: tuple[AliveRow, ...]
    ours: PeakPlace
    theirs: PeakPlace


def explain_traffic(known: Mapping[str, int], sides: Sides, causes: Sequence[Cause]) -> Traffic:
    """Return what a stage moves; ``known`` are the sizes of the architecture.

    Raises
    ------
    CountError
        If the causes do not explain what an operator reads or writes to the last byte. It names the operator.
    """
    evaluate = _Values({**known, **sides.sizes})
    explained = {
        cause.name: {operator: evaluate.moved(moved) for operator, moved in cause.moved.items()} for cause in causes
    }
    (our_calls, ours), (their_calls, theirs) = _add_up(sides.ours), _add_up(sides.theirs)
    total = add_up(term for terms in explained.values() for term in terms.items())
    names = sorted({*ours, *theirs, *total})
    for name in names:
        expected = ours.get(name, Moved()) + total.get(name, Moved())
        found = theirs.get(name, Moved())
        if found != expected:
            raise CountError(
                "the causes do not explain what transformers moves", place=f"aten.{name}",
                expected=f"{expected.read_bytes} bytes read and {expected.written_bytes} written",
                found=f"{found.read_bytes} and {found.written_bytes}, at {dict(sides.sizes)}",
                remedy="add a cause to those of the stage",
            )  # fmt: skip
    rows = (
        ComparedOperator(
            name=name,
            our_calls=our_calls[name],
            their_calls=their_calls[name],
            ours=ours.get(name, Moved()),
            theirs=theirs.get(name, Moved()),
            causes=tuple(cause for cause, terms in explained.items() if terms.get(name, Moved()) != Moved()),
        )
        for name in names
    )
    return Traffic(
        operators=tuple(sorted(rows, key=lambda row: -abs(row.theirs.nbytes - row.ours.nbytes))),
        causes=tuple((cause, sum(moved.nbytes for moved in explained[cause.name].values())) for cause in causes),
    )


def explain_peaks(known: Mapping[str, int], sides: Sides, snapshots: Snapshots) -> Peaks:
    """Return what is alive at the peaks of a stage; ``known`` are the sizes of the architecture.

    Raises
    ------
    CountError
        If no snapshot says what is alive there. It names the operator.
    """
    evaluate = _Values({**known, **sides.sizes})
    ours, theirs = sides.ours.find_peak(), sides.theirs.find_peak()
    our_roles = name_storages(ours, snapshots.ours, evaluate)
    their_roles = name_storages(theirs, snapshots.theirs, evaluate)
    return Peaks(
        alive=tuple(
            AliveRow(role=role, ours=our_roles.get(role, 0), theirs=their_roles.get(role, 0))
            for role in dict.fromkeys((*our_roles, *their_roles))
        ),
        ours=PeakPlace(path=ours.path, operator=ours.name, nbytes=ours.nbytes),
        theirs=PeakPlace(path=theirs.path, operator=theirs.name, nbytes=theirs.nbytes),
    )


class _Values:
    """Evaluates formulas at the sizes of a stage, where experts take even shares.

    Parameters
    ----------
    sizes
        By dimension.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._evaluate = Evaluator(sizes, bounded_routed_reads)

    def __call__(self, formula: Size) -> int:
        """Return whole bytes."""
        value = self._evaluate(formula)
        if not isinstance(value, int):
            raise CountError("a formula of bytes is not whole", found=formula)
        return value

    def moved(self, moved: Moved) -> Moved:
        """Return numbers for formulas."""
        return Moved(read_bytes=self(moved.read_bytes), written_bytes=self(moved.written_bytes))


def _add_up(recording: Recording) -> tuple[Counter[str], dict[str, Moved]]:
    """Return how often each operator ran, and what it moved."""
    moved = add_up(
        (operator.name, Moved(read_bytes=operator.read_bytes, written_bytes=operator.written_bytes))
        for operator in recording.operators
    )
    return Counter(operator.name for operator in recording.operators), moved
