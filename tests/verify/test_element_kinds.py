"""Of which kind the numbers of a tiny net are: activations, indices, weights or float32; worked out by hand."""

from __future__ import annotations

import pytest
import torch
from nets import Apply, count, count_one, indices, make, meta
from torch import Tensor, nn

from modelmeter.metrics.cost import Elements
from modelmeter.models.deepseek_ocr.reference_functions import list_offsets
from modelmeter.support.errors import CountError
from modelmeter.verify.tensor_kinds import TensorKinds


def test_what_is_float32_in_a_model_of_another_type_is_a_kind_of_its_own() -> None:
    """As in the decoder's norm: what is cast is read in one kind and written in the other."""

    def norm(states: Tensor) -> Tensor:
        wide = states.to(torch.float32)
        return model.scale * (wide * wide.mean(-1, keepdim=True)).to(states.dtype)

    # 7 rows of 5.
    model = Apply(norm, scale=meta(5, dtype=torch.bfloat16))
    widen, mean, multiply, narrow, weigh_channels = count(model, meta(7, 5, dtype=torch.bfloat16)).operators
    assert widen == make("_to_copy", reads=Elements(activation=35), writes=Elements(float32=35))
    assert mean == make("mean", cuda_core_flops=35, reads=Elements(float32=35), writes=Elements(float32=7))
    assert multiply == make("mul", cuda_core_flops=35, reads=Elements(float32=42), writes=Elements(float32=35))
    assert narrow == make("_to_copy", reads=Elements(float32=35), writes=Elements(activation=35))
    assert weigh_channels == make(
        "mul", cuda_core_flops=35, reads=Elements(activation=35, weight=5), writes=Elements(activation=35)
    )


def test_where_the_model_computes_in_float32_nothing_is_cast_and_all_are_activations() -> None:
    model = Apply(lambda states: states.to(torch.float32) * model.scale.float(), scale=meta(5))
    assert count_one(model, meta(7, 5)) == make(
        "mul", cuda_core_flops=35, reads=Elements(activation=35, weight=5), writes=Elements(activation=35)
    )


def test_a_cast_of_a_parameter_reads_weights_and_what_it_writes_is_none() -> None:
    """As the gate's: its weight is cast at each call. A view of a parameter is still the parameter."""
    model = Apply(
        lambda states: states.float() @ model.scale.view(3, 5).t().float(), scale=meta(15, dtype=torch.bfloat16)
    )
    _, cast, multiply = count(model, meta(7, 5, dtype=torch.bfloat16)).operators
    assert cast == make("_to_copy", reads=Elements(weight=15), writes=Elements(float32=15))
    assert multiply == make(
        "mm", tensor_core_flops=2 * 7 * 5 * 3, reads=Elements(float32=35 + 15), writes=Elements(float32=21)
    )


def test_the_statistics_of_a_norm_are_written_and_start_no_gradient() -> None:
    norm = nn.LayerNorm(5, device="meta", dtype=torch.bfloat16)
    # 3 rows of 5 channels: a mean and a deviation for each row.
    operator = count_one(norm, meta(3, 5, dtype=torch.bfloat16))
    assert operator.reads == Elements(activation=15, weight=10)
    assert operator.writes.activation == operator.differentiated.activation == 15
    assert operator.writes.float32 == 6
    assert operator.differentiated == Elements(activation=15)


def test_coordinates_become_numbers_of_the_type_of_activations_and_indices_again() -> None:
    """As of relative positions on a side of 5: 5 queries, 5 keys, 25 offsets."""
    operators = count(Apply(lambda: list_offsets(5, torch.device("meta")))).operators
    assert [(operator.name, operator.reads, operator.writes) for operator in operators] == [
        ("mul", Elements(index=5), Elements(activation=5)),
        ("mul", Elements(index=5), Elements(activation=5)),
        ("sub", Elements(activation=10), Elements(activation=25)),
        ("add", Elements(activation=25), Elements(activation=25)),
        ("_to_copy", Elements(activation=25), Elements(index=25)),
    ]
    # A product that makes floating-point numbers out of integers is arithmetic on them.
    assert [operator.cuda_core_flops for operator in operators] == [5, 5, 25, 25, 0]


def test_numbers_without_an_agreed_width_are_an_error() -> None:
    wide = torch.ones(5, 5, dtype=torch.float64, device="meta")
    model = Apply(lambda rows: rows @ rows.transpose(-2, -1) + wide)
    with pytest.raises(CountError, match=r"without an agreed width; found torch\.float64"):
        count(model, meta(1, 3, 5, 2))
    with pytest.raises(CountError, match=r"found torch\.float16"):
        count(Apply(lambda rows: rows.half()), meta(3, 5))


def test_kinds_follow_the_memory_and_then_the_type() -> None:
    model = Apply(lambda: None, scale=meta(15, dtype=torch.bfloat16))
    cached: list[Tensor] = []
    kinds = TensorKinds(model, lambda: cached)
    keys, wide = meta(3, 5, dtype=torch.bfloat16), meta(3, 5)
    found = [kinds.find(tensor) for tensor in (model.scale.view(3, 5), keys, wide, indices(3))]
    assert found == ["weight", "activation", "float32", "index"]
    cached.append(keys)
    assert kinds.find(keys) == "activation", "the cache is looked at when it is refreshed"
    kinds.refresh()
    assert kinds.find(keys[:, 1:]) == "kv"
    assert [kinds.is_state(tensor) for tensor in (keys, model.scale, wide)] == [True, True, False]


def test_a_model_without_parameters_computes_with_the_default_type() -> None:
    assert TensorKinds(nn.Identity(), tuple).find_by_type(torch.float32) == "activation"
    with pytest.raises(CountError, match="without an agreed width"):
        TensorKinds(nn.Identity(), tuple).find_by_type(torch.bfloat16)
