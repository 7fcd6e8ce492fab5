"""Autograd's graph, on forwards that are easy to draw."""

from __future__ import annotations

import torch
from torch import Tensor

from modelmeter.verify.gradient_graph import GradientGraph


def learned(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta", requires_grad=True)


def test_leaves_are_what_a_gradient_is_for() -> None:
    rows, scale, data = learned(7, 5), learned(5), torch.empty(7, 5, device="meta")
    graph = GradientGraph.of([rows * scale + data])
    assert {id(leaf) for leaf in graph.leaves} == {id(rows), id(scale)}
    assert graph.meetings == ()


def test_gradients_meet_where_a_tensor_is_used_again() -> None:
    """A leaf three times, what is made of it twice."""
    rows = learned(7, 5)
    wide = torch.cat((rows, rows, rows))
    meetings = {meeting.elements: meeting for meeting in GradientGraph.of([wide.neg() * wide]).meetings}
    assert {elements: meeting.sums for elements, meeting in meetings.items()} == {35: 2, 105: 1}
    assert meetings[35].leaf is rows
    assert meetings[105].leaf is None
    # The nodes were made in this order: cat, neg, mul.
    cat, (neg, mul) = meetings[35].numbers[0], sorted(meetings[105].numbers)
    assert cat < neg < mul


def test_each_output_of_a_node_is_a_tensor_of_its_own() -> None:
    first, second = learned(6, 5).split((4, 2))
    (meeting,) = GradientGraph.of([first.neg() * first, second.neg()]).meetings
    assert (meeting.elements, meeting.sums) == (20, 1)
