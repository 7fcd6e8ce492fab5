"""What a layer states, and the one place where costs add up."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import pytest
from attrs import evolve, frozen

from modelmeter.dimensions.functions import Size, expected_routed_reads
from modelmeter.layers.activation import GELU
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, Routing, add_gradients, never, once, repeat
from modelmeter.layers.linear import Linear
from modelmeter.metrics.cost import Elements, Operator, Precision, Work
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True, slots=False)
class Leaf(BaseLayer):
    """One operator that reads ``size`` elements of every kind and writes all but parameters; as many FLOPs, ..."""

    size: Size

    @property
    def output_shape(self) -> Shape:
        return (self.size,)

    @property
    def own_parameters(self) -> Size:
        return self.size

    @property
    def own_kv_elements(self) -> Size:
        return self.size

    def operators(self) -> tuple[Operator, ...]:
        every = Elements(activation=self.size, weight=self.size, kv=self.size, index=self.size, float32=self.size)
        written = evolve(every, weight=0)
        return (
            Operator(name="leaf", tensor_core_flops=self.size, cuda_core_flops=self.size, reads=every, writes=written),
        )


@frozen(kw_only=True, slots=False)
class Parent(BaseLayer):
    """A layer with given children and no work of its own."""

    given: Mapping[str, Child]

    @property
    def output_shape(self) -> Shape:
        return (1,)

    def build_children(self) -> Mapping[str, Child]:
        return self.given


LEAF = Leaf(size=7)
NUMBERS = Precision(weight_bits=3, activation_bits=5, kv_bits=11)


def costs(child: Child) -> dict[str, Fraction]:
    """Return the metrics of a parent with this child only."""
    cost = Parent(given={"child": child}, precision=NUMBERS).cost
    return {metric: Fraction(str(cost[metric])) for metric in METRICS}


# One leaf of 7: bits of one element of each kind are 3 + 5 + 11 + 64 + 32 = 115; all but the first 3 are written too.
ONCE = {
    "tensor_core_flops": 7,
    "cuda_core_flops": 7,
    "io_bytes": Fraction(7 * (115 + 112), 8),
    "weight_bytes": Fraction(7 * 3, 8),
    "activation_bytes": Fraction(7 * (5 + 64 + 32), 8),  # what is written, but for the cache
    "kv_cache_bytes": Fraction(7 * 11, 8),
}
FLOWS_AND_ACTIVATIONS = ("tensor_core_flops", "cuda_core_flops", "io_bytes", "activation_bytes")


def test_a_child_that_is_called_once_is_all_that_its_parent_costs() -> None:
    assert costs(once(LEAF)) == ONCE


def test_alike_siblings_multiply_everything() -> None:
    assert costs(repeat(LEAF, 5)) == {metric: 5 * value for metric, value in ONCE.items()}


def test_a_second_call_does_work_again_but_holds_no_second_weights_or_cache() -> None:
    """The calls may differ in size: 7, and 13 three times."""
    twice = costs(Child(calls=((LEAF, 1), (Leaf(size=13), 3))))
    assert twice == ONCE | {metric: ONCE[metric] * Fraction(7 + 3 * 13, 7) for metric in FLOWS_AND_ACTIVATIONS}


def test_a_child_that_is_never_called_is_only_stored() -> None:
    idle = costs(never(LEAF))
    assert idle["weight_bytes"] == ONCE["weight_bytes"]
    assert all(idle[metric] == 0 for metric in FLOWS_AND_ACTIVATIONS)


def test_the_precision_of_the_layer_that_is_asked_holds_below() -> None:
    inner = Parent(given={"leaf": once(LEAF)}, precision=Precision(weight_bits=99, activation_bits=99, kv_bits=99))
    assert costs(once(inner)) == ONCE


def test_routed_siblings_all_work_but_only_the_chosen_ones_read_their_weights() -> None:
    """Five tokens choose two of eleven siblings each; each of the eleven sees its mean share."""
    routing = Routing(n_routed_experts=11, num_experts_per_tok=2, num_tokens=5)
    routed = costs(Child(calls=((LEAF, 1),), repetition="parfor", count=11, routing=routing))
    repeated = costs(repeat(LEAF, 11))
    weights_read = expected_routed_reads(11, 2, 5, 7)
    assert 0 < weights_read < 11 * 7
    difference = repeated.pop("io_bytes") - routed.pop("io_bytes")
    assert difference == Fraction((11 * 7 - weights_read) * NUMBERS.weight_bits, 8)
    assert routed == repeated


def test_routing_holds_for_everything_below_the_routed_siblings() -> None:
    """Also for what is repeated inside of each: three leaves in each of eleven siblings."""
    routing = Routing(n_routed_experts=11, num_experts_per_tok=2, num_tokens=5)
    expert = Parent(given={"leaves": repeat(LEAF, 3)})
    routed = costs(Child(calls=((expert, 1),), repetition="parfor", count=11, routing=routing))
    one = Child(calls=((LEAF, 1),), repetition="parfor", count=11, routing=routing)
    assert routed["io_bytes"] == 3 * costs(one)["io_bytes"]


def test_costs_add_up_over_children_of_different_kinds() -> None:
    parent = Parent(given={"a": once(LEAF), "b": repeat(Leaf(size=2), 4), "c": never(Leaf(size=17))})
    assert parent.cost.tensor_core_flops == 7 + 4 * 2
    assert parent.parameters == 7 + 4 * 2 + 17


@pytest.mark.parametrize("metric", METRICS)
def test_each_metric_has_a_method_of_the_seed_contract(metric: str) -> None:
    layer = evolve(LEAF, precision=NUMBERS)
    assert Fraction(str(getattr(layer, f"forward_{metric}")())) == ONCE[metric]


def test_the_canonical_layer_has_a_symbol_for_each_size_named_like_the_field() -> None:
    layer = Linear.canonical()
    assert [size.name for size in (*layer.leading_shape, layer.in_features, layer.out_features)] == [
        "num_tokens", "in_features", "out_features",
    ]  # fmt: skip
    assert layer.bias is True


def test_own_sizes_go_by_the_symbols_of_the_canonical_layer() -> None:
    """Leading sizes are one: 2 x 3 rows. Switches, the precision and given layers are no sizes."""
    linear = Linear(leading_shape=(2, 3), in_features=5, out_features=7, bias=False)
    assert linear.own_sizes == {"num_tokens": 6, "in_features": 5, "out_features": 7}
    gelu = GELU(shape=(2, 3, 11))
    assert gelu.own_sizes == {"num_tokens": 6, "hidden_size": 11}
    canonical = {name: symbol(name) for name in linear.own_sizes}
    assert Linear.canonical().own_sizes == canonical


@frozen(kw_only=True, slots=False)
class Holder(BaseLayer):
    """A layer that is given another one."""

    inner: BaseLayer
    num_tokens: Size

    @property
    def output_shape(self) -> Shape:
        return (self.num_tokens,)


def test_a_layer_made_of_given_layers_is_told_from_others() -> None:
    inner = Leaf(size=7)
    assert Holder(inner=inner, num_tokens=3).holds_layers
    assert Holder(inner=inner, num_tokens=3).own_sizes == {"num_tokens": 3}
    assert not inner.holds_layers
    assert not Parent(given={"inner": once(inner)}).holds_layers, "children that it names itself"


def test_a_field_that_names_no_dimension_has_no_canonical_layer() -> None:
    with pytest.raises(FormulaError, match="no dimension has this name; found size"):
        Leaf.canonical()


@frozen(kw_only=True, slots=False)
class Learner(BaseLayer):
    """One operator with a backward of ``size`` matrix FLOPs and twice that of others; its input is used twice."""

    size: Size

    @property
    def output_shape(self) -> Shape:
        return (self.size,)

    @property
    def own_parameters(self) -> Size:
        return self.size

    @property
    def own_accumulated(self) -> Elements:
        return Elements(activation=self.size)

    def operators(self) -> tuple[Operator, ...]:
        return (
            Operator(
                name="learner", backward_tensor_core_flops=self.size, backward_cuda_core_flops=2 * self.size,
                reads=Elements(activation=self.size, weight=self.size), writes=Elements(activation=self.size),
            ),
        )  # fmt: skip


def backward_of(child: Child) -> Work:
    return Parent(given={"child": child}).backward_work


# A learner of 7: reads input, weights and gradient, writes two gradients; a sum of 7 reads 14 and writes 7.
ONE_BACKWARD = Work(
    tensor_core_flops=7,
    cuda_core_flops=2 * 7 + 7,
    reads=Elements(activation=2 * 7 + 14, weight=7),
    writes=Elements(activation=7 + 7, weight=7),
)


def test_the_backward_of_a_child_is_its_own_with_the_sums_of_its_gradients() -> None:
    assert backward_of(once(Learner(size=7))) == ONE_BACKWARD
    assert backward_of(repeat(Learner(size=7), 5)) == ONE_BACKWARD.scale(5)
    parent = Parent(given={"child": once(Learner(size=7))})
    assert (parent.backward_tensor_core_flops(), parent.backward_cuda_core_flops()) == (7, 21)


def test_a_second_call_adds_its_gradients_of_the_parameters_to_those_of_the_first() -> None:
    twice = backward_of(Child(calls=((Learner(size=7), 1), (Learner(size=7), 1))))
    sums = Work(cuda_core_flops=7, reads=Elements(weight=14), writes=Elements(weight=7))
    assert twice == ONE_BACKWARD.scale(2) + sums
    # A call that does not happen adds nothing.
    assert backward_of(Child(calls=((Learner(size=7), 0), (Learner(size=7), 1)))) == ONE_BACKWARD


def test_gradients_of_every_floating_kind_are_summed() -> None:
    sums = Elements(activation=3, weight=5, float32=7)
    assert add_gradients(sums) == Work(
        cuda_core_flops=3 + 5 + 7,
        reads=Elements(activation=6, weight=10, float32=14),
        writes=sums,
    )


def test_what_is_never_called_has_no_backward_and_its_parameters_get_no_gradients() -> None:
    assert backward_of(never(Learner(size=7))) == Work()
    idle = Parent(given={"idle": never(Learner(size=7)), "learner": once(Learner(size=3))})
    assert (idle.parameters, idle.trained_parameters) == (10, 3)


def test_only_chosen_siblings_read_weights_and_write_gradients_of_them() -> None:
    """Five tokens choose two of eleven siblings each; each of the eleven sees its mean share."""
    routing = Routing(n_routed_experts=11, num_experts_per_tok=2, num_tokens=5)
    routed = backward_of(Child(calls=((Learner(size=7), 1),), repetition="parfor", count=11, routing=routing))
    everyone = ONE_BACKWARD.scale(11)
    chosen = expected_routed_reads(11, 2, 5, 7)
    assert routed == evolve(
        everyone, reads=evolve(everyone.reads, weight=chosen), writes=evolve(everyone.writes, weight=chosen)
    )


def test_a_training_step_is_a_forward_and_a_backward_and_keeps_the_activations_of_the_forward() -> None:
    cost = Parent(given={"child": once(Learner(size=7))}, precision=NUMBERS).training_cost
    # Forward: 7 activations and 7 weights read, 7 activations written; backward as above. 5 and 3 bits an element.
    activations, weights = 2 * 7 + 28 + 14, 7 + 7 + 7
    assert Fraction(str(cost.io_bytes)) == Fraction(activations * 5 + weights * 3, 8)
    assert Fraction(str(cost.activation_bytes)) == Fraction(7 * 5, 8)
    assert Fraction(str(cost.weight_bytes)) == Fraction(7 * 3, 8)
    assert (cost.tensor_core_flops, cost.cuda_core_flops, cost.kv_cache_bytes) == (7, 21, 0)
