"""The stages of a text decoder: how the forward of each is made, and what its layers keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import nn
from transformers.cache_utils import DynamicCache

from modelmeter.frontend.cache import CachedShape, read_shapes
from modelmeter.frontend.definition import DECODE, PREFILL, TEXT_DIMENSIONS
from modelmeter.frontend.experts import ExpertCosts, learn_experts
from modelmeter.frontend.refusals import name_line
from modelmeter.frontend.shallow import run_prompt
from modelmeter.frontend.text_parts import CACHED
from modelmeter.frontend.tracing import PrefillForward, StageForward, prepare_decode, prepare_prefill
from modelmeter.support.errors import CountError
from modelmeter.verify.symbolic_trace import Forward


def learn_cache(model: nn.Module) -> tuple[CachedShape | None, ...]:
    """Return what each layer of a model keeps, from a prefill at small sizes."""
    return learn_stages(model)[0]


def learn_stages(
    model: nn.Module, *, is_checked: bool = True
) -> tuple[tuple[CachedShape | None, ...], tuple[ExpertCosts, ...]]:
    """Return what each layer keeps, and what loops over experts do, from a prefill at small sizes.

    ``is_checked`` is as for :func:`learn_experts`.
    """
    caches: list[DynamicCache] = []
    with name_line("a small prefill"):
        learned = learn_experts(model, lambda: caches.append(run_prompt(model)), is_checked=is_checked)
    shapes = read_shapes(caches[0])
    if all(shape is None for shape in shapes):
        raise CountError(
            "no layer keeps keys and values, so that a step has nothing of the prompt to see",
            place=type(model).__name__, expected="a causal decoder",
            remedy="an encoder becomes one by is_decoder = true in its config",
        )  # fmt: skip
    return shapes, learned


def list_stages(shapes: Sequence[CachedShape | None]) -> dict[str, StageForward]:
    """Return how the forward of each stage of a text decoder is made."""
    symbol = TEXT_DIMENSIONS.symbol
    return {
        PREFILL: StageForward(
            prepare=prepare_prefill, sizes={"batch_size": symbol("batch_size"), "seq_len": symbol("seq_len")}
        ),
        DECODE: StageForward(
            prepare=prepare_decode(shapes), sizes={"batch_size": symbol("batch_size"), "cached": CACHED}
        ),
    }


def follow_stages(model: nn.Module) -> Callable[[str, Mapping[str, int]], Forward]:
    """Return what makes the forward of a stage by its name and sizes, without a run of its own where it can be.

    A decode begins with what the layers of ``model`` kept of the last prefill, which has run by then. If there was
    none, that is learned from one at small sizes.
    """
    prefills: list[PrefillForward] = []
    learned: list[tuple[CachedShape | None, ...]] = []

    def prepare(stage: str, sizes: Mapping[str, int]) -> Forward:
        if stage == PREFILL:
            prefills[:] = [prepare_prefill(model, sizes)]
            return prefills[0]
        if not learned:
            learned.append(prefills[0].read_shapes() if prefills else learn_cache(model))
        return list_stages(learned[0])[stage].prepare(model, sizes)

    return prepare
