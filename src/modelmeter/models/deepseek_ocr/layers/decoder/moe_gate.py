"""The router (vendor module ``modeling_deepseekv2.MoEGate``)."""

from __future__ import annotations

from attrs import field, frozen

from modelmeter.cost import Elements, Operator
from modelmeter.functions import Size
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.operator_table import vector_flops


@frozen(kw_only=True, slots=False)
class MoEGate(BaseLayer):
    """Softmax scores of all experts and the best ``num_experts_per_tok`` of each token (greedy).

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
        product = 2 * scores * self.hidden_size
        return (
            Operator(
                name="MoEGate",
                tensor_core_flops=product,
                cuda_core_flops=vector_flops("_softmax", scores)
                + vector_flops("topk", scores)
                + vector_flops("mul", chosen),
                reads=Elements(activation=num_tokens * self.hidden_size, weight=self.own_parameters),
                writes=Elements(activation=chosen, index=chosen),
                backward_tensor_core_flops=2 * product,
                backward_cuda_core_flops=vector_flops("_softmax_backward_data", scores) + vector_flops("mul", chosen),
            ),
        )
