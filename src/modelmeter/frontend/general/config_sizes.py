"""The sizes in the configs of text decoders that can be symbols: what each one is, and what holds between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from attrs import evolve

from modelmeter.dimensions.size_rules import Rule
from modelmeter.dimensions.symbols import Dimension, Dimensions, define_sizes
from modelmeter.frontend.records import GeneralForm

LAYERS: Final = "num_hidden_layers"
DENSE_LAYERS: Final = "first_k_dense_replace"
HEADS: Final = "num_attention_heads"
KEY_HEADS: Final = "num_key_value_heads"
HEAD_CHANNELS: Final = "head_dim"
WIDTH: Final = "hidden_size"
CHOSEN_EXPERTS: Final = "num_experts_per_tok"
EXPERTS: Final = ("n_routed_experts", "num_experts", "num_local_experts")
"""One of these says how many experts there are."""

DEPTHS: Final = (LAYERS, DENSE_LAYERS)
"""Sizes that say how many layers there are of a kind, and nothing about a layer."""

SIZES: Final = define_sizes(
    "architecture",
    (WIDTH, "channels", "width of the decoder"),
    ("intermediate_size", "channels", "MLP width of a dense decoder layer"),
    ("moe_intermediate_size", "channels", "MLP width of one expert"),
    (LAYERS, "layers", "decoder layers"),
    (DENSE_LAYERS, "layers", "leading decoder layers with a dense MLP", 0),
    (HEADS, "heads", "query heads of a decoder layer"),
    (KEY_HEADS, "heads", "key and value heads of a decoder layer"),
    (HEAD_CHANNELS, "channels", "channels of one attention head"),
    ("q_lora_rank", "channels", "channels that queries are projected to first"),
    ("kv_lora_rank", "channels", "channels that keys and values are projected to first"),
    ("qk_nope_head_dim", "channels", "channels of a query head that are not rotated"),
    ("qk_rope_head_dim", "channels", "channels of a query head that are rotated"),
    ("v_head_dim", "channels", "channels of a value head"),
    *((name, "experts", "routed experts of a layer with experts") for name in EXPERTS),
    ("n_shared_experts", "experts", "experts that every token uses"),
    (CHOSEN_EXPERTS, "experts", "routed experts that one token uses"),
    ("vocab_size", "tokens", "rows of the embedding and of the LM head"),
)
"""In the order of documentation; the names are the keys of configs."""

_LATEX: Final[Mapping[str, str]] = {
    LAYERS: "L", DENSE_LAYERS: r"L_{\mathrm{dense}}", **dict.fromkeys(EXPERTS, "E"),
    "n_shared_experts": r"E_{\mathrm{sh}}", CHOSEN_EXPERTS: "k", HEADS: r"h_{\mathrm{q}}",
    KEY_HEADS: r"h_{\mathrm{kv}}", HEAD_CHANNELS: r"d_{\mathrm{head}}", "q_lora_rank": r"r_{\mathrm{q}}",
    "kv_lora_rank": r"r_{\mathrm{kv}}",
    "qk_nope_head_dim": r"d_{\mathrm{nope}}", "qk_rope_head_dim": r"d_{\mathrm{rope}}",
    "v_head_dim": r"d_{\mathrm{v}}",
    WIDTH: "d", "intermediate_size": r"d_{\mathrm{ff}}", "moe_intermediate_size": r"d_{\mathrm{moe}}",
    "vocab_size": r"V",
}  # fmt: skip

_OTHERS: Final = (
    "tie_word_embeddings", "attention_bias", "mlp_bias", "use_bias", "sliding_window", "n_group", "topk_group",
    "hidden_act", *SIZES,
)  # fmt: skip
"""Keys that cost depends on, too: where they are no symbols, they are fixed by the config."""


def define_config_sizes(form: GeneralForm) -> dict[str, Dimension]:
    """Return the record of each size that is a symbol."""
    return {
        name: evolve(SIZES[name], minimum=form.least.get(name, SIZES[name].minimum))
        for name in SIZES
        if name in form.sizes
    }


def describe_general(form: GeneralForm) -> str:
    """Return which sizes are symbols, how that is known, and what is fixed: sentences with code in backquotes."""
    fixed = f" Fixed by the config: {', '.join(f'``{each}``' for each in form.fixed)}." if form.fixed else ""
    names = ", ".join(f"``{name}``" for name in SIZES if name in form.sizes)
    own = (
        " ``head_dim`` is an argument of its own, which does not follow from others."
        if HEAD_CHANNELS in form.sizes
        else ""
    )
    return (
        f"In ``general`` {names} are arguments. Each number of each operator is a polynomial in them, found by exact "
        f"rational interpolation over counts of the unmodified modules of {form.configs} small configs; at the sizes "
        "of this model it equals the traced formula, multiplied out, and all metrics of whole models were equal at "
        f"{form.fresh} further configs drawn by chance. Peaks are those of this config alone.{own}{fixed}"
    )


def add_config_sizes(dimensions: Dimensions, sizes: Mapping[str, Dimension]) -> Dimensions:
    """Return the sizes of a model with those of its config among them."""
    names = (*dimensions.workload, *dimensions.architecture, *dimensions.local)
    return Dimensions(
        workload=dimensions.workload,
        architecture={**dimensions.architecture, **sizes},
        local={name: each for name, each in dimensions.local.items() if name not in sizes},
        latex={**{name: dimensions.latex[name] for name in names}, **{name: _LATEX[name] for name in sizes}},
    )


def list_size_rules(sizes: Collection[str], *, splits_width: bool) -> tuple[Rule, ...]:
    """Return what holds between sizes; ``splits_width`` says whether heads have to divide the width."""
    experts = next((name for name in EXPERTS if name in sizes), "")
    rules = (
        Rule(KEY_HEADS, "divides", HEADS),
        *((Rule(HEADS, "divides", WIDTH),) if splits_width else ()),
        Rule(2, "divides", HEAD_CHANNELS),
        Rule(2, "divides", "qk_rope_head_dim"),
        Rule(CHOSEN_EXPERTS, "at_most", experts),
        Rule(DENSE_LAYERS, "at_most", LAYERS),
    )
    return tuple(rule for rule in rules if rule.names <= {*sizes})


def list_fixed(fields: Mapping[str, object], sizes: Collection[str], tied: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys that cost depends on and that are no symbols, with what they are.

    Sizes that are ``tied`` follow from others, and so do those that a config with latent attention works out.
    """
    found = {**fields, **tied}
    if "qk_rope_head_dim" in fields:
        found.pop(HEAD_CHANNELS, None)
    return tuple(f"{key} = {found[key]}" for key in _OTHERS if key not in sizes and found.get(key) is not None)
