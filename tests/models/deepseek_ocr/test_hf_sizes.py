"""Architectures from a checkpoint's config: every size is read, and every wrong one refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hf_configs import ABSENT, CLIP, DECODER, EXPECTED, SAM, change, make_config, read, refuse
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import ARCHITECTURE
from modelmeter.support.errors import ArchitectureError

SIZE_PATHS = [f"language_config.{name}" for name in DECODER] + [
    "vision_config.image_size",
    *(f"{SAM}.{key}" for key in ("width", "layers", "heads", "downsample_channels.0", "downsample_channels.1")),
    *(f"{CLIP}.{key}" for key in ("width", "layers", "heads", "image_size", "patch_size")),
    "projector_config.input_dim",
    "projector_config.n_embed",
]


def test_every_size_of_the_config_reaches_its_field(tmp_path: Path) -> None:
    assert read(tmp_path, make_config()) == EXPECTED


def test_the_path_may_be_a_string(tmp_path: Path) -> None:
    read(tmp_path, make_config())
    assert DeepSeekOCRArchitecture.from_hf_config(str(tmp_path / "config.json")) == EXPECTED


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("torch_dtype", "bfloat16"),
        ("bos_token_id", -5),
        ("candidate_resolutions", [[1024, 1024]]),
        ("auto_map", {"AutoModel": "anything"}),
        ("vision_config.mlp_ratio", 3.7362),
        ("vision_config.model_name", "deeplip_b_l"),
        ("language_config.max_position_embeddings", 8192),
        ("language_config.rope_theta", 1e400),  # JSON allows it, and nothing reads it
        ("language_config.routed_scaling_factor", 1.5),
    ],
)
def test_keys_that_do_not_matter_to_cost_are_ignored(tmp_path: Path, path: str, value: object) -> None:
    text = json.dumps(change(make_config(), path, value)).replace("Infinity", "1e400")
    (tmp_path / "config.json").write_text(text)
    assert DeepSeekOCRArchitecture.from_hf_config(tmp_path / "config.json") == EXPECTED


NO_SIZES = [ABSENT, "8", "", True, 8.0, None, -1, -(10**400), 10**400, 2**24 + 1, [], [8], {}]
WITH_A_MEANING = [
    ("language_config.num_key_value_heads", ABSENT),
    ("language_config.num_key_value_heads", None),
    ("language_config.n_shared_experts", None),
]


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path in SIZE_PATHS for value in NO_SIZES if (path, value) not in WITH_A_MEANING],
)
def test_a_size_that_is_none_is_refused_by_its_key(tmp_path: Path, path: str, value: object) -> None:
    message = refuse(tmp_path, change(make_config(), path, value))
    assert path.replace(".0", "").replace(".1", "") in message
    assert value is ABSENT or "not a size" in message


@pytest.mark.parametrize("path", [path for path in SIZE_PATHS if not path.endswith("first_k_dense_replace")])
def test_zero_is_refused_by_its_key(tmp_path: Path, path: str) -> None:
    assert path.replace(".0", "").replace(".1", "") in refuse(tmp_path, change(make_config(), path, 0))


@pytest.mark.parametrize("value", [None, ABSENT])
def test_the_heads_of_keys_are_those_of_queries_by_default(tmp_path: Path, value: object) -> None:
    config = change(make_config(), "language_config.num_key_value_heads", value)
    assert read(tmp_path, config).num_key_value_heads == DECODER["num_attention_heads"]
    # The top level may say how many there are, or nothing too, but no other number than the section.
    assert read(tmp_path, config | {"num_key_value_heads": None}).num_key_value_heads == DECODER["num_attention_heads"]
    if value is ABSENT:
        assert read(tmp_path, config | {"num_key_value_heads": 3}) == EXPECTED
    else:
        assert "config.json: num_key_value_heads: " in refuse(tmp_path, config | {"num_key_value_heads": 3})


@pytest.mark.parametrize("value", [None, 0])
@pytest.mark.parametrize("path", ["language_config.n_shared_experts", "n_shared_experts"])
def test_no_shared_experts_are_refused_with_the_reason(tmp_path: Path, path: str, value: object) -> None:
    """The vendor's module has no shared MLP and no sum then; the layers have both."""
    message = refuse(tmp_path, change(make_config(), path, value))
    assert f"config.json: {path}: the layers do not model this: " in message
    assert "shared experts" in message


def test_a_decoder_may_be_at_the_top_level_only(tmp_path: Path) -> None:
    """There the vendor's own class reads it."""
    config = make_config()
    assert read(tmp_path, config | config.pop("language_config")) == EXPECTED


