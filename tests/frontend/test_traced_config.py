"""Configs that are hostile or broken end in one line, before anything is built."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import modelmeter
from llm_perf_opt.commands.compile_traced import name_family
from modelmeter.frontend.configs.sources import describe_choice, is_traced
from modelmeter.model.registry import DEFAULT
from modelmeter.support.errors import ArchitectureError, ModelMeterError
from modelmeter.support.suggestions import UnknownNameError

pytest.importorskip("transformers")
from modelmeter.frontend.configs.config import read_model_config
from modelmeter.frontend.modules import build_modules


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "names no model type"),
        ({"model_type": 7}, "names no model type"),
        ({"model_type": "no_such_model"}, "transformers has no model of this type"),
        (
            {"model_type": "llamma"},
            "model_type: transformers has no model of this type; found llamma; did you mean llama",
        ),
        (
            {"model_type": "lama", "architectures": ["LlamaForCausalLM"]},  # a class that other types have, too
            r"transformers has no model of this type; found lama; did you mean llama$",
        ),
        ({"model_type": "no_such", "auto_map": {"AutoConfig": "code.Config"}}, "remote code is never run"),
        (
            {"model_type": "no_such", "architectures": ["DeepseekV3ForCausalLM"], "auto_map": {}},
            "remote code is never run; architectures names the class of model_type = deepseek_v3, which stands for its",
        ),
        ({"model_type": "clip"}, "neither are causal decoders nor have one behind a tower"),
        ({"model_type": "whisper"}, "an encoder stands beside the decoder.*is_encoder_decoder = false"),
        ({"model_type": "florence2"}, "an encoder stands beside the decoder.*found florence2$"),
        ({"model_type": "llama", "num_hidden_layers": 10**400}, "out of range.*a number of 1329 bits"),
        ({"model_type": "llama", "num_hidden_layers": 1001}, "too many layers to build"),
        ({"model_type": "llama", "num_hidden_layers": 0}, "not a whole number of at least 1"),
        ({"model_type": "llama", "hidden_size": "wide"}, "not a whole number of at least 1"),
        ({"model_type": "llama", "vocab_size": -5}, "not a whole number of at least 1"),
        ({"model_type": "llama", "num_attention_heads": 8, "num_key_value_heads": 3}, "contradict each other"),
        ({"model_type": "llama", "hidden_size": 65, "num_attention_heads": 3}, "multiple|refuses"),
        ({"model_type": "llama", "num_attention_heads": 6}, "so that the defaults hold: hidden_size = 4096, "),
    ],
)
def test_a_broken_config_ends_in_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message) as caught:
        read_model_config(fields)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_file_that_is_no_config_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    with pytest.raises(ArchitectureError, match="cannot be read"):
        read_model_config(file)
    file.write_text("[1, 2", encoding="utf-8")
    with pytest.raises(ArchitectureError, match="no JSON object"):
        read_model_config(file)


@pytest.mark.parametrize(
    "key", ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"]
)
def test_a_file_without_a_size_of_its_own_is_refused(tmp_path: Path, key: str) -> None:
    file = tmp_path / "config.json"
    # 16 heads divide the default hidden size, and 32, the default, divides 64: transformers takes each of these.
    fields = {
        "model_type": "llama", "num_hidden_layers": 3, "hidden_size": 64, "num_attention_heads": 16,
        "intermediate_size": 101, "vocab_size": 97,
    }  # fmt: skip
    file.write_text(json.dumps({name: size for name, size in fields.items() if name != key}), encoding="utf-8")
    with pytest.raises(ArchitectureError, match=f"lacks sizes that have no sensible default; expected {key}; add"):
        read_model_config(file)
    if key == "hidden_size":  # 6 heads do not divide the default, which nobody meant
        del fields[key]
        file.write_text(json.dumps({**fields, "num_attention_heads": 6}), encoding="utf-8")
        with pytest.raises(ArchitectureError, match="lacks sizes that have no sensible default; expected hidden_size"):
            read_model_config(file)
        return
    file.write_text(json.dumps(fields), encoding="utf-8")
    # What the class of transformers says where a config does not: as many key heads, no biases, and a head of its own.
    assert read_model_config(file).assumed == {
        "num_key_value_heads": 16, "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
    }  # fmt: skip


def test_a_size_under_another_name_is_said() -> None:
    read = read_model_config({"model_type": "gpt2", "n_embd": 66, "n_head": 3, "n_layer": 2})
    assert read.assumed == {"vocab_size": 50257, "tie_word_embeddings": True}
    assert read_model_config("llama").assumed == {}, "a model type stands for its defaults"


def test_a_key_that_nothing_reads_is_named_with_the_one_that_was_meant() -> None:
    sizes = {"model_type": "llama", "hidden_size": 66, "num_attention_heads": 3, "num_hidden_layers": 3}
    assert read_model_config(sizes).misspelt == {}
    more = {"num_hidden_layer": 5, "hiden_size": 7, "num_attention_haeds": 2, "attn_bias": True, "my_own_layers": 9}
    assert read_model_config({**sizes, **more}).misspelt == {
        "num_hidden_layer": "num_hidden_layers", "hiden_size": "hidden_size",
        "num_attention_haeds": "num_attention_heads",
    }  # fmt: skip
    # n_embd is how GPT-2 calls it, and hidden_size another name of that.
    gpt2 = {"model_type": "gpt2", "n_embd": 66, "n_head": 3, "num_hidden_layers": 2, "n_layers": 5, "n_head_kv": 1}
    assert read_model_config(gpt2).misspelt == {}


def test_a_card_without_sizes_names_the_defaults_that_hold() -> None:
    """A card says where a published config differs from the defaults; where it says nothing, they are what it is."""
    from modelmeter.frontend.cards.shipped import CARDS
    from modelmeter.frontend.compile import read_card

    silent = read_card(CARDS["minicpm-ocr"]).read
    # As transformers has them in configuration_qwen3_5.py and configuration_minicpm_ocr.py.
    assert silent.assumed.items() >= {
        "text_config.hidden_size": 4096, "text_config.num_hidden_layers": 32, "text_config.vocab_size": 248320,
        "vision_config.hidden_size": 768, "vision_config.num_hidden_layers": 12,
    }.items()  # fmt: skip
    nested = read_card(CARDS["unlimited-ocr"]).read
    assert nested.assumed["vision_config.encoder_config.num_hidden_layers"] == 24
    said = read_card(CARDS["paddleocr-vl"]).read
    assert said.assumed == {}


def test_what_is_wrong_with_a_file_is_said_before_torch_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    for fields, message in (
        ({}, "the config names no model type; expected model_type"),
        ({"model_type": "llama", "num_hidden_layers": 10**9}, "too many layers to build; expected at most 1000"),
        ({"model_type": "llama", "num_hidden_layers": 0}, "not a whole number of at least 1"),
        ({"model_type": "llama", "hidden_size": "big"}, "not a whole number of at least 1"),
    ):
        file.write_text(json.dumps(fields), encoding="utf-8")
        program = (
            "import sys\nfrom pathlib import Path\nfrom llm_perf_opt.commands.compile_traced import compile_source\n"
            f"try:\n    compile_source({str(file)!r}, Path({str(tmp_path / 'out')!r}), print)\n"
            "except Exception as error:\n    print(error, 'torch' in sys.modules, 'transformers' in sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=100)
        assert message in done.stdout
        assert done.stdout.endswith("False False\n")


def test_a_folder_without_a_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=r"the folder has no config\.json"):
        read_model_config(tmp_path)


def test_a_name_that_nobody_knows_has_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="llama"):
        read_model_config("lama")
    with pytest.raises(UnknownNameError, match=r"did you mean qwen3 or .*qwen3-vl-4b") as caught:
        read_model_config("qwen99")
    assert "known are" not in str(caught.value)


def test_the_name_of_a_model_is_that_of_its_config_or_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "Small-1B"
    folder.mkdir()
    fields = {
        "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 66, "num_attention_heads": 3,
        "intermediate_size": 101, "vocab_size": 97,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(fields), encoding="utf-8")
    assert read_model_config(folder).name == "Small-1B"
    (folder / "config.json").write_text(json.dumps({**fields, "_name_or_path": "somebody/Other-2B"}), encoding="utf-8")
    assert read_model_config(folder / "config.json").name == "somebody/Other-2B"
    assert read_model_config(folder, name="Mine").name == "Mine"


def test_sizes_that_only_the_modules_contradict_are_refused_by_them() -> None:
    read = read_model_config({"model_type": "llama", "num_hidden_layers": 1, "pad_token_id": 99, "vocab_size": 7})
    with pytest.raises(ModelMeterError, match="builds no modules"):
        build_modules(read.config)


def test_what_has_layers_of_its_own_is_not_traced(tmp_path: Path) -> None:
    assert not is_traced("deepseek-ocr")
    assert is_traced("llama")
    for model_type, expected in (("deepseek_vl_v2", False), ("llama", True), ("unheard_of", True)):
        file = tmp_path / "config.json"
        file.write_text(json.dumps({"model_type": model_type}), encoding="utf-8")
        assert is_traced(file) is expected


def test_the_cards_are_listed_with_their_stages() -> None:
    from typer.testing import CliRunner

    from llm_perf_opt.cli import app

    printed = CliRunner().invoke(app, ["models", "--cards"])
    assert printed.exit_code == 0
    lines = printed.output.splitlines()
    assert (
        "qwen2.5-vl-3b: Qwen2.5-VL-3B, qwen2_5_vl, Qwen2_5_VLForConditionalGeneration; vision, prefill, decode" in lines
    )
    assert "llama-3.1-8b: Llama-3.1-8B, llama; prefill, decode" in lines
    assert "  without the layer that predicts a second token, which transformers does not run" in lines
    refused = next(number for number, line in enumerate(lines) if line.startswith("minicpm-ocr: "))
    assert lines[refused].endswith("; vision, decode")
    assert lines[refused + 1].startswith(
        "  prefill is refused: model.language_model.layers.0.linear_attn runs aten.linalg"
    )
    cards = {card["name"]: card for card in json.loads(CliRunner().invoke(app, ["models", "--cards", "--json"]).output)}
    assert cards["minicpm-ocr"]["stages"] == ["vision", "decode"]
    assert [*cards["minicpm-ocr"]["refused"]] == ["prefill"]
    assert cards["qwen2.5-vl-3b"]["stages"] == ["vision", "prefill", "decode"]
    models = json.loads(CliRunner().invoke(app, ["models", "--json"]).output)
    shipped = next(model for model in models if model["name"] == "deepseek-ocr")
    assert shipped["stages"] == ["vision", "projector", "prefill", "decode"]
    assert "FlopCounterMode" in shipped["checks"]["layers"]


@pytest.mark.parametrize("name", ["qwen2.5-vl-3b", "llama"])
def test_a_model_that_is_not_compiled_yet_is_told_from_one_that_nobody_knows(name: str) -> None:
    from typer.testing import CliRunner

    from llm_perf_opt.cli import app

    problem = str(CliRunner().invoke(app, ["eval", "request", "--model", name]).exception)
    assert f"compile it first, modelmeter compile {name} --out DIR" in problem
    assert "no model of this name; found nobody" in str(
        CliRunner().invoke(app, ["eval", "request", "--model", "nobody"]).exception
    )


def test_a_name_wins_over_a_folder_of_this_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And which one it stands for is said; a path that is written as one is one."""
    monkeypatch.chdir(tmp_path)
    fields = {
        "model_type": "qwen3", "num_hidden_layers": 2, "hidden_size": 66, "num_attention_heads": 3,
        "intermediate_size": 101, "vocab_size": 97, "num_key_value_heads": 3,
    }  # fmt: skip
    for name in ("llama", "gemma3_text", "llama-3.1-8b", "deepseek-ocr", "mine"):
        Path(name).mkdir()
        Path(name, "config.json").write_text(json.dumps(fields), encoding="utf-8")
    assert read_model_config("llama").config.model_type == "llama"
    assert read_model_config("gemma3_text").config.model_type == "gemma3_text"
    assert not is_traced("deepseek-ocr")
    for source in ("./llama", Path("llama"), "llama/config.json", "mine"):
        assert read_model_config(source).config.model_type == "qwen3"
    for name in ("llama", "gemma3_text", "llama-3.1-8b", "deepseek-ocr"):
        assert describe_choice(name) == f"{name} stands for the model of this name; the folder is ./{name}"
    assert [describe_choice(name) for name in ("./llama", "mine", "qwen3")] == ["", "", ""]


def test_a_path_that_is_not_there_is_no_name_of_a_model() -> None:
    with pytest.raises(ModelMeterError, match=r"^\./missing: there is no such file or folder; name a config\.json"):
        read_model_config("./missing")


@pytest.mark.parametrize("text", ["", "[]", '{"model_type": "llama", '])
def test_a_folder_whose_config_is_no_object_names_the_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(text, encoding="utf-8")
    assert is_traced(tmp_path)
    with pytest.raises(ArchitectureError, match=re.escape(str(file))):
        modelmeter.compile(tmp_path)


def test_the_folder_of_a_registered_family_stands_for_its_config(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model_type": "deepseek_vl_v2"}), encoding="utf-8")
    assert not is_traced(tmp_path)
    assert name_family(str(tmp_path), DEFAULT, None) == (DEFAULT, file)
    with pytest.raises(ArchitectureError, match=re.escape(str(file))):
        modelmeter.compile(tmp_path)
