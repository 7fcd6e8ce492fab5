"""Names of alike layers say which they are: each can be read back, so that no two groups have one name."""

from __future__ import annotations

import random
import re
from itertools import combinations

import pytest

from modelmeter.frontend.names_of_layers import explain_siblings, name_evaluator, name_siblings


def read_back(name: str) -> list[int]:
    """Return the numbers that a name says, by the words of it alone."""
    found: list[int] = []
    for part in name.split("_and_"):
        match = re.fullmatch(r"(\d+)(?:_to_(\d+))?(?:_step_(\d+)_to_(\d+))?", part)
        assert match is not None, part
        first, last, step, end = (int(each) if each else None for each in match.groups())
        assert first is not None
        width = (first if last is None else last) - first
        for start in range(first, (first if end is None else end) + 1, step or 1):
            found += range(start, start + width + 1)
    return found


def write(numbers: list[int]) -> tuple[str, ...]:
    return tuple(map(str, numbers))


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ([*range(12)], "0_to_11"),
        ([0, 1], "0_to_1"),
        ([0, 2], "0_and_2"),
        ([*range(0, 48, 2)], "0_step_2_to_46"),
        # Every fourth of 48 layers has attention, and the three before it have not.
        ([each for each in range(48) if each % 4 != 3], "0_to_2_step_4_to_46"),
        ([*range(3, 48, 4)], "3_step_4_to_47"),
        # Every sixth of 34 layers looks at all positions: five and five with a window, and four at the end.
        ([each for each in range(34) if each % 6 != 5], "0_to_4_step_6_to_28_and_30_to_33"),
        ([0, 1, 3, 4, 9], "0_to_1_and_3_to_4_and_9"),
    ],
)
def test_names_are_spans_and_steps(numbers: list[int], name: str) -> None:
    assert name_siblings(write(numbers)) == name
    assert read_back(name) == numbers
    assert f"layer_{name}".isidentifier()


def test_no_two_groups_of_nine_layers_have_one_name() -> None:
    groups = [[*group] for size in range(2, 10) for group in combinations(range(9), size)]
    assert len(groups) == 2**9 - 1 - 9
    for group in groups:
        assert read_back(name_siblings(write(group))) == group
    assert len({name_siblings(write(group)) for group in groups}) == len(groups)


def test_names_of_many_layers_are_read_back() -> None:
    random.seed(5)
    for _ in range(500):
        group = sorted(random.sample(range(60), random.randint(2, 40)))
        assert read_back(name_siblings(write(group))) == group


def test_a_single_layer_has_its_own_name() -> None:
    assert name_siblings(("q_proj",)) == "q_proj"
    assert name_siblings(("7",)) == "7"
    assert name_siblings(("a-b",)) == "a_b"


def test_steps_are_said_in_words() -> None:
    assert explain_siblings(write([*range(0, 48, 2)])) == "0 and so on in steps of 2 up to 46"
    assert (
        explain_siblings(write([each for each in range(34) if each % 6 != 5]))
        == "0 to 4 and so on in steps of 6 up to 28 and 30 to 33"
    )
    assert explain_siblings(("0", "1")) == ""
    assert explain_siblings(("step_by_step",)) == ""


def test_a_name_has_small_letters() -> None:
    assert name_siblings(["Wqkv"]) == "wqkv"
    assert name_siblings(["self_attn.q"]) == "self_attn_q"
    assert name_evaluator("_GatedMoE") == "gated_moe"
