"""A compiled folder, and the commands on it; expected numbers are counted by hand from the config."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from compiled_llama import CONFIG, NAME, PACKAGE, PARAMETERS, count_prefill, forget, refuse, run

import modelmeter
from llm_perf_opt.evaluators import load_costs
from modelmeter.frontend.archive import read_traced, write_traced
from modelmeter.frontend.compiled_folder import CHECKS_FILE, MANIFEST_FILE, TRACED_FILE, FolderError, open_folder
from modelmeter.frontend.definition import define_model
from modelmeter.model.registry import list_models
from modelmeter.support.checked_imports import DigestError
from modelmeter.support.errors import GraphError, ModelMeterError
from modelmeter.support.generated_files import GRAPH_FILE


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder that a test may damage, as a process sees it that has opened no other."""
    forget()
    yield Path(shutil.copytree(folder, tmp_path / "copy"))
    forget()


def test_eval_is_what_is_counted_by_hand(folder: Path) -> None:
    found = json.loads(run("eval", "request", "seq_len=37", "decode_steps=1", "--model", str(folder), "--json"))["cost"]
    step = 2 * (33 * 30 + 2 * 33 * 10 + 30 * 33 + 3 * 33 * 53) + 4 * 3 * 10 * 38
    assert found["tensor_core_flops"] == count_prefill(37) + 3 * step + 2 * 33 * 97
    assert found["weight_bytes"] == 2 * PARAMETERS
    assert found["kv_cache_bytes"] == 38 * 3 * 2 * 10 * 2


def test_nothing_of_the_folder_gets_onto_a_path(folder: Path) -> None:
    before = list(sys.path)
    run("eval", "prefill", "--model", str(folder))
    assert sys.path == before
    assert not (folder / PACKAGE / "__pycache__").exists(), "bytecode would be run without being compared"


def test_show_solve_and_load_have_the_same_formulas(folder: Path) -> None:
    model = modelmeter.load(folder)
    symbol = model.symbol("seq_len")
    assert model.formula("prefill", "tensor_core_flops").xreplace({symbol: 41, model.symbol("batch_size"): 1}) == (
        count_prefill(41)
    )
    shown = run("show", "prefill", "--metric", "kv_cache_bytes", "--latex", "--model", str(folder))
    assert r"b_{\mathrm{kv}}" in shown
    # 3 layers of 2 x 10 channels at 16 bits: 120 bytes a token; 1199 bytes hold 9 of them.
    question = "prefill.kv_cache_bytes <= 1199"
    solved = json.loads(run("solve", question, "--over", "seq_len", "--model", str(folder), "--json"))
    assert solved["value"] == 9


def test_a_folder_is_asked_for_pages_by_its_path(folder: Path) -> None:
    with pytest.raises(ModelMeterError, match=f"^{NAME}: this model does not look at pages"):
        modelmeter.page_sizes(1191, 1684, model=folder)
    with pytest.raises(ModelMeterError, match="any other is compiled first, modelmeter compile SOURCE --out DIR"):
        modelmeter.page_sizes(1191, 1684, model="folder-lama")


def test_steps_of_a_server_are_refused_with_a_reason(folder: Path) -> None:
    modelmeter.load(folder)
    costs = load_costs(NAME)
    assert not {"step", "chunk"} & {*costs.__all__}
    with pytest.raises(costs.CostError, match=r"no steps of a serving engine, .*; ask for prefill or decode$"):
        costs.step(contexts=[7, 9])
    with pytest.raises(costs.CostError, match=r"no chunk of a forward, .*; ask for prefill or decode$"):
        costs.chunk_io_bytes(seq_len=9)
    assert not hasattr(costs, "stepping")


def test_sweep_and_tree(folder: Path) -> None:
    chosen = ("--grid", "seq_len=3,7,19", "--metric", "tensor_core_flops", "--out", "-", "--model", str(folder))
    if pytest.importorskip("numpy"):
        rows = run("sweep", "prefill", *chosen).splitlines()[1:]
        assert [int(row.split(",")[-1]) for row in rows] == [count_prefill(tokens) for tokens in (3, 7, 19)]
    assert "LlamaDecoderLayer" in run("tree", "--model", str(folder))


def test_what_was_checked_of_it_is_shown(folder: Path, tmp_path: Path) -> None:
    record = json.loads((folder / PACKAGE / CHECKS_FILE).read_text(encoding="utf-8"))
    written = tmp_path / "checks.json"
    printed = " ".join(run("verify", "--model", str(folder), "--json", str(written)).split())
    assert "Polynomial identity test" in printed
    assert (
        "Taken from defaults, since the config does not say them: attention_bias = False, mlp_bias = False." in printed
    )
    # Two points at the traced depth, and a third in float32 at it and at full depth, of two stages.
    assert len(record["checks"]) == 2 * 4
    assert printed.count("prefill") == printed.count("decode") - printed.count("decode_steps") == 4
    assert json.loads(written.read_text(encoding="utf-8")) == record
    assert "no proofs to run" in refuse("verify", "--full", "--model", str(folder))


