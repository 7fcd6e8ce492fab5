"""The published config, and configs that public forks of the model have: each is read, or refused by a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hf_configs import read, refuse

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture, read_hf_config

FILE = Path(__file__).parent / "configs" / "deepseek-ocr.json"
PUBLISHED: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


def test_the_published_config_is_that_of_the_defaults() -> None:
    found = read_hf_config(FILE)
    assert found.architecture == DeepSeekOCRArchitecture()
    assert found.names == ("deepseek-ai/DeepSeek-OCR", "deepseek_vl_v2")
    assert found.warnings == ()


def test_it_gives_no_python_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert DeepSeekOCRArchitecture.from_hf_config(FILE) == DeepSeekOCRArchitecture()
    assert not recwarn.list


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"num_nextn_predict_layers": 1}, "num_nextn_predict_layers"),  # a fork with an MTP head
        ({"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized"}},
         "quantization_config"),
        ({"quantization": {"group_size": 64, "bits": 4}}, "quantization"),
        ({"use_mla": True, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64}, "use_mla"),
        ({"sliding_window_size": 128, "sliding_window": 128, "architectures": ["UnlimitedOCRForCausalLM"]},
         "sliding_window_size"),
        ({"architectures": ["DeepseekOCR2ForCausalLM"]}, "architectures"),
    ],
)  # fmt: skip
def test_forks_that_cost_otherwise_are_refused_by_their_key(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    assert f"config.json: {key}: the layers do not model this: " in refuse(tmp_path, PUBLISHED | changes)


def test_a_config_that_the_vendors_class_saved_is_read(tmp_path: Path) -> None:
    """With the keys that its library writes for every model."""
    saved = {
        "model_type": "DeepseekOCR", "use_cache": True, "rope_theta": 10000.0, "routed_scaling_factor": 1.0,
        "aux_loss_alpha": 0.001, "ep_size": 1, "num_beams": 1, "_attn_implementation_autoset": True,
        "attention_dropout": 0.0, "hidden_act": "silu",
    }  # fmt: skip
    assert read(tmp_path, PUBLISHED | saved) == DeepSeekOCRArchitecture()
