"""``Transcriber``."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, never, once
from modelmeter.layers.tape import Buffer, Tape


@frozen(kw_only=True, slots=False)
class Transcriber(BaseLayer):
    """A listener, which runs once, and a writer, which runs for each word."""

    listener: BaseLayer
    writer: BaseLayer
    is_listening: bool

    @property
    def output_shape(self) -> Shape:
        return (self.listener if self.is_listening else self.writer).output_shape

    def build_children(self) -> Mapping[str, Child]:
        if self.is_listening:
            return {"listener": once(self.listener), "writer": never(self.writer)}
        return {"writer": once(self.writer)}

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        return tape.call_all(self, "listener" if self.is_listening else "writer", *inputs)
