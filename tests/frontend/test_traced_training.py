"""The training step of a traced decoder, through the folder that the command writes; numbers are counted by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compiled_llama import CONFIG, PACKAGE, PARAMETERS, count_prefill, forget, refuse, run

import modelmeter
from modelmeter.frontend.compiled_folder import CHECKS_FILE


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the command wrote the small Llama with its training step."""
    pytest.importorskip("transformers")
    root = tmp_path_factory.mktemp("trained")
    config = root / "config.json"
    config.write_text(json.dumps(CONFIG), encoding="utf-8")
    out = root / "compiled"
    assert "no training step" not in run("compile", str(config), "--training", "--target", "python", "--out", str(out))
    forget()
    yield out
    forget()


def test_matrix_products_are_three_times_those_of_a_forward_with_all_logits(trained: Path) -> None:
    # Each operand of each product wants a gradient; count_prefill has the logits of one position.
    forward = count_prefill(19) + 2 * 33 * 97 * (19 - 1)
    found = json.loads(run("eval", "training_step", "batch_size=5", "seq_len=19", "--model", str(trained), "--json"))
    assert found["cost"]["tensor_core_flops"] == 3 * 5 * forward
    assert found["cost"]["weight_bytes"] == 2 * PARAMETERS
    assert found["cost"]["kv_cache_bytes"] == 0


def test_formulas_and_evaluators_are_the_same(trained: Path) -> None:
    model = modelmeter.load(trained)
    sizes = {"batch_size": 3, "seq_len": 11, "activation_bits": 32, "weight_bits": 32}
    found = model.evaluate("training_step", **sizes)
    arguments = [f"{name}={size}" for name, size in sizes.items()]
    evaluated = json.loads(run("eval", "training_step", *arguments, "--model", str(trained), "--json"))["cost"]
    assert evaluated == found.as_dict()
    assert "training_step" in model.stages
    shown = run("show", "training_step", "--metric", "tensor_core_flops", "--latex", "--model", str(trained))
    assert "logits of all its positions" in shown


def test_every_module_was_called_by_itself(trained: Path) -> None:
    record = json.loads((trained / PACKAGE / CHECKS_FILE).read_text(encoding="utf-8"))
    assert "autograd was watched as it went back" in record["summary"]
    of_training = [each for each in record["checks"] if each["stage"] == "training_step"]
    # As of a prefill: a layer is itself, 4 matrices and their attention, 3 matrices, an activation and their MLP, and 2
    # norms; then the model, decoder, embedding, last norm, rotation and LM head. A list of layers is not called.
    shallow = [each for each in of_training if each["layers"] == 2]
    assert {each["modules"] for each in shallow} == {6 + 13 * 2}
    assert {each["dtype"] for each in shallow} == {"bfloat16", "float32"}
    assert [each["layers"] for each in of_training].count(CONFIG["num_hidden_layers"]) == 1


def test_each_module_has_its_part(trained: Path) -> None:
    model = modelmeter.load(trained)
    modules = model.training_modules
    values = {"batch_size": 5, "seq_len": 19, "weight_bits": 16, "activation_bits": 16}
    products = {path: modelmeter.evaluate(cost.tensor_core_flops, values) for path, cost in modules.items()}
    rows, layers = 5 * 19, 3
    # Three products for each matrix of each of 3 layers, and for the head; attention is two products of 3 heads of 10.
    assert products["model.layers.0-2.self_attn.k_proj"] == 3 * layers * 2 * rows * 33 * 10
    assert products["model.layers.0-2.mlp"] == 3 * layers * 3 * 2 * rows * 33 * 53
    assert products["lm_head"] == 3 * 2 * rows * 33 * 97
    projections = sum(products[f"model.layers.0-2.self_attn.{name}_proj"] for name in "qkvo")
    assert products["model.layers.0-2.self_attn"] - projections == 3 * layers * 2 * 2 * 5 * 3 * 10 * 19 * 19
    # A row of gradients is added into the table for each token: one FLOP a channel.
    table = modules["model.embed_tokens"]
    assert modelmeter.evaluate(table.cuda_core_flops, values) == rows * 33
    assert modelmeter.evaluate(table.weight_bytes, values) == 2 * 97 * 33
    whole = modules[""]
    for metric in ("cuda_core_flops", "io_bytes", "weight_bytes", "activation_bytes"):
        parts = [modelmeter.evaluate(modules[path][metric], values) for path in ("model", "lm_head")]
        assert modelmeter.evaluate(whole[metric], values) == sum(parts)


def test_show_lists_the_modules(trained: Path) -> None:
    shown = run("show", "training_step", "--modules", "--metric", "weight_bytes", "--model", str(trained))
    (line,) = (line for line in shown.splitlines() if line.startswith("lm_head"))
    assert line.split()[1] == f"{2 * 33 * 97:,}"
    said = refuse("show", "prefill", "--modules", "--model", str(trained))
    assert "no step whose modules are told apart of this name; found prefill; known are training_step" in said


def test_there_is_none_unless_it_is_asked_for(folder: Path) -> None:
    said = refuse("eval", "training_step", "--model", str(folder))
    assert "no training step; `modelmeter compile SOURCE --training`" in said
    said = refuse("show", "training_step", "--modules", "--model", str(folder))
    assert "the model has no training step" in said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("olmo2", "--general", "--training"), "no sizes of the config as symbols"),
        (("--training",), "the layers of a registered model say what their training is"),
    ],
)
def test_it_is_refused_where_it_means_nothing(arguments: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    assert reason in refuse("compile", *arguments, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_loop_over_experts_refuses_it_by_name() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.configs.config import make_config
    from modelmeter.frontend.modules import build_modules
    from modelmeter.frontend.text_stages import learn_stages
    from modelmeter.frontend.training.recording import record_training_step
    from modelmeter.frontend.training.tracing import prepare_training
    from modelmeter.support.errors import CountError

    fields: dict[str, Any] = {
        "model_type": "qwen3_moe", "hidden_size": 35, "intermediate_size": 57, "moe_intermediate_size": 21,
        "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 12, "vocab_size": 95,
        "num_experts": 7, "num_experts_per_tok": 3,
    }  # fmt: skip
    model = build_modules(make_config(fields, "Experts", place="here").config)
    learn_stages(model, is_checked=False)
    with pytest.raises(CountError, match=r"model\.layers\.0\.mlp\.experts: a loop over experts whose backward"):
        record_training_step(model, prepare_training(model, {"batch_size": 3, "seq_len": 5}).run)
