"""The mixture of experts (vendor module ``modeling_deepseekv2.DeepseekV2MoE``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from modelmeter.cost import Elements, Operator
from modelmeter.functions import Size, divide
from modelmeter.layers.base import BaseLayer, Child, Routing, Shape, multiply, once, token_shape
from modelmeter.layers.container import ModuleList
from modelmeter.layers.operators import add_residual, apply_pointwise, concatenate, gather_rows
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_mlp import DeepseekV2MLP
from modelmeter.models.deepseek_ocr.layers.decoder.moe_gate import MoEGate
from modelmeter.operator_table import vector_flops


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

    def build_children(self) -> Mapping[str, Child]:
        # The mean share of an expert. All costs are linear in it, so their sum over the experts is exact
        # also where the shares differ by one.
        expert = DeepseekV2MLP(
            leading_shape=(divide(self.assignments, self.n_routed_experts),),
            hidden_size=self.hidden_size,
            intermediate_size=self.moe_intermediate_size,
        )
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

    def operators(self) -> tuple[Operator, ...]:
        routed = self.assignments * self.hidden_size
        tokens = multiply(self.leading_shape) * self.hidden_size
        return (
            gather_rows(routed, indices=self.assignments),
            concatenate(routed),
            Operator(
                name="index_put",
                reads=Elements(activation=routed, index=self.assignments),
                writes=Elements(activation=routed),
            ),
            apply_pointwise("mul", routed, reads=Elements(activation=routed + self.assignments)),
            Operator(
                name="sum",
                cuda_core_flops=vector_flops("sum", routed),
                reads=Elements(activation=routed),
                writes=Elements(activation=tokens),
            ),
            add_residual(tokens),
        )
