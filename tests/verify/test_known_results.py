"""What is known by its shapes is the same as what would have run, and what hangs on more is not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sympy
import torch
from attrs import evolve
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from modelmeter.frontend.recording import Recording, record_forward
from modelmeter.metrics.cost import Work
from modelmeter.verify import known_results
from modelmeter.verify.known_results import KnownForward, KnownResults
from modelmeter.verify.operators import CountedOperator
from modelmeter.verify.symbolic_trace import make_sizes, symbolic_mode
from modelmeter.verify.training import count_training_step

ATEN = torch.ops.aten
learn = known_results._learn


class Ran(TorchDispatchMode):
    """Notes the names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func._overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(*shape, dtype=dtype, device="meta")


def run_twice(run: Callable[[], Any], *, inference: bool = True) -> tuple[list[str], Any, Any]:
    """Return which operators ran, and both results."""
    ran = Ran()
    with torch.inference_mode(inference), ran, KnownForward():
        first, second = run(), run()
    return ran.names, first, second


def test_an_operator_runs_once_for_the_same_shapes() -> None:
    rows = empty(3, 4)
    names, first, second = run_twice(lambda: rows.exp())
    assert names == ["exp"]
    assert (second.shape, second.stride(), second.dtype) == (first.shape, first.stride(), first.dtype)
    assert second.untyped_storage()._cdata != first.untyped_storage()._cdata  # memory of its own, as each result has
    assert second.untyped_storage().nbytes() == first.untyped_storage().nbytes() == 48  # 3 * 4 of 4 bytes


def test_strides_of_a_result_are_kept() -> None:
    rows = empty(3, 4).t()
    names, first, second = run_twice(lambda: rows + rows)
    assert names == ["add"]
    assert second.stride() == first.stride() == (1, 4)


def test_several_results_are_kept() -> None:
    rows = empty(3, 4)
    names, first, second = run_twice(lambda: rows.topk(2))
    assert names == ["topk"]
    assert [each.dtype for each in second] == [torch.float32, torch.int64]
    assert [each.shape for each in second] == [each.shape for each in first] == [(3, 2), (3, 2)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: empty(3, 4) + 1, lambda: empty(3, 5) + 1),
        (lambda: empty(3, 4) + 1, lambda: empty(4, 3).t() + 1),
        (lambda: empty(3, 4) + 1, lambda: empty(3, 4, dtype=torch.bfloat16) + 1),
        (lambda: empty(3, dtype=torch.int64) + 1, lambda: empty(3, dtype=torch.int64) + 1.0),
        (lambda: empty(3, dtype=torch.bool) + True, lambda: empty(3, dtype=torch.bool) + 1),
        (lambda: empty(3, 4).sum(0), lambda: empty(3, 4).sum(1)),
        (lambda: empty(3, 4).sum(0), lambda: empty(3, 4).sum(0, keepdim=True)),
    ],
)  # fmt: skip
def test_what_differs_is_told_apart(one: Callable[[], Tensor], other: Callable[[], Tensor]) -> None:
    expected = [(each.shape, each.stride(), each.dtype) for each in (one(), other())]
    with torch.inference_mode(), KnownForward():
        found = [(each.shape, each.stride(), each.dtype) for each in (one(), other())]
    assert found == expected


@pytest.mark.parametrize(
    "run",
    [
        lambda rows: rows.t(),  # a view
        lambda rows: rows.add_(1),  # in place
        lambda rows: torch.add(rows, 1, out=rows),
    ],
)
def test_what_makes_nothing_new_runs_each_time(run: Callable[[Tensor], Tensor]) -> None:
    rows = empty(3, 3)
    names, first, second = run_twice(lambda: run(rows))
    assert len(names) == 2
    memory = rows.untyped_storage()._cdata
    assert first.untyped_storage()._cdata == second.untyped_storage()._cdata == memory


def test_real_tensors_run_each_time() -> None:
    rows = torch.tensor([1.0, -2.0])
    names, first, second = run_twice(lambda: rows.abs())
    assert names == ["abs", "abs"]
    assert first.tolist() == second.tolist() == [1, 2]


