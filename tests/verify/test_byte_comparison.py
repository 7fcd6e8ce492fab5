"""Explaining recordings that are made by hand."""

from __future__ import annotations

import pytest
from tiny import TINY

from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import CountError
from modelmeter.verify.foreign_bytes.alive import Alive, Snapshot, Snapshots
from modelmeter.verify.foreign_bytes.causes import Moved, make_cause, ours, theirs
from modelmeter.verify.foreign_bytes.comparison import AliveRow, explain_peaks, explain_traffic
from modelmeter.verify.foreign_bytes.records import LiveStorage, MovedOperator, Recording, Sides

KEYS, HIDDEN = symbol("num_keys"), symbol("hidden_size")


def record(operators: list[tuple[str, int, int]], *storages: tuple[str, int]) -> Recording:
    return Recording(
        operators=tuple(
            MovedOperator(path="layer", name=name, read_bytes=read, written_bytes=written)
            for name, read, written in operators
        ),
        places=(("layer", "mm"),),
        storages=tuple(LiveStorage(path="layer", name=name, nbytes=nbytes, born=0) for name, nbytes in storages),
    )


SIDES = Sides(
    sizes={"num_keys": 7},
    ours=record([("mm", 100, 10), ("mm", 200, 20), ("add", 5, 5)], ("mm", 48), ("cat", 11)),
    theirs=record([("mm", 100, 10), ("mm", 200 + 7, 20), ("mul", 3 * 24, 0), ("add", 5, 5)], ("mm", 48), ("add", 13)),
)
# 24 channels, and 7 keys.
CAUSES = (
    make_cause("longer", "reads more", [theirs("mm", KEYS)]),
    make_cause("weighed", "multiplies", [theirs("mul", HIDDEN)], times=3),
    make_cause("nothing", "is not here", [theirs("sub", KEYS), ours("sub", KEYS)]),
)


def test_operators_are_explained_one_by_one() -> None:
    traffic = explain_traffic(TINY.dimension_values(), SIDES, CAUSES)
    assert [(row.name, row.our_calls, row.their_calls, row.causes) for row in traffic.operators] == [
        ("mul", 0, 1, ("weighed",)),
        ("mm", 2, 2, ("longer",)),
        ("add", 1, 1, ()),
        ("sub", 0, 0, ()),
    ]
    assert traffic.operators[1].theirs == Moved(read_bytes=307, written_bytes=30)
    assert [(cause.name, nbytes) for cause, nbytes in traffic.causes] == [
        ("longer", 7),
        ("weighed", 72),
        ("nothing", 0),
    ]
    assert (traffic.our_bytes, traffic.their_bytes) == (340, 340 + 7 + 72)


@pytest.mark.parametrize(
    ("causes", "message"),
    [
        (CAUSES[1:], r"aten.mm: the causes do not explain .* expected 300 bytes read and 30 written; found 307 and 30"),
        (CAUSES[:1], r"aten.mul: .* expected 0 bytes read and 0 written; found 72 and 0"),
        # The sum is right, but not what is read and what is written.
        (
            (*CAUSES, make_cause("wrong", "", [theirs("add", 1), ours("add", 0, 1)])),
            r"aten.add: .* expected 6 bytes read and 4 written; found 5 and 5",
        ),
        # The sum over all operators is right, but not each of them.
        ((*CAUSES, make_cause("wrong", "", [theirs("add", 1), ours("mm", 1)])), "aten.add: "),
        ((*CAUSES, make_cause("wrong", "", [theirs("div", 1), ours("mul", 1)])), "aten.div: "),
    ],
)
def test_what_is_not_explained_names_the_operator(causes: tuple[object, ...], message: str) -> None:
    with pytest.raises(CountError, match=message):
        explain_traffic(TINY.dimension_values(), SIDES, causes)  # type: ignore[arg-type]


def test_a_formula_that_is_not_whole_is_an_error() -> None:
    with pytest.raises(CountError, match="a formula of bytes is not whole"):
        explain_traffic(TINY.dimension_values(), SIDES, [make_cause("half", "", [theirs("mm", KEYS / 2)])])


def test_peaks_are_explained_by_what_is_alive() -> None:
    product = Alive(role="product", made_by=("mm", "layer"), nbytes=2 * HIDDEN)
    snapshots = Snapshots(
        ours=(
            Snapshot(at=("mm", "layer"), alive=(product, Alive(role="joined", made_by=("cat", "layer"), nbytes=11))),
        ),
        theirs=(Snapshot(at=("mm", "layer"), alive=(product, Alive(role="sum", made_by=("add", "layer"), nbytes=13))),),
    )
    peaks = explain_peaks(TINY.dimension_values(), SIDES, snapshots)
    assert peaks.alive == (
        AliveRow(role="product", ours=48, theirs=48),
        AliveRow(role="joined", ours=11, theirs=0),
        AliveRow(role="sum", ours=0, theirs=13),
    )
    assert (peaks.ours.nbytes, peaks.theirs.nbytes, peaks.theirs.operator) == (59, 61, "mm")
    with pytest.raises(CountError, match="layer: mm: the peak is at an operator without an explanation"):
        explain_peaks(TINY.dimension_values(), SIDES, Snapshots(ours=snapshots.ours, theirs=()))
