"""What a forward was seen to do: the bytes of each operator, and the storages that were alive."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, frozen

from modelmeter.support.errors import CountError


@frozen(kw_only=True)
class MovedOperator:
    """One operator that moves something.

    Parameters
    ----------
    path, name
        The module whose forward called it, and the ATen operator.
    read_bytes, written_bytes
        What it moves.
    """

    path: str
    name: str
    read_bytes: int
    written_bytes: int


@define(kw_only=True)
class LiveStorage:
    """A storage and when it was alive.

    Parameters
    ----------
    path, name
        The module and the operator that made it. The name of what was there before is ``given``; the path is then of
        the first operator that read it.
    nbytes
        Its size.
    born, died
        The place of the first operator that it is alive at, and of the first that it is not; None for never.
    """

    path: str
    name: str
    nbytes: int
    born: int
    died: int | None = None

    def is_alive(self, place: int) -> bool:
        """Tell whether it is alive while the operator at ``place`` runs."""
        return self.born <= place and (self.died is None or place < self.died)


@frozen(kw_only=True)
class Peak:
    """The most that is alive beside one operator, at the first place where it is.

    Parameters
    ----------
    path, name
        The operator.
    storages
        What is alive then, the largest first.
    """

    path: str
    name: str
    storages: tuple[LiveStorage, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all of them."""
        return sum(storage.nbytes for storage in self.storages)


@frozen(kw_only=True)
class Recording:
    """What one forward did.

    Parameters
    ----------
    operators
        Those that move something, in their order.
    places
        Path and name of every operator that was dispatched; storages are born and die at these places.
    storages
        All that were alive, without those of parameters, of buffers, and of the KV cache from when it has them.
    """

    operators: tuple[MovedOperator, ...]
    places: tuple[tuple[str, str], ...]
    storages: tuple[LiveStorage, ...]

    def find_peak(self) -> Peak:
        """Return the first place at which the most is alive.

        Raises
        ------
        CountError
            If nothing ran.
        """
        if not self.places:
            raise CountError("a forward dispatched no operator")
        changes = [0] * (len(self.places) + 1)
        for storage in self.storages:
            changes[storage.born] += storage.nbytes
            changes[len(self.places) if storage.died is None else storage.died] -= storage.nbytes
        alive, most, at = 0, -1, 0
        for place in range(len(self.places)):
            alive += changes[place]
            if alive > most:
                most, at = alive, place
        storages = (storage for storage in self.storages if storage.is_alive(at))
        path, name = self.places[at]
        return Peak(path=path, name=name, storages=tuple(sorted(storages, key=lambda storage: -storage.nbytes)))


@frozen(kw_only=True)
class Sides:
    """What was recorded of both implementations.

    Parameters
    ----------
    sizes
        Of the stage, by dimension.
    ours, theirs
        The reference model's, and the other's.
    """

    sizes: Mapping[str, int]
    ours: Recording
    theirs: Recording
