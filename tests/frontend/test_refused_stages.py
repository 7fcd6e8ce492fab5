"""A model with gated delta rules lacks a prefill: its decode is exact, and who asks for the prefill is told why."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compiled_llama import forget, refuse, run

from modelmeter.model.refused_stages import explain_refusal
from modelmeter.support.errors import CountError, UnpricedOperatorError

DELTA: dict[str, Any] = {
    "model_type": "qwen3_5_text", "hidden_size": 48, "intermediate_size": 59, "num_hidden_layers": 3, "vocab_size": 101,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 16, "linear_num_key_heads": 2,
    "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 6, "linear_conv_kernel_dim": 4,
    "tie_word_embeddings": False, "layer_types": ["full_attention", "linear_attention", "linear_attention"],
    "_name_or_path": "acme/Tiny-Delta",
}  # fmt: skip

NAME, PACKAGE = "tiny-delta", "tiny_delta_costs"

OPERATOR = "model.layers.1.linear_attn runs aten.linalg_solve_triangular, which has no price"
LINE = "models/qwen3_5/modeling_qwen3_5.py:"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The model as a command compiles it: its decode was counted, in bfloat16 and float32."""
    pytest.importorskip("transformers")
    place = tmp_path_factory.mktemp("delta")
    (place / "config.json").write_text(json.dumps(DELTA))
    said = run("compile", str(place / "config.json"), "--out", str(place / "out"))
    assert f"prefill is refused: {OPERATOR}, at {LINE}" in " ".join(said.split())
    yield place / "out"
    forget(NAME, PACKAGE)


def evaluate(folder: Path, *sizes: str) -> dict[str, int]:
    found: dict[str, int] = json.loads(run("eval", "decode", *sizes, "--model", str(folder), "--json"))["cost"]
    return found


def make_model(layers: int = 3) -> Any:
    import torch
    import transformers

    kinds = DELTA["layer_types"][:layers]
    config = transformers.AutoConfig.for_model(**DELTA | {"num_hidden_layers": layers, "layer_types": kinds})
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config).eval().to(torch.bfloat16)


@pytest.mark.parametrize("prompt", [4, 5, 70])
def test_the_cache_is_as_large_as_that_of_transformers_after_a_prompt_and_a_step(folder: Path, prompt: int) -> None:
    """Nothing of it is counted by code of ours: the bytes are those of the tensors in its own cache."""
    import torch
    from transformers import DynamicCache

    model = make_model()
    cache = DynamicCache(config=model.config)
    with torch.device("meta"), torch.no_grad():
        for tokens in (prompt, 1):
            model(input_ids=torch.empty(2, tokens, dtype=torch.int64), past_key_values=cache, use_cache=True)
    held = [tensor for layer in cache.layers for tensor in _list_tensors(layer)]
    assert len(held) == 2 + 2 * 2  # keys and values of one layer, and two states of each of the others
    assert [tensor.dtype for tensor in held].count(torch.float32) == 2  # what the rule updates
    found = evaluate(folder, "batch_size=2", f"seq_len={prompt}", "decode_steps=1")["kv_cache_bytes"]
    assert found == sum(tensor.nbytes for tensor in held)


def _list_tensors(layer: Any) -> Iterator[Any]:
    for name in ("keys", "values"):
        if getattr(layer, name, None) is not None:
            yield getattr(layer, name)
    for name in ("conv_states", "recurrent_states"):
        yield from (state for state in getattr(layer, name, {}).values() if state is not None)


def test_a_step_multiplies_as_often_as_flop_counter_mode_says(folder: Path) -> None:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import DynamicCache

    model = make_model()
    cache = DynamicCache(config=model.config)
    with torch.device("meta"), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model(input_ids=torch.empty(3, 29, dtype=torch.int64), past_key_values=cache, use_cache=True)
        with FlopCounterMode(display=False) as counter:
            model(input_ids=torch.empty(3, 1, dtype=torch.int64), past_key_values=cache, use_cache=True)
    found = evaluate(folder, "batch_size=3", "seq_len=29", "decode_steps=1")
    assert found["tensor_core_flops"] == counter.get_total_flops() > 0
    assert found["weight_bytes"] == 2 * sum(parameter.numel() for parameter in model.parameters())


def test_only_what_ran_was_checked(folder: Path) -> None:
    record = json.loads((folder / PACKAGE / "checks.json").read_text())
    assert {(each["stage"], each["dtype"]) for each in record["checks"]} == {
        ("decode", "bfloat16"), ("decode", "float32"),
    }  # fmt: skip
    assert all("peak_activation_bytes" in each["metrics"] for each in record["checks"])
    assert [*record["refused"]] == ["prefill"]
    assert OPERATOR in record["refused"]["prefill"]


