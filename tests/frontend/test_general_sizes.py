"""Traced decoders with sizes of their config as symbols: numbers by hand, and counts of modules of other configs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sympy
from typer.testing import CliRunner

from llm_perf_opt.cli import app
from llm_perf_opt.evaluators import load_costs
from modelmeter.frontend.archive import read_traced, write_traced
from modelmeter.frontend.general.config_sizes import list_size_rules
from modelmeter.model.registry import forget_model
from modelmeter.support.checked_imports import CheckedFinder
from modelmeter.support.errors import FormulaError

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 63, "intermediate_size": 59, "num_hidden_layers": 5,
    "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 14, "vocab_size": 101,
    "tie_word_embeddings": False,
}  # fmt: skip

OTHER: dict[str, int] = {
    "hidden_size": 75, "intermediate_size": 77, "num_hidden_layers": 7, "num_attention_heads": 15,
    "num_key_value_heads": 5, "head_dim": 22, "vocab_size": 131,
}  # fmt: skip
"""Sizes of another config of the family; none is that of the model."""

WORKLOAD = {"batch_size": 3, "seq_len": 11}

# A token in a layer: q and o 2 * 2 * 75 * 330, k and v 2 * 2 * 75 * 110, the MLP 3 * 2 * 75 * 77: 166,650 together.
# Scores and values of 15 heads of 22 channels over 11 x 11 positions: 2 * 2 * 330 * 121 = 159,720.
# 7 layers of 11 * 166,650 + 159,720, and the head over one position, 2 * 75 * 131 = 19,650: 13,969,740 a sequence.
PREFILL_FLOPS = 3 * 13_969_740

# A layer: 2 * 330 * 75 + 2 * 110 * 75 + 3 * 75 * 77 + 2 * 75 = 83,475. Seven of them, the table and the head of
# 131 * 75 = 9,825 each, the last norm of 75: 604,050 parameters of two bytes.
WEIGHT_BYTES = 2 * 604_050

# Keys and values of 5 heads of 22 channels at 11 positions of 3 sequences in 7 layers, two bytes each.
CACHE_BYTES = 2 * (2 * 7 * 5 * 22 * 11 * 3)


@pytest.fixture(scope="module")
def llama() -> Iterator[Any]:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    yield compile_config(LLAMA, name="General-Llama", points=1, general=True)
    forget_model("general-llama")


@pytest.fixture(scope="module")
def folder(llama: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its evaluators as files, as the command writes them."""
    from llm_perf_opt.commands.compile_traced import list_files
    from modelmeter.support.generated_files import write_files

    out = tmp_path_factory.mktemp("general")
    write_files(list_files(llama, ("python",)), out)
    forget()
    yield out
    forget()


def forget() -> None:
    forget_model("general-llama")
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, CheckedFinder)]
    for name in [name for name in sys.modules if name.split(".")[0] == "general_llama_costs"]:
        del sys.modules[name]
    load_costs.cache_clear()


def put_in(model: Any, formula: sympy.Expr, sizes: dict[str, int]) -> sympy.Expr:
    return sympy.expand(formula.xreplace({model.symbol(name): sympy.Integer(size) for name, size in sizes.items()}))


def test_other_sizes_cost_what_they_do_by_hand(llama: Any) -> None:
    model = llama.compiled
    sizes = {**OTHER, **WORKLOAD, "weight_bits": 16, "kv_bits": 16}
    for metric, expected in (
        ("tensor_core_flops", PREFILL_FLOPS), ("weight_bytes", WEIGHT_BYTES), ("kv_cache_bytes", CACHE_BYTES),
    ):  # fmt: skip
        assert put_in(model, model.formula("prefill", metric, symbolic=True), sizes) == expected