def test_studies_and_a_site_are_of_its_own_formulas(folder: Path, tmp_path: Path) -> None:
    studied = run("study", "prompt-length", "--hardware", "l4", "--model", str(folder))
    assert "NVIDIA L4 24GB up to seq_len = " in studied
    assert "no linear layers with channels of their own" in refuse(
        "study", "cards", "--hardware", "l4", "--model", str(folder)
    )
    assert "written" in run("publish", "--out", str(tmp_path / "site"), "--model", str(folder))
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "Folder-Llama" in index
    assert "type the sizes of a request, read exact integers" in index
    assert "it calls <code>silu</code>" in index, "a layer says what it does"
    assert "it holds <code>q_proj</code>, <code>k_proj</code>, <code>v_proj</code>, <code>o_proj</code>" in index
    stage = (tmp_path / "site" / "stages" / "decode.html").read_text(encoding="utf-8")
    claims = set(re.findall(r'<p class="claim">(.*?)</p>', stage))
    assert len(claims) == 1
    assert claims.pop().startswith("Polynomial identity test: the modules were counted again without symbols at ")
    calculator = (tmp_path / "site" / "calculator.html").read_text(encoding="utf-8")
    assert 'data-cell="prefill.io_bytes"' in calculator
    assert "page_width" not in calculator, "it does not look at pages"


@pytest.mark.parametrize("file", ["__init__.py", GRAPH_FILE, TRACED_FILE, CHECKS_FILE])
@pytest.mark.parametrize("command", [("eval", "prefill"), ("show", "prefill")])
def test_a_file_that_was_changed_is_refused_by_name(copy: Path, file: str, command: tuple[str, ...]) -> None:
    changed = copy / PACKAGE / file
    changed.write_text(changed.read_text(encoding="utf-8") + " ", encoding="utf-8")
    message = refuse(*command, "--model", str(copy))
    assert f"{file}: a generated file was changed" in message


@pytest.mark.parametrize("file", [GRAPH_FILE, CHECKS_FILE])
def test_a_file_that_was_removed_is_missed(copy: Path, file: str) -> None:
    (copy / PACKAGE / file).unlink()
    assert f"{file}: a generated file cannot be read" in refuse("eval", "prefill", "--model", str(copy))


def test_a_folder_takes_no_second_model(copy: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG), encoding="utf-8")
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    registered = refuse("compile", "--out", str(copy))
    renamed = refuse("compile", str(config), "--name", "Another", "--out", str(copy))
    assert "another" not in list_models(), "it is refused before it is traced"
    assert f"the folder holds another model; expected deepseek_ocr_costs or no model; found {PACKAGE}" in registered
    assert f"the folder holds another model; expected another_costs or no model; found {PACKAGE}" in renamed
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    config.write_text(json.dumps({**CONFIG, "auto_map": {"AutoModel": "evil.Model"}}), encoding="utf-8")
    printed = run("compile", str(config), "--out", str(copy))
    assert "written" in printed, "the same model replaces itself"
    assert "auto_map names code of the model's own, which was not run" in printed


def test_a_file_is_no_folder_to_write_to(tmp_path: Path) -> None:
    """That is said before anything is traced."""
    file = tmp_path / "pages.csv"
    file.touch()
    assert (
        refuse("compile", "llama", "--out", str(file))
        == f"{file}: this is not a folder; name another place for the files"
    )
    assert file.read_bytes() == b""


def test_sizes_of_the_config_are_arguments_of_what_was_compiled_with_them(folder: Path) -> None:
    message = refuse("eval", "prefill", "hidden_size=64", "--model", str(folder))
    assert message.endswith("a folder has sizes of its config as arguments if compile was run with --general")
    assert "--general" not in refuse("eval", "linear", "in_fetures=64")


@pytest.mark.parametrize("name", ["weird/name", "..", "", "-x", "a\nb", "x" * 101])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    message = refuse("compile", "llama", "--name", name, "--out", str(tmp_path / "out"))
    assert "no model can have this name" in message
    assert not (tmp_path / "out").exists()


