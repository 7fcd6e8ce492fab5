"""The router (vendor module ``modeling_deepseekv2.MoEGate``)."""

from __future__ import annotations

from attrs import evolve, field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.layers.operators import apply_pointwise, widen, widen_weights
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class MoEGate(BaseLayer):
    """Softmax scores of all experts and the best ``num_experts_per_tok`` of each token (greedy), in float32.

    Input (*leading_shape, hidden_size); output: weights and expert numbers, each
    (num_tokens, num_experts_per_tok).
    """

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    hidden_size: Size
    n_routed_experts: Size
    num_experts_per_tok: Size

    @property
    def output_shape(self) -> Shape:
        return (multiply(self.leading_shape), self.num_experts_per_tok)

    @property
    def own_parameters(self) -> Size:
        return self.n_routed_experts * self.hidden_size

    def operators(self) -> tuple[Operator, ...]:
        num_tokens = multiply(self.leading_shape)
        scores = num_tokens * self.n_routed_experts
        chosen = num_tokens * self.num_experts_per_tok
        hidden = num_tokens * self.hidden_size
        product = 2 * scores * self.hidden_size
        wide, wide_chosen = Elements(float32=scores), Elements(float32=chosen)
        return (
            widen(hidden),
            widen_weights(self.own_parameters),
            Operator(
                name="mm",
                tensor_core_flops=product,
                reads=Elements(float32=hidden + self.own_parameters),
                writes=wide,
                backward_tensor_core_flops=2 * product,
            ),
            apply_pointwise(
                "_softmax",
                scores,
                reads=wide,
                writes=wide,
                backward_cuda_core_flops=vector_flops("_softmax_backward_data", scores),
            ),
            Operator(
                name="topk",
                cuda_core_flops=vector_flops("topk", scores),
                reads=wide,
                writes=wide_chosen + Elements(index=chosen),
                differentiated=wide_chosen,
                is_linear=True,
            ),
            # The routed scaling factor is a constant, so the gradient does not depend on the weights.
            evolve(
                apply_pointwise(
                    "mul",
                    chosen,
                    reads=wide_chosen,
                    writes=wide_chosen,
                    backward_cuda_core_flops=vector_flops("mul", chosen),
                ),
                is_linear=True,
            ),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        """Record the gate; it returns the weights and the numbers of the chosen experts."""
        (hidden_states,) = inputs
        to_float32, weight_to_float32, multiply_weight, squash, choose, scale = self.own_operators
        wide, weight = tape.cast(to_float32, hidden_states), tape.run(weight_to_float32)
        logits = tape.run(multiply_weight, wide, weight)
        scores = tape.run(squash, logits)
        written = (Elements(float32=choose.writes.float32), Elements(index=choose.writes.index))
        chosen, numbers = tape.run_all(choose, written, scores)
        weights = tape.run(scale, chosen)
        tape.keep(logits, scores, numbers)
        return (weights, numbers)
