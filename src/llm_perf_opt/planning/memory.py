"""What fits on a card as a serving engine sees it: weights, a cache in blocks of tokens, and activations."""

from __future__ import annotations

import math
from bisect import bisect_left
from fractions import Fraction
from functools import cached_property
from typing import Final

from attrs import field, frozen

from llm_perf_opt.data import HardwareSpec, rules
from llm_perf_opt.data.hardware import COMMON_RESERVE, MemoryReserve
from llm_perf_opt.planning.mix import PageMix
from llm_perf_opt.planning.parallel import BITS_PER_BYTE
from llm_perf_opt.planning.step_records import CachePart

UTILISATION: Final = 0.9
"""The part of the visible memory that vLLM takes unless told otherwise."""

BLOCK_TOKENS: Final = 16
"""The tokens of a block of the cache in vLLM."""

MOST_SEQUENCES: Final = 2**20
"""Beyond any engine."""

UTILISATION_RULE = rules.FieldRule(
    expected="a number above 0, at most 1",
    accepts=lambda value: type(value) is float and 0 < value <= 1,
    schema={"type": "number"},
)


@frozen(kw_only=True)
class CacheBlocks:
    """The blocks of a page in some layers.

    Parameters
    ----------
    blocks
        How many.
    block_bytes
        What each of them takes in all of these layers, rounded up.
    is_full
        Whether the layers have a window, and have dropped positions that were in it.
    """

    blocks: int
    block_bytes: int
    is_full: bool

    @property
    def num_bytes(self) -> int:
        """What they take."""
        return self.blocks * self.block_bytes


@frozen(kw_only=True, eq=False)
class EngineMemory:
    """The memory of a card for a mix of pages.

    Parameters
    ----------
    card
        The card.
    mix
        The pages, on a model at some widths.
    utilisation
        The part of what the card shows that the engine takes.
    reserve
        What of that is for other things than weights, cache and activations.
    block_tokens
        How many tokens a block of the cache has.
    """

    card: HardwareSpec
    mix: PageMix
    utilisation: float = field(default=UTILISATION, converter=rules.as_float, validator=UTILISATION_RULE)
    reserve: MemoryReserve = COMMON_RESERVE
    block_tokens: int = field(default=BLOCK_TOKENS, validator=rules.whole_number(1))

    @cached_property
    def taken_bytes(self) -> int:
        """What the engine takes of the card, rounded down."""
        return math.floor(Fraction(repr(self.utilisation)) * self.card.visible_bytes)

    @property
    def usable_bytes(self) -> int:
        """What is left of that for the model; 0 where the reserve is more than all of it."""
        return max(0, self.taken_bytes - self.reserve.reserve_bytes)

    @cached_property
    def weight_bytes(self) -> int:
        """The parameters; of a card, where several share the model."""
        return self.mix.model.weight_bytes

    @cached_property
    def token_bytes(self) -> Fraction:
        """What a token takes in the cache, in a window or not."""
        names = self.mix.model.serving
        sizes = {"steps": _CACHED_TOKENS} if names.prompt_stage is None else {"seq_len": _CACHED_TOKENS}
        block: int = self.mix.model.evaluate(
            names.prompt_stage or names.step_stage, **names.name_sizes(**sizes, logits_tokens=1)
        ).kv_cache_bytes
        return self.mix.model.cache_share * block / _CACHED_TOKENS

    @property
    def block_bytes(self) -> int:
        """What a block takes, rounded up."""
        return math.ceil(self.token_bytes * self.block_tokens)

    @cached_property
    def page_cache(self) -> tuple[CacheBlocks, ...]:
        """The cache of the page that has most in it, those layers first that keep fewest positions.

        A layer with a full window drops a position for each that it adds, and engines drop whole blocks, so that what
        it keeps may begin inside of one; it never has more blocks than it would have without a window.
        """
        listed = (tuple(map(self._make_blocks, parts)) for parts in self.mix.steps.largest_caches)
        return max(listed, key=lambda found: sum(part.num_bytes for part in found))

    def _make_blocks(self, part: CachePart) -> CacheBlocks:
        held, seen = part.tokens, part.tokens + part.dropped
        return CacheBlocks(
            blocks=min(-(-(held - 1) // self.block_tokens) + 1, -(-seen // self.block_tokens)),
            block_bytes=math.ceil(self.mix.model.cache_share * part.token_bytes * self.block_tokens / BITS_PER_BYTE),
            is_full=part.dropped > 0,
        )

    @property
    def page_blocks(self) -> int:
        """The blocks of the page that has most in the cache, in the layers that keep most; 0 where none keeps any."""
        return max((part.blocks for part in self.page_cache), default=0)

    @cached_property
    def page_cache_bytes(self) -> int:
        """The cache of the page that has most in it."""
        return sum(part.num_bytes for part in self.page_cache)

    @property
    def cache_tokens(self) -> int:
        """The tokens of the cache that an engine reports when it starts: all that weights and reserve leave.

        Engines count the activations of their trial run in the reserve, and tokens as if no window was ever full.
        """
        if not self.block_bytes:
            return 0
        left = max(0, self.usable_bytes - self.weight_bytes)
        return left // self.block_bytes * self.block_tokens

    def count_step_tokens(self, batch_size: int) -> int:
        """Return the most tokens of a step: a prompt of the longest page, beside a token of every other sequence."""
        if self.mix.model.serving.prompt_stage is None:
            return batch_size
        return self.mix.longest_prompt + batch_size - 1

    @cached_property
    def page_peak_bytes(self) -> int:
        """The most bytes of activations of the stages that look at a page, over all views of the mix."""
        model = self.mix.model
        return max(
            (
                model.measure_peak(stage, **{**dict(views), **model.serving.name_sizes(seq_len=seq_len)})
                for views, seq_len in self.mix.views.items()
                for stage in model.serving.page_stages
            ),
            default=0,
        )

    def measure_peak(self, batch_size: int) -> int:
        """Return the most bytes of activations alive at once, with so many sequences.

        Of a page before its prompt, or of a step: a prompt with as many tokens as the longest page and all sequences
        have together, with logits of all sequences and of what the page wants; without prompts, all sequences after as
        many steps as the longest page has.
        """
        model, tokens = self.mix.model, self.count_step_tokens(batch_size)
        names = model.serving
        if names.prompt_stage is None:
            sizes = names.name_sizes(batch_size=batch_size, steps=self.mix.most_cached_tokens)
        else:
            logits = min(self.mix.most_logits_tokens + batch_size - 1, tokens)
            sizes = names.name_sizes(seq_len=tokens, logits_tokens=logits)
        step = model.measure_peak(names.prompt_stage or names.step_stage, **sizes)
        return max(self.page_peak_bytes, step)

    def measure(self, batch_size: int) -> int:
        """Return what so many sequences need, each of them as long as the longest page becomes."""
        cache = batch_size * self.page_cache_bytes
        return self.weight_bytes + cache + self.measure_peak(batch_size)

    @cached_property
    def largest_batch(self) -> int:
        """The most sequences that fit whichever pages come together; 0 if not even one does."""
        # What they need grows with them, so that the first that does not fit is found by halving.
        sizes = range(1, MOST_SEQUENCES + 1)
        return bisect_left(sizes, True, key=lambda batch_size: self.measure(batch_size) > self.usable_bytes)


_CACHED_TOKENS: Final = 8
"""Eight tokens take whole bytes at any whole number of bits."""