def test_a_file_that_was_not_written_is_not_imported(copy: Path) -> None:
    added = copy / PACKAGE / "extra.py"
    added.write_text("raise SystemExit('run')\n", encoding="utf-8")
    open_folder(copy)
    with pytest.raises(ModuleNotFoundError):
        __import__(f"{PACKAGE}.extra")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 7}, "another version wrote this compiled model; expected format 1; found 7"),
        ({"name": "../x"}, "no model has the name"),
        ({"package": "os"}, "no model has the name"),
        ({"digests": {}}, "is not among the digests"),
        ({"workload": {}}, "the manifest is damaged"),
        ({"stages": 3}, "the manifest is damaged"),
        ({"more": 1}, "the manifest is damaged"),
    ],
)
def test_a_damaged_manifest_is_refused(copy: Path, change: dict[str, Any], message: str) -> None:
    path = copy / PACKAGE / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(FolderError, match=message):
        open_folder(copy)


def test_what_is_no_compiled_folder_is_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="holds no compiled model; run modelmeter compile"):
        open_folder(tmp_path / "nowhere")
    shutil.copytree(copy / PACKAGE, copy / "other_costs")
    with pytest.raises(FolderError, match="holds several compiled models"):
        open_folder(copy)
    with pytest.raises(FolderError, match="was renamed"):
        open_folder(copy / "other_costs")
    assert open_folder(copy / PACKAGE) == NAME, "the package itself may be named"
    assert NAME in list_models()


def test_traces_are_read_back_as_they_are(tiny_llama: Any) -> None:
    traced = tiny_llama.traced
    text = write_traced(traced)
    read = read_traced(text, traced.graph)
    assert evolve(read, dimensions=traced.dimensions) == traced
    sizes = {"batch_size": 3, "seq_len": 17}
    assert define_model(read).default_workload() == tiny_llama.compiled.definition.default_workload()
    assert tiny_llama.compiled.evaluate("prefill", **sizes).kv_cache_bytes == 3 * 17 * 5 * 2 * 14 * 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format_version":2', '"format_version":3', "no traced model that this version reads"),
        ('["*",', '["system",', "no operation has this name"),
        ('"batch_size"],', '"batch_sizes"],', "no dimension has this name|damaged"),
        ('"title":', '"titles":', "damaged"),
    ],
)
def test_damaged_traces_are_refused(tiny_llama: Any, old: str, new: str, message: str) -> None:
    text = write_traced(tiny_llama.traced)
    assert old in text
    with pytest.raises(ModelMeterError, match=message):
        read_traced(text.replace(old, new, 1), tiny_llama.traced.graph)


def test_text_that_is_no_json_is_refused(tiny_llama: Any) -> None:
    with pytest.raises(GraphError, match="this is no traced model"):
        read_traced("[", tiny_llama.traced.graph)


def test_an_installed_package_is_never_replaced(copy: Path) -> None:
    path = copy / PACKAGE / MANIFEST_FILE
    manifest = {**json.loads(path.read_text(encoding="utf-8")), "package": "deepseek_ocr_costs"}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(DigestError, match="another package has this name"):
        open_folder((copy / PACKAGE).rename(copy / "deepseek_ocr_costs"))


def test_the_folder_itself_may_be_on_the_path(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(copy))
    assert open_folder(copy) == NAME
    assert __import__(PACKAGE).prefill_tensor_core_flops(seq_len=41) == count_prefill(41)


def test_a_package_that_was_imported_unchecked_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(copy))
    __import__(PACKAGE)
    try:
        with pytest.raises(DigestError, match=r"was imported before its model was loaded.*load the model first"):
            open_folder(copy)
    finally:
        forget()


def test_verify_compares_what_stands_beside_the_package(copy: Path) -> None:
    """Pages, data, JavaScript and SQL have digests too: they are compared by verify, and no number needs them."""
    digests = json.loads((copy / PACKAGE / MANIFEST_FILE).read_text(encoding="utf-8"))["other_digests"]
    files = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert digests.keys() == {path for path in files if not path.startswith(f"{PACKAGE}/")}
    assert {path.partition("/")[0] for path in digests} >= {"data", "duckdb", "formulas", "javascript", "spark"}
    assert f"{len(digests):,} pages, data files and copies" in run("verify", "--model", str(copy))
    changed = next(path for path in sorted(digests) if path.startswith("duckdb/"))
    text = (copy / changed).read_text(encoding="utf-8")
    (copy / changed).write_text(text.replace("2*", "3*", 1), encoding="utf-8")
    assert changed in refuse("verify", "--model", str(copy))
    assert "tensor_core_flops" in run("eval", "prefill", "--model", str(copy))
    (copy / changed).unlink()
    assert (
        f"{len(digests) - 1:,} pages, data files and copies in other languages are as they were written, 1 are not"
        in (run("verify", "--model", str(copy)))
    )