def test_rows_that_a_condition_chooses_are_not_known() -> None:
    known, rows = KnownResults(), empty(3, 4)
    assert known_results.make_key(ATEN.nonzero.default, (rows,), {}) is None
    with torch.inference_mode():
        assert known_results.make_key(ATEN.index.Tensor, (rows, [empty(2, dtype=torch.int64)]), {}) is not None
        assert known_results.make_key(ATEN.index.Tensor, (rows, [empty(3, dtype=torch.bool)]), {}) is None
    assert known.get_total_flops() == 0


def test_what_is_known_has_gradients_where_they_are_wanted() -> None:
    rows = empty(3, 4).requires_grad_()
    names, first, second = run_twice(lambda: rows.exp(), inference=False)
    assert names.count("exp") == 1  # beside what autograd keeps of both
    for result in (first, second):
        assert type(result.grad_fn).__name__ == "ExpBackward0"
        (gradient,) = torch.autograd.grad(result, rows, empty(3, 4))
        assert gradient.shape == (3, 4)
    *_, plain = run_twice(lambda: rows.detach().exp(), inference=False)
    assert plain.grad_fn is None


def test_what_is_known_counts_each_time() -> None:
    total = [0]

    def run(*args: Any) -> Tensor:
        total[0] += 7
        return empty(2)

    run._schema = ATEN.exp.default._schema  # type: ignore[attr-defined]
    run.namespace, run.tags = "aten", ()  # type: ignore[attr-defined]
    known = KnownResults(lambda: total[0])
    with torch.inference_mode():
        for _ in range(3):
            known.run(run, (empty(2),), {})
    assert total == [7]
    assert known.get_total_flops() == 21


class Layer(nn.Module):
    """Has attention, a product, views and casts."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 24)
        self.norm = nn.LayerNorm(8)

    def forward(self, rows: Tensor) -> Tensor:
        heads = self.linear(self.norm(rows)).view(rows.shape[0], rows.shape[1], 3, 2, 4).transpose(1, 3)
        query, key, value = heads.unbind(2)
        joined = nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        return rows + joined.reshape(rows.shape).float().to(rows.dtype)


def record_layers(sizes: tuple[Any, Any]) -> Recording:
    model = nn.Sequential(Layer(), Layer(), Layer())
    rows = torch.empty(*sizes, 8)
    return record_forward(model, lambda: model(rows))


def name_all(recording: Recording) -> list[Any]:
    """Return all that was recorded, as text: sizes of torch are not equal by themselves."""
    return [
        [sympy.expand(str(part)) for part in (life.elements.activation, life.elements.float32)]
        + [life.first, life.last]
        for life in recording.lives
    ] + [
        [each.path, each.name, str(each.reads), str(each.writes), str(each.tensor_core_flops)]
        for each in recording.operators
    ]


@pytest.mark.parametrize("is_symbolic", [False, True])
def test_a_forward_is_recorded_as_if_nothing_was_known(is_symbolic: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def record() -> list[Any]:
        if not is_symbolic:
            with torch.device("meta"):
                return name_all(record_layers((5, 7)))
        batch, length = sympy.symbols("batch length", integer=True, positive=True)
        with symbolic_mode(torch.bfloat16) as environment:
            made, _ = make_sizes(environment, [batch, length], ())
            return name_all(record_layers((made["batch"], made["length"])))

    quick = record()
    monkeypatch.setattr(known_results, "_make_key", lambda *given: None)
    assert quick == record()


class Frozen(nn.Module):
    """Scales what wants no gradient, and then what does, by weights of one shape."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.empty(5, 8)) for _ in range(2))
        self.layers = nn.Sequential(Layer(), Layer())

    def forward(self, rows: Tensor) -> Tensor:
        scaled = rows * self.first * self.second
        return self.layers((scaled + scaled.detach() * self.first)[None])


def test_a_training_step_is_counted_as_if_nothing_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def count() -> tuple[list[CountedOperator], Work]:
        with torch.device("meta"):
            model, rows = Frozen(), torch.empty(5, 8)
            step = count_training_step(model, lambda: model(rows))
        # Autograd numbers its nodes from one step to the next.
        return [evolve(each, nodes=range(len(each.nodes))) for each in step.operators], step.backward

    learned: list[object] = []
    monkeypatch.setattr(known_results, "_learn", lambda *given: learned.append(given) or learn(*given))
    quick = count()
    assert learned
    monkeypatch.setattr(known_results, "_make_key", lambda *given: None)
    assert count() == quick
