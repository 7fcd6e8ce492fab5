"""Causal attention with grouped key/value heads (vendor module ``LlamaFlashAttention2``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size, differs, divide, equals, exceeds, floor_div
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.linear import Linear
from modelmeter.layers.operators import apply_pointwise, attend, concatenate
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.layers.llama.llama_rotary_embedding import LlamaRotaryEmbedding


@frozen(kw_only=True, slots=False)
class LlamaFlashAttention2(BaseLayer):
    """Attention of ``num_queries`` new positions over ``num_keys`` cached ones, the new included.

    Input and output (batch_size, num_queries, hidden_size). FLOPs count the full num_queries x num_keys
    rectangle, without a causal discount. The keys and values of a prefill become the cache; those of later
    positions are appended in place.
    """

    batch_size: Size
    num_queries: Size
    num_keys: Size
    hidden_size: Size
    num_attention_heads: Size
    num_key_value_heads: Size

    @property
    def output_shape(self) -> Shape:
        return (self.batch_size, self.num_queries, self.hidden_size)

    @property
    def head_dim(self) -> Size:
        """Channels of one head."""
        return floor_div(self.hidden_size, self.num_attention_heads)

    @property
    def key_value_size(self) -> Size:
        """Channels of all key heads, and of all value heads."""
        return self.num_key_value_heads * self.head_dim

    @property
    def own_kv_elements(self) -> Size:
        return 2 * self.batch_size * self.num_keys * self.key_value_size

    def _project(self, in_features: Size, out_features: Size) -> Child:
        return once(
            Linear(
                leading_shape=(self.batch_size, self.num_queries),
                in_features=in_features,
                out_features=out_features,
                bias=False,
            )
        )

    def build_children(self) -> Mapping[str, Child]:
        return {
            "q_proj": self._project(self.hidden_size, self.hidden_size),
            "k_proj": self._project(self.hidden_size, self.key_value_size),
            "v_proj": self._project(self.hidden_size, self.key_value_size),
            "o_proj": self._project(self.hidden_size, self.hidden_size),
            "rotary_emb": once(
                LlamaRotaryEmbedding(batch_size=self.batch_size, num_queries=self.num_queries, head_dim=self.head_dim)
            ),
        }

    @property
    def own_accumulated(self) -> Elements:
        # The input goes through three projections. Queries and keys are rotated as a whole and by halves.
        positions = self.batch_size * self.num_queries
        return Elements(activation=2 * positions * (2 * self.hidden_size + self.key_value_size))

    @property
    def new_key_elements(self) -> Size:
        """Elements of the keys of the new positions, and of their values."""
        return self.batch_size * self.num_queries * self.key_value_size

    def operators(self) -> tuple[Operator, ...]:
        return (
            *self._rotate(self.hidden_size),
            *self._rotate(self.key_value_size),
            self._append(),
            self._append(),
            attend(
                sequences=self.batch_size,
                queries=self.num_queries,
                keys=self.num_keys,
                num_heads=self.num_attention_heads,
                query_width=self.hidden_size,
                key_width=self.key_value_size,
                is_cached=True,
            ),
        )

    def _append(self) -> Operator:
        """Return the copy of new keys, or values, behind those that are cached.

        Where none are, the new ones become the cache as they are, but for a cast where it has another width.
        """
        is_first = equals(self.num_keys, self.num_queries)
        needed = exceeds(self.num_keys, self.num_queries) + is_first * CACHE_IS_CAST
        new = self.new_key_elements
        return Operator(name="copy_", reads=Elements(activation=new), writes=Elements(kv=new)).scale(needed)

    def _rotate(self, width: Size) -> tuple[Operator, ...]:
        """Return the rotation ``x cos + rotate_half(x) sin`` of heads of ``width`` channels in all."""
        positions = self.batch_size * self.num_queries
        elements = positions * width
        # The angles are shared by all heads.
        half = divide(elements, 2)
        scale = apply_pointwise(
            "mul",
            elements,
            reads=Elements(activation=elements + positions * self.head_dim),
            backward_cuda_core_flops=vector_flops("mul", elements),
            gradients=Elements(activation=elements),
        )
        negate = apply_pointwise(
            "neg", half, reads=Elements(activation=half), backward_cuda_core_flops=vector_flops("neg", half)
        )
        return (
            scale,
            negate,
            concatenate(elements),
            scale,
            apply_pointwise("add", elements, reads=Elements(activation=2 * elements)),
        )

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (hidden_states,) = inputs
        *_, append_keys, append_values, attend_to_cache = self.own_operators
        query, key, value = (tape.call(self, name, hidden_states) for name in ("q_proj", "k_proj", "v_proj"))
        cos, sin = tape.call_all(self, "rotary_emb")
        rotated_query = self._replay_rotation(tape, self.hidden_size, query, cos, sin)
        rotated_key = self._replay_rotation(tape, self.key_value_size, key, cos, sin)
        tape.keep(query, key, value)
        with tape.only_if(exceeds(self.num_keys, self.num_queries)):
            tape.change(append_keys, rotated_key)
            tape.change(append_values, value)
            tape.keep(rotated_key)
        # From here on keys and values are those of the cache.
        attended = tape.run(attend_to_cache, rotated_query)
        output = tape.call(self, "o_proj", attended)
        tape.keep(rotated_query, cos, sin)
        return (output,)

    def _replay_rotation(self, tape: Tape, width: Size, states: Buffer, cos: Buffer, sin: Buffer) -> Buffer:
        scale, negate, join, scale_rotated, add = self._rotate(width)
        scaled = tape.run(scale, states, cos)
        rotated = tape.run(join, states, tape.run(negate, states))
        return tape.run(add, scaled, tape.run(scale_rotated, rotated, sin))


CACHE_IS_CAST: Size = differs(symbol("kv_bits"), symbol("activation_bits"))
"""1 where a cached key has another width than an activation."""
