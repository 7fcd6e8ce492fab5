"""What each key of a config means to costs: some values only are modelled, none matters, or nobody knows.

A key that is in no table is neither refused nor passed over: it is named to the user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from modelmeter.models.deepseek_ocr.hf_values import is_one_of


@frozen(kw_only=True)
class KeyRule:
    """The values of a key that the layers model.

    Parameters
    ----------
    allowed
        These values.
    reason
        What another value would change.
    is_required
        Whether the key has to be there, as its default is not among them.
    """

    allowed: tuple[object, ...]
    reason: str
    is_required: bool = False

    def allows(self, value: object) -> bool:
        """Tell whether a value is modelled."""
        return is_one_of(value, self.allowed)


def _off(reason: str) -> KeyRule:
    return KeyRule(allowed=(False, None), reason=reason)


def _one(reason: str) -> KeyRule:
    return KeyRule(allowed=(1, 1.0, None), reason=reason)


GENERAL_RULES: Final[Mapping[str, KeyRule]] = {
    "output_attentions": _off("scores that are returned are stored"),
    "output_hidden_states": _off("hidden states that are returned stay alive"),
    "gradient_checkpointing": _off("a training step would compute activations twice"),
    "chunk_size_feed_forward": KeyRule(allowed=(0, None), reason="chunks of an MLP keep less alive"),
    "num_beams": _one("beams are sequences"),
    "num_beam_groups": _one("beams are sequences"),
    "num_return_sequences": _one("every sequence decodes on its own"),
    "is_encoder_decoder": _off("the layers are a decoder only"),
    "add_cross_attention": _off("cross-attention has parameters"),
    "cross_attention_hidden_size": KeyRule(allowed=(None,), reason="cross-attention has parameters"),
    "tie_encoder_decoder": _off("the layers are a decoder only"),
    "pruned_heads": KeyRule(allowed=({}, None), reason="a layer without some heads is smaller"),
}
"""Of every section."""

DECODER_RULES: Final[Mapping[str, KeyRule]] = {
    # The default of the vendor's class is true.
    "use_mla": KeyRule(allowed=(False,), reason="latent attention projects and caches low ranks", is_required=True),
    # The default of the vendor's class is a name that its own gate does not know.
    "topk_method": KeyRule(
        allowed=("greedy",), reason="a gate that chooses groups of experts runs more operators", is_required=True
    ),
    "scoring_func": KeyRule(allowed=("softmax", None), reason="the gate computes a softmax"),
    "norm_topk_prob": _off("to normalize the weights of the experts takes a sum and a division"),
    "moe_layer_freq": _one("every layer after the first dense ones has experts"),
    "hidden_act": KeyRule(allowed=("silu",), reason="another activation is another operator"),
    "attention_bias": _off("biases of the attention are parameters"),
    "mlp_bias": _off("biases of the MLPs are parameters"),
    "qk_norm": _off("norms of queries and keys are operators"),
    "use_qk_norm": _off("norms of queries and keys are operators"),
    "tie_word_embeddings": _off("a table that the LM head shares is stored once"),
    "lm_head": KeyRule(allowed=(True,), reason="the model ends with an LM head"),
    "rm_head": _off("a reward head has parameters"),
    "use_sliding_window": _off("attention over a window reads and caches fewer keys"),
    "pretraining_tp": _one("slices of the projections are operators of their own"),
    "ep_size": _one("experts on several devices exchange tokens"),
    "partial_rotary_factor": _one("all channels of a head are rotated"),
    "output_router_logits": _off("logits of the router that are returned stay alive"),
}
"""Of a decoder."""

PROJECTOR_RULES: Final[Mapping[str, KeyRule]] = {
    "projector_type": KeyRule(allowed=("linear",), reason="the projector is one linear layer", is_required=True),
    "token_pooling": _off("pooling tokens is a layer"),
    "conv_fusion_high_low_features": _off("fusing features is a layer"),
}

SAM_RULES: Final[Mapping[str, KeyRule]] = {
    "num_channels": KeyRule(allowed=(3, None), reason="images have three channels"),
    "hidden_act": KeyRule(allowed=("gelu",), reason="another activation is another operator"),
    "qkv_bias": KeyRule(allowed=(True,), reason="the layers have this bias"),
    "use_abs_pos": KeyRule(allowed=(True,), reason="the layers have position embeddings"),
    "use_rel_pos": KeyRule(allowed=(True,), reason="the layers have relative positions"),
}

CLIP_RULES: Final[Mapping[str, KeyRule]] = {
    "num_channels": KeyRule(allowed=(3, None), reason="images have three channels"),
    "hidden_act": KeyRule(allowed=("quick_gelu",), reason="another activation is another operator"),
}


def _give_reason(reason: str, keys: str) -> dict[str, str]:
    return dict.fromkeys(keys.split(), reason)


GENERAL_COSTLESS: Final[Mapping[str, str]] = {
    **_give_reason(
        "a name, or a note of the library that wrote the file",
        "_name_or_path name_or_path model_type architectures auto_map transformers_version tokenizer_class prefix "
        "problem_type finetuning_task task_specific_params id2label label2id num_labels return_dict torchscript "
        "use_bfloat16 tf_legacy_loss unsloth_version unsloth_fixed processor_class _commit_hash base_model_tp_plan",
    ),
    **_give_reason("a type of what is stored: costs take bits", "torch_dtype dtype"),
    **_give_reason(
        "formulas are of fused attention, by convention", "_attn_implementation _attn_implementation_autoset "
        "attn_implementation _flash_attn_2_enabled",
    ),
    **_give_reason(
        "the number of a token",
        "bos_token_id eos_token_id pad_token_id sep_token_id unk_token_id decoder_start_token_id image_token_id "
        "image_token_index forced_bos_token_id forced_eos_token_id suppress_tokens begin_suppress_tokens bad_words_ids",
    ),
    **_give_reason(
        "how a token is chosen from its logits",
        "do_sample early_stopping temperature top_k top_p typical_p repetition_penalty length_penalty "
        "no_repeat_ngram_size encoder_no_repeat_ngram_size diversity_penalty exponential_decay_length_penalty "
        "remove_invalid_values output_scores return_dict_in_generate",
    ),
    **_give_reason("a limit of generation: the workload says how many tokens there are", "max_length min_length"),
    **_give_reason("what weights are before training", "initializer_range initializer_factor"),
    **_give_reason(
        "a constant of an operator that runs whatever it is",
        "rms_norm_eps layer_norm_eps attention_dropout attn_pdrop resid_pdrop hidden_dropout",
    ),
}  # fmt: skip

DECODER_COSTLESS: Final[Mapping[str, str]] = {
    **_give_reason("a constant of an operator that runs whatever it is", "rope_theta routed_scaling_factor"),
    **_give_reason("rotary angles are computed for the positions that there are", "max_position_embeddings"),
    **_give_reason("of latent attention, which use_mla turns off", "kv_lora_rank q_lora_rank qk_nope_head_dim "
                   "qk_rope_head_dim qk_head_dim v_head_dim"),
    **_give_reason("of a gate that chooses groups, which topk_method turns off", "n_group topk_group"),
    **_give_reason("of an auxiliary loss, which no stage computes", "aux_loss_alpha seq_aux router_aux_loss_coef"),
    **_give_reason("generation asks for a cache itself", "use_cache"),
    **_give_reason("what the layers are in any case", "is_decoder"),
    **_give_reason("of a window, which is looked at by itself", "max_window_layers"),
}  # fmt: skip

MODEL_COSTLESS: Final[Mapping[str, str]] = _give_reason(
    "a list of sides: the workload says which there are", "candidate_resolutions"
)

PROJECTOR_COSTLESS: Final[Mapping[str, str]] = _give_reason(
    "of projectors with hidden layers, which this one is not", "depth mlp_ratio downsample_ratio"
)

VISION_COSTLESS: Final[Mapping[str, str]] = _give_reason("the vendor's code does not read it", "mlp_ratio model_name")

_SUSPECTS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("quant", "compression"), "quantized weights are stored with scales, or in several types"),
    (("nextn", "mtp", "medusa", "eagle", "draft"), "layers that predict further tokens, as an MTP head, have costs"),
    (("sliding", "window", "chunk"), "attention over a window reads and caches fewer keys"),
    (("lora", "adapter", "peft"), "adapters have parameters and operators of their own"),
    (("sink",), "sinks of the attention are parameters"),
)


def find_suspicion(key: str) -> str:
    """Return why a key that no table has changes a cost unless it is off; nothing if its name does not tell.

    A word of the name tells, as in ``num_nextn_predict_layers``.
    """
    words = key.lower().replace("-", "_").split("_")
    return next((reason for stems, reason in _SUSPECTS if _has_stem(words, stems)), "")


def _has_stem(words: Iterable[str], stems: tuple[str, ...]) -> bool:
    return any(word.startswith(stems) for word in words)
