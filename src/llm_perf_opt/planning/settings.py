"""The settings of serving engines that follow from a plan, and the arithmetic that shows that they fit."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import frozen

from llm_perf_opt.data.hardware import DTYPE_BITS
from llm_perf_opt.planning.engine_notes import (
    CHECKPOINT,
    find_engine_dtype,
    holds_fp8_cache,
    list_margin_notes,
    list_notes,
)
from llm_perf_opt.planning.margin import Margin
from llm_perf_opt.planning.memory import EngineMemory
from llm_perf_opt.planning.search import CardPlan
from llm_perf_opt.planning.setup import Setup
from modelmeter.support.errors import WorkloadError

_VLLM_CACHE, _SGLANG_CACHE = "fp8", "fp8_e4m3"
_VLLM_BATCH, _SGLANG_BATCH = "--max-num-seqs", "--max-running-requests"
_FRACTION_DIGITS = 3


@frozen(kw_only=True)
class Term:
    """A line of the arithmetic: bytes that are taken, needed or left."""

    words: str
    num_bytes: int


@frozen(kw_only=True)
class EngineSettings:
    """How an engine is started so that the plan holds.

    Parameters
    ----------
    engine
        Its name.
    options
        What it is given, in order.
    command
        The same as a line for a shell.
    notes
        What the command does not say, and the plan holds only with.
    """

    engine: str
    options: tuple[tuple[str, str], ...]
    command: str
    notes: tuple[str, ...] = ()

    @property
    def snippet(self) -> str:
        """The notes as comments, and the command."""
        return "\n".join([*(f"# {note}" for note in self.notes), self.command])


@frozen(kw_only=True)
class Fit:
    """The memory of a card with a plan's batch: the terms add up to what is free, which is not below 0.

    Parameters
    ----------
    terms
        From the memory that programs see to what is free.
    blocks, block_tokens, cache_tokens
        The cache that all pages in flight need at most, in the layers that keep most of it: blocks, tokens in each, and
        tokens in all.
    step_tokens
        The most tokens of a step. The image of a page is never more than its prompt, so that it is within the budget
        of images too; engines run the towers page by page.
    longest
        The most tokens of a page, its output among them.
    """

    terms: tuple[Term, ...]
    blocks: int
    block_tokens: int
    cache_tokens: int
    step_tokens: int
    longest: int

    @property
    def free_bytes(self) -> int:
        """What no term needs."""
        return sum(term.num_bytes for term in self.terms)


def find_fit(plan: CardPlan) -> Fit:
    """Return the arithmetic of the chosen batch of a plan.

    Raises
    ------
    WorkloadError
        If the plan has none.
    """
    memory, batch, names = plan.setup.memory, _find_batch(plan), plan.setup.mix.model.serving
    blocks = batch * memory.page_blocks
    cache = [
        Term(
            words=f"cache of {batch:,} {names.items} of {part.blocks:,} blocks of {memory.block_tokens} tokens"
            + (", in layers whose window is full" if part.is_full else ""),
            num_bytes=-batch * part.num_bytes,
        )
        for part in memory.page_cache
    ]
    return Fit(
        terms=(
            Term(words="what programs see of the card", num_bytes=memory.card.visible_bytes),
            Term(
                words=f"not taken, at a utilisation of {memory.utilisation:g}",
                num_bytes=memory.taken_bytes - memory.card.visible_bytes,
            ),
            Term(words="reserve for contexts, kernels and workspaces", num_bytes=-memory.reserve.reserve_bytes),
            Term(words="weights", num_bytes=-memory.weight_bytes),
            Term(
                words=_describe_peak(memory, batch),
                num_bytes=-memory.measure_peak(batch),
            ),
            *cache,
        ),
        blocks=blocks,
        block_tokens=memory.block_tokens,
        cache_tokens=blocks * memory.block_tokens,
        step_tokens=memory.count_step_tokens(batch),
        longest=memory.mix.most_cached_tokens + 1,
    )


def _describe_peak(memory: EngineMemory, batch_size: int) -> str:
    """Return what has the most activations alive: the stages before a prompt, or a step with the longest prompt."""
    names = memory.mix.model.serving
    before = f"{' and '.join(names.page_stages)} of a {names.item}, or " if names.page_stages else ""
    tokens = memory.count_step_tokens(batch_size)
    if names.prompt_stage is None:
        held = f"one of each of {batch_size:,} {names.items}"
    else:
        held = f"the longest prompt of {tokens - batch_size + 1:,}, and one of each other {names.item}"
    return (
        f"activations at their peak, the larger of: {before}a step of {tokens:,} tokens ({held})"
        if before
        else (f"activations at their peak: a step of {tokens:,} tokens ({held})")
    )


def list_settings(plan: CardPlan, margin: Margin | None = None) -> tuple[EngineSettings, ...]:
    """Return the settings of vLLM and of SGLang for the batch of a plan; none where they do not run the model.

    Parameters
    ----------
    plan
        Of a card.
    margin
        What it takes if its times are as wrong as the calibration: where its batch breaks the limit then, settings are
        those of the largest that keeps it, and a note says so.

    Raises
    ------
    WorkloadError
        If the plan has none.
    """
    planned, used = _find_batch(plan), plan if margin is None else margin.recommend(plan)
    fit, batch, setup = find_fit(used), _find_batch(used), plan.setup
    published = setup.mix.model.serving.repository
    if published is None:
        return ()
    is_published = setup.mix.model.bits["weight_bits"] == DTYPE_BITS[find_engine_dtype(setup.dtype)]
    # What is planned is not what the published checkpoint is: the name of that would start something else.
    repository = published if is_published else CHECKPOINT
    vllm = tuple(_list_vllm(setup, fit, batch))
    sglang = tuple(_list_sglang(setup, fit, batch))
    return (
        EngineSettings(
            engine="vLLM",
            options=vllm,
            command=_join(f"vllm serve {repository}", vllm),
            notes=list_notes(setup, "vLLM", _VLLM_CACHE) + list_margin_notes(setup, planned, margin, _VLLM_BATCH),
        ),
        EngineSettings(
            engine="SGLang",
            options=sglang,
            command=_join(f"python -m sglang.launch_server --model-path {repository}", sglang),
            notes=(
                *list_notes(setup, "SGLang", _SGLANG_CACHE),
                *list_margin_notes(setup, planned, margin, _SGLANG_BATCH),
            ),
        ),
    )


def _list_vllm(setup: Setup, fit: Fit, batch: int) -> Iterator[tuple[str, str]]:
    yield "--dtype", find_engine_dtype(setup.dtype)
    yield "--gpu-memory-utilization", f"{setup.utilisation:g}"
    yield _VLLM_BATCH, str(batch)
    yield "--max-model-len", str(fit.longest)
    yield "--max-num-batched-tokens", str(fit.step_tokens)
    if setup.cards_per_model > 1:
        yield "--tensor-parallel-size", str(setup.cards_per_model)
    if setup.mix.model.degrees.expert > 1:
        yield "--enable-expert-parallel", ""
    yield "--block-size", str(fit.block_tokens)
    if holds_fp8_cache(setup):
        yield "--kv-cache-dtype", _VLLM_CACHE
    yield "--limit-mm-per-prompt", "'{\"image\": 1}'"
    # Each page is another one: nothing of it is asked for again.
    yield "--no-enable-prefix-caching", ""
    yield "--mm-processor-cache-gb", "0"


def _list_sglang(setup: Setup, fit: Fit, batch: int) -> Iterator[tuple[str, str]]:
    memory = setup.memory
    # Its static part is weights and cache; what is left beside it has to hold activations and the reserve.
    static = memory.usable_bytes - memory.measure_peak(batch)
    part = math.floor(static * 10**_FRACTION_DIGITS / memory.card.visible_bytes) / 10**_FRACTION_DIGITS
    yield "--dtype", find_engine_dtype(setup.dtype)
    yield "--mem-fraction-static", f"{part:.{_FRACTION_DIGITS}f}"
    yield _SGLANG_BATCH, str(batch)
    yield "--context-length", str(fit.longest)
    # SGLang takes whole blocks only; rounded down, so that no step has more tokens than the arithmetic.
    yield "--chunked-prefill-size", str(max(fit.step_tokens // fit.block_tokens, 1) * fit.block_tokens)
    if setup.cards_per_model > 1:
        yield "--tp-size", str(setup.cards_per_model)
    if setup.mix.model.degrees.expert > 1:
        yield "--ep-size", str(setup.mix.model.degrees.expert)
    yield "--page-size", str(fit.block_tokens)
    if holds_fp8_cache(setup):
        yield "--kv-cache-dtype", _SGLANG_CACHE
    yield "--disable-radix-cache", ""


def _join(start: str, options: tuple[tuple[str, str], ...]) -> str:
    return " \\\n  ".join([start, *(" ".join(filter(None, option)) for option in options)])


def _find_batch(plan: CardPlan) -> int:
    if plan.chosen is None:
        raise WorkloadError("there is no batch to find settings for", place=plan.setup.card.hardware_id,
                            expected="limits that are met")  # fmt: skip
    return plan.chosen.batch_size
