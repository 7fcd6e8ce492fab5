"""Which calls of a place are of the first view of an image, of the second, and of any later one."""

from __future__ import annotations

from modelmeter.frontend.turns import Views, split_calls

VIEWS = [Views(1, 1), Views(2, 2), Views(6, 3), Views(8, 4)]
"""One image with one view, one with two, and two images with three and with four."""


def make_loop(times: int, missing: int = 0) -> list[list[str]]:
    """Return calls by the names of the views that they look at; the first one has some less."""
    return [
        [f"image {view // seen.of_image} view {view % seen.of_image}" for view in range(seen.of_all)
         for call in range(times) if view or call >= missing]
        for seen in VIEWS
    ]  # fmt: skip


def find_views(turn: list[list[str]]) -> list[set[str]]:
    """Return the views of each point, without their images."""
    return [{call.partition("view ")[2] for call in calls} for calls in turn]


def test_calls_in_a_loop_over_views_stand_at_their_turns() -> None:
    for times, missing in ((1, 0), (2, 0), (2, 1), (3, 2)):
        first, second, later = split_calls(make_loop(times, missing), VIEWS)
        assert find_views(first) == [{"0"}] * 4
        assert find_views(second) == [set(), {"1"}, {"1"}, {"1"}]
        assert find_views(later) == [set(), set(), {"2"}, {"2", "3"}]
        assert [len(calls) for calls in first] == [times - missing, times - missing, 2 * times - missing,
                                                   2 * times - missing]  # fmt: skip
        assert [len(calls) for calls in later] == [0, 0, 2 * times, 4 * times]


def test_what_the_first_view_has_no_call_of_begins_with_the_second() -> None:
    first, second, later = split_calls(make_loop(1, 1), VIEWS)
    assert first == [[], [], ["image 1 view 0"], ["image 1 view 0"]]
    assert second[1] == ["image 0 view 1"]
    assert later[2] == ["image 0 view 2", "image 1 view 2"]


def test_what_is_called_in_another_way_stands_at_the_first_turn() -> None:
    for counts in ((1, 1, 1, 1), (3, 3, 3, 3), (1, 2, 5, 8), (2, 4, 8, 10), (0, 2, 6, 9)):
        calls = [["call"] * count for count in counts]
        assert split_calls(calls, VIEWS) == [calls, [[]] * 4, [[]] * 4]
