"""Modules that attend to a few keys, of sizes that are all distinct, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from modelmeter.frontend import recording
from modelmeter.metrics.cost import Work
from modelmeter.verify.counting import count_forward

BATCH, HEADS, SHARED, QUERIES, KEYS, WIDTH, DEPTH = 2, 6, 3, 5, 7, 11, 13
QUERY, KEY = BATCH * HEADS * QUERIES * WIDTH, BATCH * SHARED * KEYS * WIDTH
VALUE, OUTPUT = BATCH * SHARED * KEYS * DEPTH, BATCH * HEADS * QUERIES * DEPTH

Body = Callable[["Net"], object]


class Copies(nn.Module):
    """Copies keys or values to the heads that share them."""

    def forward(self, shared: Tensor) -> Tensor:
        batch, _, keys, channels = shared.shape
        return shared[:, :, None].expand(batch, SHARED, HEADS // SHARED, keys, channels).reshape(batch, HEADS, keys, -1)


class Net(nn.Module):
    """Calls ``body`` with itself: it has queries, keys, values and a bias from elsewhere, and sinks of its own."""

    def __init__(self, body: Body, queries: int = QUERIES) -> None:
        super().__init__()
        self.body = body
        self.copies = Copies()
        self.sinks = nn.Parameter(torch.empty(HEADS, device="meta"))
        self.query = torch.empty(BATCH, HEADS, queries, WIDTH, device="meta")
        self.key = torch.empty(BATCH, SHARED, KEYS, WIDTH, device="meta")
        self.value = torch.empty(BATCH, SHARED, KEYS, DEPTH, device="meta")
        self.bias = torch.empty(BATCH, 1, queries, KEYS, device="meta")
        self.kept: list[Tensor] = []

    def forward(self) -> object:
        return self.body(self)

    @property
    def scores(self) -> Tensor:
        return self.query @ Copies.forward(self.copies, self.key).transpose(2, 3)

    def end(self, weights: Tensor) -> Tensor:
        return weights @ Copies.forward(self.copies, self.value)


def mask() -> Tensor:
    """Return a mask that hangs on positions alone."""
    positions = torch.arange(KEYS, device="meta")
    return torch.where(positions <= torch.arange(QUERIES, device="meta")[:, None], 0.0, -1e9)


def record(body: Body, queries: int = QUERIES) -> tuple[recording.Recording, Net]:
    net = Net(body, queries)
    return recording.record_forward(net, net), net


def expect_the_same_sums(found: recording.Recording, net: Net) -> None:
    """Hold the operators of each module, in sum, to a count that tells nothing apart."""
    assert Work.of(found.operators) == count_forward(net, net).work
    by_path = {path: Work.of(each for each in found.operators if each.path == path) for path in ("", "copies")}
    counted = count_forward(net, net).operators
    assert by_path == {path: Work.of(each for each in counted if each.path == path) for path in by_path}
