"""Models that see, compiled without a card: their text part, without the modules that look at images."""

from __future__ import annotations

from typing import Any

import pytest

from modelmeter.model.registry import forget_model
from modelmeter.support.errors import ArchitectureError

LLAVA: dict[str, Any] = {
    "model_type": "llava",
    "text_config": {
        "model_type": "llama", "hidden_size": 48, "intermediate_size": 59, "num_hidden_layers": 3,
        "num_attention_heads": 3, "num_key_value_heads": 1, "vocab_size": 101,
    },
    "vision_config": {
        "model_type": "clip_vision_model", "hidden_size": 16, "intermediate_size": 29, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": 28, "patch_size": 7,
    },
    "image_token_index": 100,
}  # fmt: skip


def test_the_text_part_of_a_model_that_sees_is_compiled_and_its_tower_named() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from modelmeter.frontend.compile import compile_config
    from modelmeter.frontend.left_out import LEFT_OUT

    compilation = compile_config(LLAVA, name="Tiny-Llava", points=1)
    try:
        with torch.device("meta"), torch.no_grad():
            config = transformers.LlavaConfig.from_dict(LLAVA)
            model = transformers.LlavaForConditionalGeneration(config).to(torch.bfloat16).eval()
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
                model(input_ids=torch.empty(3, 29, dtype=torch.int64), use_cache=True, logits_to_keep=1)
        cost = compilation.compiled.evaluate("prefill", batch_size=3, seq_len=29)
        assert cost.tensor_core_flops == counter.get_total_flops() > 0
        text = [model.model.language_model, model.lm_head]
        seeing = [model.model.vision_tower, model.model.multi_modal_projector]
        kept, left = (
            sum(parameter.numel() for module in modules for parameter in module.parameters())
            for modules in (text, seeing)
        )
        assert cost.weight_bytes == 2 * kept  # of 16 bits
        said = compilation.traced.conventions[LEFT_OUT]
        assert "``model.vision_tower``, ``model.multi_modal_projector``" in said
        assert f"their {left:,} parameters" in said
    finally:
        forget_model("tiny-llava")


def test_an_encoder_is_no_causal_decoder_unless_its_config_says_so() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    tiny = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 59}
    with pytest.raises(ArchitectureError, match=r"layers are those of an encoder.*is_decoder = true"):
        compile_config({"model_type": "bert", "vocab_size": 101, **tiny})