@pytest.mark.parametrize(
    ("arguments", "begin"),
    [
        (("eval", "prefill"), "prefill of this model is refused"),
        (("eval", "request", "seq_len=9"), "a request has a prefill, which is refused for this model"),
        (("eval", "training_step"), "a training step has a prefill, which is refused for this model"),
        (("show", "prefill"), "prefill of this model is refused"),
        (("show", "request"), "a request has a prefill"),
        (("sweep", "prefill", "--grid", "seq_len=4:9", "--out", "never.npz"), "prefill of this model is refused"),
        (("solve", "prefill.io_bytes"), "prefill of this model is refused"),
        (("solve", "request.io_bytes"), "a request has a prefill"),
        (("report",), "a request has a prefill"),
        (("plan", "--pages-per-day", "9"), "a request has a prefill"),
    ],
)
def test_whoever_asks_is_told_why_in_one_line(folder: Path, arguments: tuple[str, ...], begin: str) -> None:
    said = refuse(*arguments, "--model", str(folder))
    assert "\n" not in said
    assert said.startswith(begin)
    assert f"{OPERATOR}, at {LINE}" in said
    assert said.endswith("; ask for decode")


def test_it_is_not_compared(folder: Path) -> None:
    said = refuse("compare", "deepseek-ocr", str(folder))
    assert said.startswith(f"{NAME}: a request has a prefill")
    assert f"{OPERATOR}, at {LINE}" in said
    said = refuse("compare", "deepseek-ocr", "minicpm-ocr@any")  # before anything is compiled
    assert said.startswith("minicpm-ocr: a request has a prefill")
    assert "aten.linalg_solve_triangular" in said
    assert said.endswith("ask for vision or decode")


@pytest.mark.parametrize(
    ("names", "begin"),
    [
        ((), "10 studies need a request: a request has a prefill"),  # those of any model; it has none of its own
        (("precision",), "precision needs a request: a request has a prefill"),
        (("cards", "precision", "--json"), "2 studies need a request: a request has a prefill"),
    ],
)
def test_without_a_request_nothing_is_studied_and_the_reason_is_said_once(
    folder: Path, tmp_path: Path, names: tuple[str, ...], begin: str
) -> None:
    said = refuse("study", *names, "--model", str(folder), "--out", str(tmp_path / "out"))
    assert said.startswith(begin)
    assert said.count(f"{OPERATOR}, at {LINE}") == 1
    assert said.endswith("; ask for decode")
    assert not (tmp_path / "out").exists()


def test_the_package_says_why_wherever_it_is_asked(folder: Path) -> None:
    forget(NAME, PACKAGE)
    run("eval", "decode", "--model", str(folder))  # which opens it
    from llm_perf_opt.evaluators import load_costs

    costs = load_costs(NAME)
    assert costs.Stages._fields == ("decode",)
    assert not {"prefill", "request", "training_step"} & {*costs.__all__}
    assert not hasattr(costs, "encode")
    for asked in (
        costs.prefill, costs.request, costs.training_step, costs.prefill_io_bytes, costs.request_peak_activation_bytes,
        costs.general.prefill, lambda: costs.breakdown.operators("prefill"), lambda: costs.freeze("request"),
        lambda: costs.breakdown.states("request"), costs.breakdown.prefill_operators, costs.breakdown.prefill_states,
        lambda: costs.stages().request, lambda: costs.stages().prefill, lambda: costs.stages().training_step,
    ):  # fmt: skip
        with pytest.raises(costs.CostError, match=rf"(has a prefill|prefill of this).*{OPERATOR}.*{LINE}\d+; ask for"):
            asked()
    pytest.importorskip("numpy")
    for asked in (
        lambda: costs.arrays.prefill(seq_len=[7, 9]), lambda: costs.arrays.grid("request", seq_len=[7, 9]),
        lambda: costs.arrays.stages(seq_len=[7, 9]).request, lambda: costs.arrays.stages(seq_len=[7, 9]).prefill,
        lambda: costs.arrays.breakdown.operators("prefill", seq_len=[7, 9]), costs.arrays.prefill_io_bytes,
    ):  # fmt: skip
        with pytest.raises(costs.CostError, match=rf"(has a prefill|prefill of this).*{OPERATOR}.*{LINE}\d+; ask for"):
            asked()
    assert costs.stages(seq_len=9).decode == costs.decode(seq_len=9)
    assert "request" not in dir(costs.stages())


def test_advice_is_nothing_that_is_refused_next(folder: Path) -> None:
    listed = run("study", "--list", "--model", str(folder))
    assert f"None of these is written of {NAME}: a request has a prefill, which is refused" in listed
    # A model that sees has no training step, whatever its prefill is.
    why = explain_refusal("training_step", {"prefill": "it runs what has no price"}, ("vision", "decode"))
    assert why == "a training step is one of a text decoder, and this model has vision too; ask for vision or decode"
    assert "which is refused" in explain_refusal("training_step", {"prefill": "it runs"}, ("decode",))


