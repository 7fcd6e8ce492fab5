"""How a traced model is served: what follows from its stages and sizes. Nothing here needs sympy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from modelmeter.frontend.cards.page_rules import PageRule, make_page_views
from modelmeter.model.positions import MOST_POSITIONS
from modelmeter.model.refusals import REFUSED_STAGES, STAGES
from modelmeter.model.serving import Serving, ServingMode

VISION, PREFILL, DECODE = "vision", "prefill", "decode"
"""The stages of a traced model."""

IMAGE_TOKENS: Final = "image_tokens"

_PAGE_MODE: Final = "page"
_TEXT_MODE: Final = "text"


def make_serving(stages: Collection[str], workload: Mapping[str, int]) -> Serving | None:
    """Return how a model with these stages is served: pages where it sees, and else prompts of text.

    None where a stage that writes tokens was refused: then it cannot be planned with.
    """
    if not {PREFILL, DECODE} <= {*stages}:
        return None
    if VISION in stages:
        return Serving(
            modes={_PAGE_MODE: ServingMode(name=_PAGE_MODE, sizes={}, is_cut=True)},
            page_stages=(VISION,),
            prompt_stage=PREFILL,
            step_stage=DECODE,
            image_tokens=IMAGE_TOKENS,
            prompt_tokens=("prompt_tokens", workload["prompt_tokens"]),
            seq_len="seq_len",
            steps="decode_steps",
            batch_size="batch_size",
            output_tokens=workload["max_new_tokens"],
        )
    return Serving(
        item="request",
        items="requests",
        item_sizes={"seq_len": workload["seq_len"]},
        modes={_TEXT_MODE: ServingMode(name=_TEXT_MODE, sizes={}, is_cut=False)},
        page_stages=(),
        prompt_stage=PREFILL,
        step_stage=DECODE,
        seq_len="seq_len",
        steps="decode_steps",
        batch_size="batch_size",
        output_tokens=workload["max_new_tokens"],
    )


def list_beside(
    serving: Serving | None,
    rule: PageRule | None,
    max_position_embeddings: int | None = None,
    refused: Mapping[str, str] = MappingProxyType({}),
    stages: Collection[str] = (),
) -> dict[str, Any]:
    """Return what modules beside that of a model have, by name.

    Parameters
    ----------
    serving, rule
        How it is served, and how it looks at pages.
    max_position_embeddings
        How many positions its config names.
    refused, stages
        The reason for each stage that is refused, by name, and the stages that the model has.
    """
    return {
        **({} if serving is None else {"SERVING": serving}),
        **({} if rule is None else {"PAGE_VIEWS": make_page_views(rule)}),
        **({} if max_position_embeddings is None else {MOST_POSITIONS: max_position_embeddings}),
        **({REFUSED_STAGES: dict(refused), STAGES: tuple(stages)} if refused else {}),
    }
