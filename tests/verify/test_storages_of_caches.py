"""The walk over live storages where memory is kept, reserved or used again: numbers are worked out in the comments."""

from __future__ import annotations

import torch
from nets import indices, meta
from storage_walks import Apply, walk, watch
from torch import Tensor

from modelmeter.metrics.cost import Elements


def test_reserved_memory_is_alive_from_when_it_is_reserved() -> None:
    def forward(model: Apply, rows: Tensor, order: Tensor) -> Tensor:
        target = torch.empty_like(rows)
        moved = rows[order]
        target[order] = moved * 2.0
        return target

    # 15 + 15 reserved + 15, with the 5 numbers of rows; the product beside what it is made of; nothing more.
    seen = walk(forward, meta(5, 3), indices(5))
    assert [(live.name, live.alive) for live in seen] == [
        ("index", Elements(activation=45, index=5)),
        ("mul", Elements(activation=60, index=5)),
        ("index_put_", Elements(activation=60, index=5)),
    ]


def test_what_is_handed_to_the_cache_stops_counting() -> None:
    cache: list[Tensor] = []

    def forward(model: Apply, rows: Tensor) -> Tensor:
        keys = rows * 2.0
        cache.append(keys)
        values = model.widen(keys)
        return model.narrow(values)

    # 15 + 15; the keys are the cache now: 15 + 55; 15 + 55 + 15.
    assert watch(forward, meta(5, 3), cache=cache) == [("mul", 30), ("addmm", 70), ("addmm", 85)]


def test_a_cache_that_is_appended_to_is_never_alive() -> None:
    cache = meta(7, 3)

    def forward(model: Apply, rows: Tensor) -> Tensor:
        cache[:5].copy_(rows * 2.0)
        return cache[:5] + 1.0

    # 15 + 15; the same; the rows and the sum.
    assert watch(forward, meta(5, 3), cache=[cache]) == [("mul", 30), ("copy_", 30), ("add", 30)]


def test_a_loop_holds_what_its_variables_name_and_memory_that_is_used_again_is_counted_again() -> None:
    def forward(model: Apply, rows: Tensor) -> Tensor:
        for _ in range(30):
            rows = rows * 2.0
        return rows

    # The model's input, what the loop has made before, and the product: 15 + 15 at first, then 3 * 15.
    assert watch(forward, meta(5, 3)) == [("mul", 30), *[("mul", 45)] * 29]
