"""``Writer``."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer, Shape, multiply
from modelmeter.layers.child import Child, once
from modelmeter.layers.embedding import Embedding
from modelmeter.layers.linear import Linear
from modelmeter.layers.operators import add_residual
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator


@frozen(kw_only=True, slots=False)
class Writer(BaseLayer):
    """Reads all words so far again, and scores the next one at each: (batch_size, words_so_far, dictionary_size)."""

    batch_size: Size
    words_so_far: Size
    hidden_size: Size
    dictionary_size: Size

    @property
    def output_shape(self) -> Shape:
        return (self.batch_size, self.words_so_far, self.dictionary_size)

    @property
    def own_accumulated(self) -> Elements:
        return Elements(activation=self._read)

    @property
    def _read(self) -> Size:
        return multiply((self.batch_size, self.words_so_far, self.hidden_size))

    def build_children(self) -> Mapping[str, Child]:
        rows, width, words = self.output_shape[:-1], self.hidden_size, self.dictionary_size
        return {
            "words": once(Embedding(leading_shape=rows, num_embeddings=words, embedding_dim=width)),
            "mix": once(Linear(leading_shape=rows, in_features=width, out_features=width)),
            "score": once(Linear(leading_shape=rows, in_features=width, out_features=words, bias=False)),
        }

    def operators(self) -> tuple[Operator, ...]:
        return (add_residual(self._read),)

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (add,) = self.operators()
        words = tape.call(self, "words", *inputs)
        mixed = tape.call(self, "mix", words)
        added = tape.run(add, words, mixed)
        tape.keep(mixed)
        score = tape.call(self, "score", added)
        tape.keep(words, mixed, *inputs)
        return (score,)
