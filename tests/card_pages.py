"""How many pages fit on a card, and what they take at their peak, counted by hand: for the README and the examples."""

from __future__ import annotations

import math

PARAMETERS = 3_336_106_240

# For a token of the prompt, in bfloat16 with logits of all positions: 129,280 logits of two bytes and their copies in
# float32, the hidden state that they come from, and the id of the token.
HEAD = 129_280 * (2 + 4) + 1280 * 2 + 8

# With those of the last position, in a layer of experts, as the outputs of the six that the token chose are added up.
# Alive are the embedding, what goes into the layer, into its experts and around them (4 x 1280 channels of two bytes);
# the six rows that went in, that came out, that were joined and that were put back in order (24 x 1280); in float32
# the six weighted ones and their sum (7 x 1280); the numbers of its experts, their order, and which of 64 they are
# (2 x 6 + 64 of eight bytes); six weights in float32; its id.
EXPERTS = (4 + 24) * 1280 * 2 + 7 * 1280 * 4 + (2 * 6 + 64) * 8 + 6 * 4 + 8

TOWERS = 549_273_600
"""What six views of 640 pixels take at their peak in one call of the vendor's own towers, as counted there."""


def count_pages(seq_len: int) -> tuple[int, int]:
    """Return how many pages fit on an H100 with logits of all positions of their prompts, and of the last.

    Parameters have two bytes. A page caches keys and values of 1280 channels in 12 layers for its prompt and 1023
    steps. In a layer of experts the positions of one prompt and the tokens of each expert are alive beside all tokens.
    """
    usable = 80 * 2**30 - math.ceil(2.14 * 2**30)  # less what CUDA does not show, and what is not the model
    room = usable - 2 * PARAMETERS
    cache = 12 * 2 * 1280 * 2 * (seq_len + 1023)
    beside = 8 * seq_len + 8 * 64
    return room // (cache + HEAD * seq_len), (room - beside) // (cache + EXPERTS * seq_len)
