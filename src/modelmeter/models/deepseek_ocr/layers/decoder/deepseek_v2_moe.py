"""The mixture of experts (vendor module ``modeling_deepseekv2.DeepseekV2MoE``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from modelmeter.dimensions.functions import Size, ceil_div, differs, divide, equals, exists, floor_div
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.layers.child import Child, Routing, once
from modelmeter.layers.container import ModuleList
from modelmeter.layers.operators import add_residual, apply_pointwise, concatenate, gather_rows, narrow, widen
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_mlp import DeepseekV2MLP
from modelmeter.models.deepseek_ocr.layers.decoder.moe_gate import MoEGate


@frozen(kw_only=True, slots=False)
class DeepseekV2MoE(BaseLayer):
    """Routed experts, each on the tokens that chose it, plus the shared experts on all tokens.

    Input and output (*leading_shape, hidden_size). FLOPs do not depend on the routing: N k assignments
    pass through the experts whoever takes them. The weights read do, through the number of distinct experts.
    """

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    hidden_size: Size
    moe_intermediate_size: Size
    n_routed_experts: Size
    n_shared_experts: Size
    num_experts_per_tok: Size

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.hidden_size)

    @property
    def assignments(self) -> Size:
        """Pairs of a token and an expert that it chose."""
        return multiply(self.leading_shape) * self.num_experts_per_tok

    def _expert(self, num_tokens: Size) -> DeepseekV2MLP:
        return DeepseekV2MLP(
            leading_shape=(num_tokens,), hidden_size=self.hidden_size, intermediate_size=self.moe_intermediate_size
        )

    def build_children(self) -> Mapping[str, Child]:
        # The mean share of an expert. All costs are linear in it, so their sum over the experts is exact
        # also where the shares differ by one.
        expert = self._expert(divide(self.assignments, self.n_routed_experts))
        routing = Routing(
            n_routed_experts=self.n_routed_experts,
            num_experts_per_tok=self.num_experts_per_tok,
            num_tokens=multiply(self.leading_shape),
        )
        experts = Child(calls=((expert, 1),), repetition="parfor", count=self.n_routed_experts, routing=routing)
        return {
            "experts": once(ModuleList(groups=(experts,))),
            "gate": once(
                MoEGate(
                    leading_shape=self.leading_shape,
                    hidden_size=self.hidden_size,
                    n_routed_experts=self.n_routed_experts,
                    num_experts_per_tok=self.num_experts_per_tok,
                )
            ),
            "shared_experts": once(
                DeepseekV2MLP(
                    leading_shape=self.leading_shape,
                    hidden_size=self.hidden_size,
                    intermediate_size=self.n_shared_experts * self.moe_intermediate_size,
                )
            ),
        }

    @property
    def own_accumulated(self) -> Elements:
        # The input goes to the gate, to the chosen experts and to the shared ones.
        return Elements(activation=2 * multiply(self.output_shape))

    def operators(self) -> tuple[Operator, ...]:
        num_tokens = multiply(self.leading_shape)
        routed = self.assignments * self.hidden_size
        tokens = num_tokens * self.hidden_size
        wide = Elements(float32=routed)
        return (
            *self._sort(),
            gather_rows(routed, indices=self.assignments),
            concatenate(routed),
            Operator(
                name="index_put_",
                reads=Elements(activation=2 * routed, index=self.assignments),
                writes=Elements(activation=routed),
                gradients=Elements(activation=routed),
            ),
            widen(routed),
            apply_pointwise(
                "mul_",
                routed,
                reads=wide + Elements(float32=self.assignments),
                writes=wide,
                # The weight of an assignment is the same for all channels of a row.
                backward_cuda_core_flops=vector_flops("mul", 2 * routed) + vector_flops("sum", routed),
            ),
            Operator(
                name="sum",
                cuda_core_flops=vector_flops("sum", routed),
                reads=wide,
                writes=Elements(float32=tokens),
            ),
            narrow(tokens),
            add_residual(tokens),
        )

    def _sort(self) -> tuple[Operator, ...]:
        """Return what counts the tokens of each expert, and sorts the assignments by it: work on integers only."""
        experts, assignments = self.n_routed_experts, Elements(index=self.assignments)
        table = Elements(index=multiply(self.leading_shape) * experts)
        return (
            Operator(name="scatter_", reads=table + assignments, writes=table),
            Operator(name="sum", reads=table, writes=Elements(index=experts)),
            Operator(name="sort", reads=assignments, writes=assignments.scale(2)),
            Operator(name="floor_divide", reads=assignments, writes=assignments),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (hidden_states,) = inputs
        mark, count, sort, find_tokens, gather, join, put_back, to_float32, weigh, combine, to_activations, add = (
            self.own_operators
        )
        weights, numbers = tape.call_all(self, "gate", hidden_states)
        table = tape.change(mark, Buffer(mark.writes), numbers)
        counts = tape.run(count, table)
        _, order = tape.run_all(sort, (numbers.elements, numbers.elements), numbers)
        sorted_tokens = tape.run(gather, hidden_states, tape.run(find_tokens, order))
        outputs = self._replay_experts(tape, sorted_tokens)
        sorted_outputs = tape.run(join, outputs)
        unsorted = tape.change(put_back, Buffer(put_back.writes), sorted_outputs, order)
        weighed = tape.change(weigh, tape.cast(to_float32, unsorted), weights)
        combined = tape.cast(to_activations, tape.run(combine, weighed))
        tape.keep(table, counts, order, sorted_tokens, outputs, sorted_outputs, unsorted)
        shared = tape.call(self, "shared_experts", hidden_states)
        output = tape.run(add, combined, shared)
        tape.keep(weights, numbers)
        return (output,)

    def _replay_experts(self, tape: Tape, sorted_tokens: Buffer) -> Buffer:
        """Record those experts that can be the peak under even shares, and return the outputs of all.

        The code holds all outputs, so the last of alike experts has the most beside it. The first experts may take one
        token more than the others, and if there is no token for the others, they are not called.
        """
        experts, assignments = self.n_routed_experts, self.assignments
        larger, smaller = ceil_div(assignments, experts), floor_div(assignments, experts)
        with tape.only_if(differs(larger, smaller) * exists(smaller)):
            # The last of the first: (assignments - 1) mod experts come before it.
            self._replay_expert(
                tape, larger, sorted_tokens, earlier=(assignments - 1 - experts * (larger - 1)) * larger
            )
        last = smaller + equals(smaller, 0)
        self._replay_expert(tape, last, sorted_tokens, earlier=assignments - last)
        return Buffer(Elements(activation=assignments * self.hidden_size))

    def _replay_expert(self, tape: Tape, num_tokens: Size, sorted_tokens: Buffer, *, earlier: Size) -> None:
        """Record an expert on ``num_tokens``, beside the outputs of ``earlier`` ones."""
        expert, others = self._expert(num_tokens), self.assignments - num_tokens
        with (
            tape.inside("experts", expert),
            tape.holding(
                Elements(activation=earlier * self.hidden_size), at_most=Elements(activation=others * self.hidden_size)
            ),
        ):
            expert.replay(tape, sorted_tokens)
            tape.keep(sorted_tokens)