def test_a_side_may_be_written_twice(tmp_path: Path) -> None:
    assert read(tmp_path, change(make_config(), "vision_config.image_size", [208, 208])) == EXPECTED
    assert "vision_config.image_size" in refuse(tmp_path, change(make_config(), "vision_config.image_size", [208, 209]))


def test_zero_leading_dense_layers_have_a_meaning(tmp_path: Path) -> None:
    config = change(make_config(), "language_config.first_k_dense_replace", 0)
    assert read(tmp_path, config).first_k_dense_replace == 0


@pytest.mark.parametrize("value", [ABSENT, "2", None, 5, {}, [True], [1.0], ["1"], [[1]], [None], [-1], [9], [1, 1]])
def test_global_attention_blocks_are_distinct_block_numbers(tmp_path: Path, value: object) -> None:
    path = f"{SAM}.global_attn_indexes"
    assert path in refuse(tmp_path, change(make_config(), path, value))


@pytest.mark.parametrize("value", [[85], [47, 51, 85], "47", None, ABSENT])
def test_sam_ends_with_two_convolutions(tmp_path: Path, value: object) -> None:
    path = f"{SAM}.downsample_channels"
    assert path in refuse(tmp_path, change(make_config(), path, value))


@pytest.mark.parametrize("name", DECODER)
def test_a_repeated_size_at_the_top_level_may_agree(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, make_config() | {name: DECODER[name]}) == EXPECTED


@pytest.mark.parametrize("name", DECODER)
@pytest.mark.parametrize("difference", [1, 0.0])
def test_a_repeated_size_that_contradicts_is_refused_by_name(tmp_path: Path, name: str, difference: float) -> None:
    message = refuse(tmp_path, make_config() | {name: DECODER[name] + difference})
    assert f"config.json: {name}: " in message


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("projector_config.n_embed", 59, "projector_config.n_embed"),
        ("projector_config.input_dim", 171, "projector_config.input_dim"),
        (f"{SAM}.downsample_channels.1", 84, f"{SAM}.downsample_channels[1]"),
        (f"{SAM}.heads", 22, f"{SAM}.heads"),
        (f"{CLIP}.heads", 16, f"{CLIP}.heads"),
        (f"{CLIP}.image_size", 11, f"{CLIP}.image_size"),
        ("vision_config.image_size", 15, "vision_config.image_size"),
        ("language_config.num_attention_heads", 7, "language_config.num_attention_heads"),
        ("language_config.num_attention_heads", 12, "hidden_size / num_attention_heads"),  # 5 channels: no pairs
        ("language_config.num_key_value_heads", 4, "language_config.num_key_value_heads"),
        ("language_config.num_experts_per_tok", 12, "language_config.num_experts_per_tok"),
        ("language_config.first_k_dense_replace", 8, "language_config.first_k_dense_replace"),
        ("language_config.head_dim", 11, "language_config.head_dim"),
        ("head_dim", 20, "head_dim"),
        ("language_config.layer_types", ["full_attention"] * 6, "language_config.layer_types"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(tmp_path: Path, path: str, value: int, named: str) -> None:
    assert f"config.json: {named}: " in refuse(tmp_path, change(make_config(), path, value))


@pytest.mark.parametrize("path", ["language_config", "projector_config", "vision_config", "vision_config.width", SAM])
@pytest.mark.parametrize("value", [ABSENT, None, 5, "text", [], {}])
def test_a_missing_or_wrong_section_is_refused_by_name(tmp_path: Path, path: str, value: object) -> None:
    assert f"config.json: {path}" in refuse(tmp_path, change(make_config(), path, value))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.json", tmp_path, "null\0character"):
        with pytest.raises(ArchitectureError, match="the file cannot be read"):
            DeepSeekOCRArchitecture.from_hf_config(path)


def all_paths(value: object, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [prefix]
    below = [path for key, item in value.items() for path in all_paths(item, f"{prefix}.{key}" if prefix else key)]
    return [prefix, *below] if prefix else below


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(all_paths(make_config())), value=st.just(ABSENT) | JUNK)
def test_one_key_removed_or_replaced_gives_an_architecture_or_the_typed_error(
    tmp_path_factory: pytest.TempPathFactory, path: str, value: object
) -> None:
    file = tmp_path_factory.getbasetemp() / "junk.json"
    file.write_text(json.dumps(change(make_config(), path, value)), encoding="utf-8")
    try:
        sizes = DeepSeekOCRArchitecture.from_hf_config(file).dimension_values()
    except ArchitectureError:
        return
    assert all(size >= ARCHITECTURE[name].minimum for name, size in sizes.items())
