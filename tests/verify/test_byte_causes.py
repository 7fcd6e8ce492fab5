"""The arithmetic of causes."""

from __future__ import annotations

from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.verify.foreign_bytes.causes import Moved, add_up, make_cause, ours, scale, theirs

K, Q = symbol("num_keys"), symbol("num_queries")


def test_a_cause_is_what_they_have_more_less_what_ours_has_more() -> None:
    cause = make_cause("name", "text", [theirs("mm", 3 * K, 5 * K), ours("mm", K), ours("add", Q, 2 * Q)], times=7)
    assert cause.moved == {
        "mm": Moved(read_bytes=14 * K, written_bytes=35 * K),
        "add": Moved(read_bytes=-7 * Q, written_bytes=-14 * Q),
    }
    assert cause.each_bytes == 7 * K - 3 * Q


def test_terms_are_scaled_one_by_one() -> None:
    assert add_up(scale((theirs("mm", 3, 5), ours("mm", 1, 2)), K)) == {
        "mm": Moved(read_bytes=2 * K, written_bytes=3 * K)
    }


def test_moved_bytes_add_and_subtract() -> None:
    more, less = Moved(read_bytes=13, written_bytes=11), Moved(read_bytes=7, written_bytes=5)
    assert more + less == Moved(read_bytes=20, written_bytes=16)
    assert more - less == Moved(read_bytes=6, written_bytes=6)
    assert more.nbytes == 24