def test_what_is_no_stage_is_an_ordinary_attribute_error(folder: Path) -> None:
    run("eval", "decode", "--model", str(folder))
    from llm_perf_opt.evaluators import load_costs

    costs = load_costs(NAME)
    pytest.importorskip("numpy")
    for stages in (costs.stages(), costs.arrays.stages(seq_len=[7, 9])):
        assert not hasattr(stages, "encode")
        assert copy.copy(stages).decode is stages.decode  # asks for attributes that none has
        with pytest.raises(AttributeError, match="'Stages' object has no attribute 'encode'"):
            stages.encode  # noqa: B018  # reading it is the test
    assert not hasattr(costs.breakdown, "encode_operators")


def test_javascript_says_why(folder: Path, tmp_path: Path) -> None:
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    script = tmp_path / "ask.mjs"
    script.write_text(
        f'import * as costs from "{folder}/javascript/{PACKAGE}/index.mjs";\n'
        "const asked = [costs.prefill, costs.request, costs.prefill_io_bytes, costs.general.prefill,\n"
        "  () => costs.stages({}).request, () => costs.stages({}).prefill];\n"
        "for (const f of asked) {\n"
        '  try { f({}); console.log("nothing"); } catch (error) { console.log(error.name, error.message); }\n'
        "}\n"
        "console.log(costs.decode({ seq_len: 37n, decode_steps: 5n }).io_bytes);\n"
        "console.log(Object.keys(costs.stages({})).join(), costs.stages({}).encode, costs.stages.name);\n"
    )
    *refused, io_bytes, stages = subprocess.run(
        [node, str(script)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert len(refused) == 6
    assert all(line.startswith("CostError ") and f"{OPERATOR}, at {LINE}" in line for line in refused)
    assert io_bytes == f"{evaluate(folder, 'seq_len=37', 'decode_steps=5')['io_bytes']}n"
    assert stages == "decode undefined stages"


def test_pages_say_why_and_link_to_no_page_of_it(folder: Path) -> None:
    root = folder / "formulas"
    pages = {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.md")}
    assert {path for path in pages if path.startswith("stages/")} == {"stages/decode.md"}
    for path in ("README.md", "stages/decode.md"):
        assert "`prefill`" in pages[path]
        assert "aten.linalg_solve_triangular" in pages[path]
    assert not [path for path, text in pages.items() if "request.md" in text or "prefill.md" in text]


def test_pages_of_layers_say_which_of_alike_ones_they_are(folder: Path) -> None:
    decoders = {path.name for path in (folder / "formulas" / "layers").glob("qwen3_5_decoder_layer*.md")}
    assert decoders == {"qwen3_5_decoder_layer_0.md", "qwen3_5_decoder_layer_1_to_2.md"}


def test_a_site_of_it_has_no_calculator_and_says_why(folder: Path, tmp_path: Path) -> None:
    run("publish", "--model", str(folder), "--out", str(tmp_path / "site"))
    front = (tmp_path / "site" / "index.html").read_text()
    assert "<code>prefill</code> is refused" in front
    assert "linalg_solve_triangular" in front
    assert not (tmp_path / "site" / "calculator.html").exists()


def test_anything_but_an_operator_without_a_price_refuses_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend import assemble
    from modelmeter.frontend.compile import compile_config

    trace = assemble.trace_parts

    def fail(depth: Any, parts: Any, *args: Any, **options: Any) -> Any:
        found = list(parts)
        if "seq_len" in found[0][0].sizes:
            raise CountError("a guard leaves out single sizes")
        return trace(depth, found, *args, **options)

    monkeypatch.setattr(assemble, "trace_parts", fail)
    with pytest.raises(CountError, match=r"^a guard leaves out single sizes$"):
        compile_config(DELTA, points=0)


def test_a_model_of_which_nothing_is_left_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config
    from modelmeter.verify import dispatch

    listed = dispatch.is_listed
    monkeypatch.setattr(dispatch, "is_listed", lambda name: name != "embedding" and listed(name))
    with pytest.raises(UnpricedOperatorError, match=r"embed_tokens: an operator that nothing accounts for.*embedding"):
        compile_config({**DELTA, "layer_types": ["full_attention"] * 3}, points=0)


def test_only_the_stage_and_what_is_made_of_it_are_explained() -> None:
    refused = {"prefill": "a.b runs aten.c, which has no price"}
    stages = ("vision", "decode")
    assert explain_refusal("prefill", refused, stages) == (
        "prefill of this model is refused: a.b runs aten.c, which has no price; ask for vision or decode"
    )
    assert explain_refusal("request_io_bytes", refused, stages).startswith("a request has a prefill, which is refused")
    assert not explain_refusal("decode", refused, stages)
    assert not explain_refusal("request", {}, stages)
