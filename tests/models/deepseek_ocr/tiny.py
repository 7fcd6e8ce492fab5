"""Tiny architectures for traces: sizes that are unlike each other, and the fewest layers of each kind."""

from attrs import evolve

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture

# A dense layer and one with experts, three that every token takes; a windowed and a global block.
TINY = DeepSeekOCRArchitecture(
    hidden_size=24,
    intermediate_size=37,
    moe_intermediate_size=11,
    num_hidden_layers=2,
    first_k_dense_replace=1,
    num_attention_heads=6,
    num_key_value_heads=2,
    n_routed_experts=3,
    n_shared_experts=5,
    num_experts_per_tok=3,
    vocab_size=53,
    sam_image_size=208,  # 13 patches a side
    sam_hidden_size=15,
    sam_num_hidden_layers=2,
    sam_global_attn_indexes=(1,),
    sam_num_attention_heads=3,
    sam_intermediate_size=29,
    sam_neck_channels=9,
    sam_downsample_channels=17,
    clip_image_size=77,  # 7 patches of 11 a side
    clip_patch_size=11,
    clip_hidden_size=20,
    clip_num_hidden_layers=2,
    clip_num_attention_heads=4,
    clip_intermediate_size=31,
)


SHALLOW = evolve(TINY, num_hidden_layers=1, clip_num_hidden_layers=1)
