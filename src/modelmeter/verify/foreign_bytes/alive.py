"""What is alive at the peak of a stage: its storages by what they are for, each with a formula of its bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.support.errors import CountError
from modelmeter.verify.foreign_bytes.records import Peak

Maker = tuple[str, str]
"""An operator, and a pattern of the end of its module's path. What was there before is made by ``given``."""


def _is_of(maker: Maker, name: str, path: str) -> bool:
    operator, pattern = maker
    return name == operator and re.search(rf"(?:^|\.){pattern}$", path) is not None


@frozen(kw_only=True)
class Alive:
    """Storages that are for one thing.

    Parameters
    ----------
    role
        What they are for.
    made_by
        What made them.
    nbytes
        Bytes of all of them.
    each
        Bytes of each, where the same operator makes storages for another thing too.
    """

    role: str
    made_by: Maker
    nbytes: Size
    each: Size | None = None


@frozen(kw_only=True)
class Snapshot:
    """What is alive beside one operator, where it is the peak.

    Parameters
    ----------
    at
        The operator.
    alive
        All that is alive.
    """

    at: Maker
    alive: tuple[Alive, ...]

    def shows(self, peak: Peak) -> bool:
        """Tell whether the peak is here."""
        return _is_of(self.at, peak.name, peak.path)


@frozen(kw_only=True)
class Snapshots:
    """The snapshots of one stage, in both implementations."""

    ours: tuple[Snapshot, ...]
    theirs: tuple[Snapshot, ...]


def name_storages(peak: Peak, snapshots: Iterable[Snapshot], evaluate: Callable[[Size], int]) -> Mapping[str, int]:
    """Return the bytes of each role at a peak.

    Raises
    ------
    CountError
        If no snapshot is of this operator, a storage has no role, or a role has other bytes than its formula says.
    """
    place = f"{peak.path}: {peak.name}"
    snapshot = next((snapshot for snapshot in snapshots if snapshot.shows(peak)), None)
    if snapshot is None:
        raise CountError(
            "the peak is at an operator without an explanation", place=place, found=f"{peak.nbytes} bytes",
            remedy="add a snapshot to those of the stage",
        )  # fmt: skip
    found = dict.fromkeys((alive.role for alive in snapshot.alive), 0)
    for storage in peak.storages:
        roles = [
            alive.role
            for alive in snapshot.alive
            if _is_of(alive.made_by, storage.name, storage.path)
            and (alive.each is None or evaluate(alive.each) == storage.nbytes)
        ]
        if len(roles) != 1:
            raise CountError(
                "a storage that is alive at the peak has not one role", place=place,
                found=f"{storage.nbytes} bytes of {storage.path}: {storage.name}; {roles}",
            )  # fmt: skip
        found[roles[0]] += storage.nbytes
    for alive in snapshot.alive:
        expected = evaluate(alive.nbytes)
        if found[alive.role] != expected:
            raise CountError(
                f"other bytes than the formula says: {alive.role}", place=place, expected=expected,
                found=found[alive.role],
            )  # fmt: skip
    return found
