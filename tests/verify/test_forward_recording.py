"""What a recording says of small forwards, with bytes and lifetimes worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.support.errors import CountError
from modelmeter.verify.foreign_bytes.recording import record_forward
from modelmeter.verify.foreign_bytes.records import Recording


class Net(nn.Module):
    """Calls ``body`` with itself."""

    def __init__(self, body: Callable[[Net], object]) -> None:
        super().__init__()
        self.body = body
        self.linear = nn.Linear(7, 11, bias=False)
        self.norm = nn.LayerNorm(13)
        self.table = nn.Embedding(101, 17)

    def forward(self) -> object:
        return self.body(self)


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def record(body: Callable[[Net], object], cache: Callable[[], list[Tensor]] = list) -> Recording:
    with torch.device("meta"):
        net = Net(body)
    return record_forward(net, net, cache=cache)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # A product reads its input and its weights; the reshapes around it are views.
        (lambda net: net.linear(meta(3, 5, 7)), ("mm", 4 * (15 * 7 + 7 * 11), 4 * 15 * 11)),
        # An expanded dimension is there once: 5 of 3 x 5 elements.
        (lambda _: meta(3, 5) + meta(5).expand(3, 5), ("add", 4 * (15 + 5), 4 * 15)),
        # The same view twice is one.
        (lambda _: torch.cat([view := meta(3, 5), view]), ("cat", 4 * 15, 4 * 30)),
        # Two views of the same memory are two.
        (lambda _: (whole := meta(6, 5))[:3] + whole[3:], ("add", 4 * 30, 4 * 15)),
        # Of a table, three rows; and three indices.
        (lambda net: net.table(meta(3, dtype=torch.int64)), ("embedding", 4 * 3 * 17 + 8 * 3, 4 * 3 * 17)),
        (lambda _: meta(19, 5)[meta(3, dtype=torch.int64)], ("index", 4 * 15 + 8 * 3, 4 * 15)),
        # A norm also writes the mean and the deviation of each of 3 rows.
        (lambda net: net.norm(meta(3, 13)), ("native_layer_norm", 4 * (39 + 2 * 13), 4 * (39 + 2 * 3))),
        # In place: a product reads its target, a copy does not; an addition to rows touches these rows.
        (lambda _: meta(3, 5).mul_(meta(3, 1)), ("mul_", 4 * (15 + 3), 4 * 15)),
        (lambda _: meta(3, 5).copy_(meta(5)), ("copy_", 4 * 5, 4 * 15)),
        (
            lambda _: meta(19, 5).index_add_(0, meta(3, dtype=torch.int64), meta(3, 5)),
            ("index_add_", 4 * (15 + 15) + 8 * 3, 4 * 15),
        ),
        # One operator each, whatever they are made of in Python.
        (
            lambda _: functional.interpolate(meta(1, 3, 5), size=7, mode="linear"),
            ("upsample_linear1d", 4 * 15, 4 * 21),
        ),
        (
            lambda _: functional.scaled_dot_product_attention(
                *(meta(2, 3, 5, 7) for _ in range(3)), attn_mask=meta(5, 5)
            ),
            ("scaled_dot_product_attention", 4 * (3 * 210 + 25), 4 * 210),
        ),
        # Joining the heads of what attention returns is a view; so only attention moves something.
        (
            lambda _: functional.scaled_dot_product_attention(*(meta(2, 3, 5, 7) for _ in range(3)))
            .transpose(1, 2)
            .reshape(2, 5, 21),
            ("scaled_dot_product_attention", 4 * 3 * 210, 4 * 210),
        ),
    ],
)  # fmt: skip
def test_one_operator_moves_what_was_worked_out(body: Callable[[Net], object], expected: tuple[str, int, int]) -> None:
    (moved,) = record(body).operators
    assert (moved.name, moved.read_bytes, moved.written_bytes) == expected


def test_what_only_reserves_memory_or_views_it_moves_nothing() -> None:
    assert record(lambda _: torch.zeros(3, 5, device="meta").t().unsqueeze(0).expand(7, 5, 3)).operators == ()


def test_operators_have_the_path_of_the_module_that_called_them() -> None:
    recording = record(lambda net: (net.norm(meta(3, 13)), meta(2) * 2))
    assert [operator.path for operator in recording.operators] == ["norm", ""]


def test_a_module_of_another_model_is_an_error() -> None:
    with pytest.raises(CountError, match="LayerNorm: a module runs that is not part of the model"):
        record(lambda _: nn.LayerNorm(3, device="meta")(meta(2, 3)))


def test_storages_are_alive_until_nothing_refers_to_them() -> None:
    def body(_: Net) -> Tensor:
        first = meta(3)  # place 0
        second = first + 1  # place 1
        # A view at place 2, and what it is multiplied with at 3; that dies after the product, at place 4.
        third = second.view(3, 1) * meta(1, 5)
        del second  # and so does this
        return third + third  # place 5

    recording = record(body)
    assert [name for _, name in recording.places] == ["empty", "add", "view", "empty", "mul", "add"]
    assert [(storage.name, storage.nbytes, storage.born, storage.is_alive(5)) for storage in recording.storages] == [
        ("empty", 4 * 3, 0, True),
        ("add", 4 * 3, 1, False),
        ("empty", 4 * 5, 3, False),
        ("mul", 4 * 15, 4, True),
        ("add", 4 * 15, 5, True),
    ]
    peak = recording.find_peak()
    assert (peak.name, peak.nbytes) == ("add", 4 * (3 + 15 + 15))


def test_what_is_there_before_is_alive_from_its_first_read() -> None:
    given = meta(7)
    recording = record(lambda _: (meta(3) + 1, given + 1))
    (storage,) = (storage for storage in recording.storages if storage.name == "given")
    assert (storage.nbytes, storage.born, storage.died) == (4 * 7, 2, None)


def test_parameters_are_no_activations() -> None:
    recording = record(lambda net: net.linear(meta(3, 7)))
    assert [storage.nbytes for storage in recording.storages] == [4 * 21, 4 * 33]


def test_what_is_handed_to_the_cache_is_no_activation_from_then_on() -> None:
    cache = [meta(5)]

    def body(_: Net) -> Tensor:
        cache[0] = cache[0] + 1  # place 0: the sum is not there yet
        return meta(3) * 2  # places 1 and 2; what is multiplied dies after them

    recording = record(body, lambda: cache)
    assert [(storage.name, storage.born, storage.died) for storage in recording.storages] == [
        ("add", 0, 1), ("empty", 1, 3), ("mul", 2, None)
    ]  # fmt: skip


def test_memory_that_is_used_again_is_another_storage() -> None:
    """A storage that has died may leave its place in memory to the next one."""

    def body(_: Net) -> Tensor:
        total = meta(7)
        for _ in range(5):
            total = total + 1
        return total

    recording = record(body)
    assert [storage.died for storage in recording.storages][:-1] == [2, 3, 4, 5, 6][: len(recording.storages) - 1]
    assert len(recording.storages) == 6
