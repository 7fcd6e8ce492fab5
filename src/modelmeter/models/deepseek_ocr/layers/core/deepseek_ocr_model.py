"""The model without its LM head (vendor module ``modeling_deepseekocr.DeepseekOCRModel``)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator


@frozen(kw_only=True, slots=False)
class DeepseekOCRModel(BaseLayer):
    """A vision layer and a decoder layer, added up; any two layers will do.

    Their children, operators and parameters become this module's own, since the torch module holds
    the parts of both as attributes.
    """

    vision_layer: BaseLayer
    decoder_layer: BaseLayer

    @property
    def output_shape(self) -> Shape:
        return self.decoder_layer.output_shape

    @property
    def own_parameters(self) -> Size:
        return self.vision_layer.own_parameters + self.decoder_layer.own_parameters

    @property
    def own_kv_elements(self) -> Size:
        return self.vision_layer.own_kv_elements + self.decoder_layer.own_kv_elements

    @property
    def own_accumulated(self) -> Elements:
        return self.vision_layer.own_accumulated + self.decoder_layer.own_accumulated

    def build_children(self) -> Mapping[str, Child]:
        vision, decoder = self.vision_layer.children, self.decoder_layer.children
        shared = sorted(vision.keys() & decoder.keys())
        if shared:
            # Two plain layers of one class have equal names below; each keeps its own under a prefix.
            vision = {f"vision_layer.{name}": child for name, child in vision.items()}
            decoder = {f"decoder_layer.{name}": child for name, child in decoder.items()}
        return {**decoder, **vision}

    def operators(self) -> tuple[Operator, ...]:
        return (*self.vision_layer.operators(), *self.decoder_layer.operators())

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        # Images are written into the embeddings of the prompt, which stay alive beside the hidden states.
        prompt = tape.call(self, "embed_tokens", *inputs)
        self.vision_layer.replay(tape, prompt)
        # Each sequence sees the same row of positions.
        positions = Buffer(Elements(index=self.output_shape[1]))
        tape.reserve(positions)
        hidden_states = tape.call(self, "layers", prompt)
        output = tape.call(self, "norm", hidden_states)
        tape.keep(prompt, positions, *inputs)
        return (output,)