def test_other_sizes_cost_what_unmodified_modules_are_counted_at(llama: Any) -> None:
    """The modules of a config that no formula was made of, under FlopCounterMode."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):
        modules = LlamaForCausalLM(LlamaConfig(**OTHER, attn_implementation="sdpa")).eval()
        tokens = torch.zeros(WORKLOAD["batch_size"], WORKLOAD["seq_len"], dtype=torch.int64)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        modules(input_ids=tokens, logits_to_keep=1)
    assert counter.get_total_flops() == PREFILL_FLOPS
    assert sum(parameter.numel() for parameter in modules.parameters()) * 2 == WEIGHT_BYTES


def test_at_its_own_sizes_every_formula_is_the_traced_one(llama: Any) -> None:
    from modelmeter.frontend.compile import compile_config

    numbers = compile_config(LLAMA, name="Number-Llama", points=0).compiled
    forget_model("number-llama")
    model, sizes = llama.compiled, llama.traced.general.sizes
    assert sizes == {name: LLAMA[name] for name in OTHER}
    for stage in ("prefill", "decode", "request"):
        for metric in (*model.metrics[:-1],):
            general = put_in(model, model.formula(stage, metric, symbolic=True), sizes)
            assert sympy.expand(general - numbers.formula(stage, metric)) == 0, (stage, metric)


def test_rules_between_sizes_are_refused_by_name(folder: Path) -> None:
    costs = load_folder(folder)
    for wrong, words in (
        (
            {"num_attention_heads": 10, "hidden_size": 70},
            "num_attention_heads must be a multiple of num_key_value_heads: 10 and 3",
        ),
        ({"hidden_size": 64}, "hidden_size must be a multiple of num_attention_heads: 64 and 9"),
        ({"head_dim": 7}, "head_dim must be a multiple of 2: 7 and 2"),
        ({"vocab_size": 0}, "vocab_size"),
    ):  # fmt: skip
        with pytest.raises(costs.CostError) as refused:
            costs.general.prefill(**wrong)
        assert str(refused.value).startswith(words)


def test_the_package_and_the_command_take_sizes_of_the_config(folder: Path) -> None:
    costs = load_folder(folder)
    assert costs.general.prefill(**OTHER, **WORKLOAD).tensor_core_flops == PREFILL_FLOPS
    assert costs.general.prefill(**WORKLOAD) == costs.prefill(**WORKLOAD)
    given = [f"{name}={size}" for name, size in {**OTHER, **WORKLOAD}.items()]
    done = CliRunner().invoke(
        app, ["eval", "prefill", *given, "--model", str(folder), "--json"], catch_exceptions=False
    )
    assert json.loads(done.output)["cost"]["weight_bytes"] == WEIGHT_BYTES


def test_what_is_fixed_by_the_config_is_named(folder: Path) -> None:
    assert "with the sizes of the architecture as arguments" in load_folder(folder).general.__doc__
    assert "``head_dim``" not in load_folder(folder).general.__doc__, "plain text"
    assert "Fixed by the config" in load_folder(folder).general.__doc__
    (said,) = (line for line in load_folder(folder).CONVENTIONS if line.startswith("Architecture:"))
    assert "hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads" in said
    assert "Fixed by the config: tie_word_embeddings = False, attention_bias = False" in said


def test_the_general_form_is_read_back(llama: Any) -> None:
    traced = llama.traced
    assert read_traced(write_traced(traced), traced.graph).general == traced.general


def test_a_peak_is_of_the_config_alone(llama: Any) -> None:
    model = llama.compiled
    runs = model.definition.build_layers({**model.definition.symbolic_sizes(), "hidden_size": 81})
    from modelmeter.layers.tape import Tape

    with pytest.raises(FormulaError, match="sizes of the config only"):
        runs["prefill"].replay(Tape())


def test_rules_are_those_of_the_sizes_that_there_are() -> None:
    rules = list_size_rules(("num_attention_heads", "hidden_size", "head_dim"), splits_width=False)
    assert [(rule.a, rule.relation, rule.b) for rule in rules] == [(2, "divides", "head_dim")]


def test_a_family_that_has_no_general_form_says_why() -> None:
    """Slopes of heads are made by code that has other operators where their number is no power of two."""
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    config = {"model_type": "bloom", "hidden_size": 36, "n_layer": 3, "n_head": 3, "vocab_size": 97}
    found = compile_config(config, name="General-Bloom", points=0, general=True)
    forget_model("general-bloom")
    assert found.traced.general is None
    (said,) = (text for name, text in found.compiled.definition.conventions.items() if name == "Architecture")
    assert said == f"``general`` has no sizes of the architecture: {found.traced.general_refused}."


def load_folder(folder: Path) -> Any:
    from modelmeter.frontend.compiled_folder import open_folder

    return load_costs(open_folder(folder))
