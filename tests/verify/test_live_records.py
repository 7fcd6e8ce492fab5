"""Where the peak of a recording is."""

from __future__ import annotations

import pytest

from modelmeter.support.errors import CountError
from modelmeter.verify.foreign_bytes.records import LiveStorage, Recording


def live(nbytes: int, born: int, died: int | None) -> LiveStorage:
    return LiveStorage(path="layer", name="add", nbytes=nbytes, born=born, died=died)


def test_the_peak_is_the_first_place_where_the_most_is_alive() -> None:
    places = (("a", "add"), ("b", "mul"), ("c", "sub"), ("d", "div"))
    # Alive: 7; 7 + 11; 11 + 13; 11 + 13 again.
    storages = (live(7, 0, 2), live(11, 1, None), live(13, 2, None))
    peak = Recording(operators=(), places=places, storages=storages).find_peak()
    assert (peak.path, peak.name, peak.nbytes) == ("c", "sub", 24)
    assert [storage.nbytes for storage in peak.storages] == [13, 11]


def test_a_storage_that_dies_before_it_is_used_again_is_alive_nowhere() -> None:
    recording = Recording(operators=(), places=(("a", "add"),), storages=(live(7, 0, 0), live(5, 0, 1)))
    assert recording.find_peak().nbytes == 5


def test_a_forward_of_nothing_has_no_peak() -> None:
    with pytest.raises(CountError, match="dispatched no operator"):
        Recording(operators=(), places=(), storages=()).find_peak()
