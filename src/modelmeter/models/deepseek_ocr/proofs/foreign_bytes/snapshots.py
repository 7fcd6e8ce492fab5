"""The peaks of both implementations, stage by stage, where views are as large as in the published modes.

There the towers' is in SAM's attention over a whole view, that of a prompt is at its logits, and that of a decode step
at its logits in ours, and at the copy of the cache in transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelmeter.dimensions.functions import Size, ceil_div, differs, divide
from modelmeter.models.deepseek_ocr.architecture import IMAGE_CHANNELS
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.verify.foreign_bytes.alive import Alive, Snapshot, Snapshots
from modelmeter.verify.foreign_bytes.causes import BFLOAT16, BOOL, FLOAT32, INT64

_PAGES, _PAGE_VIEWS, _GRID = symbol("batch_size"), symbol("num_views"), symbol("grid_size")
_HIDDEN = symbol("hidden_size")


def _list_attention(block: str, norm: str, views: Size) -> Iterator[Alive]:
    """Yield what both implementations keep while SAM attends over ``views`` whole views."""
    heads, pixels = symbol("sam_num_attention_heads"), IMAGE_CHANNELS * symbol("view_size") ** 2
    states = BFLOAT16 * views * _GRID**2 * symbol("sam_hidden_size")
    copied = 3 * states
    yield Alive(
        role="bias of attention",
        made_by=("add", rf"{block}\.attn"),
        nbytes=BFLOAT16 * views * heads * _GRID**4,
    )
    yield Alive(role="pixels", made_by=("empty", ""), nbytes=BFLOAT16 * views * pixels)
    yield Alive(role="states before the layer", made_by=("add", block), nbytes=states)
    yield Alive(role="normed states", made_by=("native_layer_norm", rf"{block}\.{norm}"), nbytes=states)
    yield Alive(role="queries, keys and values", made_by=("addmm", rf"{block}\.attn\.qkv"), nbytes=3 * states)
    yield Alive(
        role="copies of queries, keys and values",
        made_by=("clone", rf"{block}\.attn"),
        nbytes=copied * differs(views, 1),
        each=copied,
    )


def _make_our_towers() -> Snapshot:
    block, views = r"sam_model\.blocks\.\d+", _PAGE_VIEWS
    terms = BFLOAT16 * views * symbol("sam_num_attention_heads") * _GRID**3
    states = BFLOAT16 * views * _GRID**2 * symbol("sam_hidden_size")
    features = BFLOAT16 * views * ceil_div(_GRID, 4) ** 2 * _HIDDEN
    return Snapshot(
        at=("addmm", rf"{block}\.attn\.proj"),
        alive=(
            *_list_attention(block, "norm1", views),
            Alive(role="row and column terms", made_by=("clone", rf"{block}\.attn"), nbytes=2 * terms, each=terms),
            Alive(
                role="output of attention", made_by=("scaled_dot_product_attention", rf"{block}\.attn"), nbytes=states
            ),
            Alive(role="projected output", made_by=("addmm", rf"{block}\.attn\.proj"), nbytes=states),
            Alive(
                role="features of earlier pages",
                made_by=("addmm", r"projector(\.layers)?"),
                nbytes=(_PAGES - 1) * features,
            ),
        ),
    )


def _make_their_towers() -> Snapshot:
    block, views = r"sam_encoder\.layers\.\d+", _PAGES * _PAGE_VIEWS
    bias = BFLOAT16 * views * symbol("sam_num_attention_heads") * _GRID**4
    return Snapshot(
        at=("clone", rf"{block}\.attn"),
        alive=(
            *_list_attention(block, "layer_norm1", views),
            Alive(role="copy of the bias", made_by=("clone", rf"{block}\.attn"), nbytes=bias, each=bias),
        ),
    )


_SEQUENCES, _QUERIES, _KEYS = symbol("batch_size"), symbol("num_queries"), symbol("num_keys")
_HEAD_DIM = divide(_HIDDEN, symbol("num_attention_heads"))
_STATES = BFLOAT16 * _SEQUENCES * _QUERIES * _HIDDEN
_LOGITS = _SEQUENCES * symbol("logits_tokens") * symbol("vocab_size")


def _list_logits(model: str) -> Iterator[Alive]:
    """Yield what both implementations keep at the logits; ``model`` is the path of the decoder."""
    yield Alive(role="logits", made_by=("mm", "lm_head"), nbytes=BFLOAT16 * _LOGITS)
    yield Alive(role="normed states", made_by=("mul", rf"{model}\.norm"), nbytes=_STATES)
    yield Alive(role="token ids", made_by=("given", rf"{model}\.embed_tokens"), nbytes=INT64 * _SEQUENCES * _QUERIES)


def _make_our_logits() -> Snapshot:
    wide = Alive(role="logits in float32", made_by=("_to_copy", ""), nbytes=FLOAT32 * _LOGITS)
    return Snapshot(at=("_to_copy", ""), alive=(*_list_logits("model"), wide))


def _make_their_logits() -> Snapshot:
    return Snapshot(at=("mm", "lm_head"), alive=tuple(_list_logits("language_model")))


def _make_their_cache() -> Snapshot:
    """Return what is alive while the keys of a layer grow by one position."""
    model, layer = "language_model", r"language_model\.layers\.\d+"
    keys = BFLOAT16 * _SEQUENCES * symbol("num_key_value_heads") * _HEAD_DIM
    return Snapshot(
        at=("cat", rf"{layer}\.self_attn"),
        alive=(
            Alive(
                role="keys of a layer, not yet in the cache",
                made_by=("cat", rf"{layer}\.self_attn"),
                nbytes=keys * _KEYS,
            ),
            Alive(
                role="new queries and keys", made_by=("add", rf"{layer}\.self_attn"), nbytes=_STATES + keys * _QUERIES
            ),
            Alive(role="new values", made_by=("mm", rf"{layer}\.self_attn\.v_proj"), nbytes=keys * _QUERIES),
            Alive(role="embedded tokens", made_by=("embedding", rf"{model}\.embed_tokens"), nbytes=_STATES),
            Alive(role="states before the layer", made_by=("add", layer), nbytes=_STATES),
            Alive(role="normed states", made_by=("mul", rf"{layer}\.input_layernorm"), nbytes=_STATES),
            Alive(role="mask of sliding windows", made_by=("bitwise_or", model), nbytes=BOOL * _QUERIES * _KEYS),
            Alive(
                role="cosines and sines",
                made_by=("_to_copy", rf"{model}\.rotary_emb"),
                nbytes=2 * BFLOAT16 * _QUERIES * _HEAD_DIM,
            ),
            Alive(role="positions", made_by=("add", model), nbytes=INT64 * _QUERIES),
            Alive(role="token ids", made_by=("given", rf"{model}\.embed_tokens"), nbytes=INT64 * _SEQUENCES * _QUERIES),
        ),
    )


SNAPSHOTS: Mapping[str, Snapshots] = {
    "views": Snapshots(ours=(_make_our_towers(),), theirs=(_make_their_towers(),)),
    "prefill": Snapshots(ours=(_make_our_logits(),), theirs=(_make_their_logits(),)),
    "decode": Snapshots(ours=(_make_our_logits(),), theirs=(_make_their_cache(), _make_their_logits())),
}
"""By the name of the stage."""
