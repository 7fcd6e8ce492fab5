"""The command line: what it prints, what it refuses, and what it does not import."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llm_perf_opt import cli
from llm_perf_opt.commands.sources import GRAPH_FILE, PACKAGE, read_graph
from modelmeter.cost import METRICS

CODEGEN = Path(__file__).parents[2] / "codegen"
GRAPH = CODEGEN / PACKAGE / GRAPH_FILE


# Another model of this family, the least that says so: other widths, depths, experts and heads everywhere.
OTHER_CONFIG: dict[str, Any] = {
    "architectures": ["DeepseekOCRForCausalLM"],
    "model_type": "deepseek_vl_v2",
    "language_config": {
        "hidden_size": 60, "intermediate_size": 61, "moe_intermediate_size": 37, "num_hidden_layers": 7,
        "first_k_dense_replace": 2, "num_attention_heads": 6, "num_key_value_heads": 3, "n_routed_experts": 11,
        "n_shared_experts": 5, "num_experts_per_tok": 4, "vocab_size": 101, "use_mla": False, "topk_method": "greedy",
    },
    "projector_config": {"projector_type": "linear", "input_dim": 170, "n_embed": 60},
    "vision_config": {
        "image_size": 208,
        "width": {
            "sam_vit_b": {
                "width": 69, "layers": 9, "heads": 23, "global_attn_indexes": [1, 8], "downsample_channels": [47, 85],
            },
            "clip-l-14-224": {"width": 85, "layers": 10, "heads": 17, "image_size": 29, "patch_size": 13},
        },
    },
}  # fmt: skip


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process."""

    def run_arguments(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["modelmeter", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        assert isinstance(code, int)
        return Result(code, *capsys.readouterr())

    return run_arguments


def assert_refused(result: Result, *words: str) -> None:
    """Check that a command ended in one line that has these words, and printed nothing else."""
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    for word in words:
        assert word in result.err


def run_apart(
    *arguments: object, forbidden: tuple[str, ...] = (), environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a new Python in which importing a forbidden package fails."""
    program = (
        "import sys\n"
        f"forbidden = {forbidden!r}\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in forbidden:\n"
        "            raise AssertionError(f'{name} is imported')\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from llm_perf_opt.cli import main\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **(environment or {})},
    )  # fmt: skip


class TestImports:
    """A command imports only what it needs."""

    @pytest.mark.parametrize(
        ("arguments", "forbidden"),
        [
            (("--help",), ("torch", "torchinfo", "sympy", "networkx", "numpy", "jinja2", "matplotlib")),
            (("eval", "prefill", "seq_len=17"), ("torch", "torchinfo", "sympy", "networkx", "numpy", "jinja2")),
            (("tree",), ("torch", "torchinfo", "sympy", "numpy", "jinja2")),
            (("show", "linear"), ("torch", "torchinfo", "numpy")),
        ],
        ids=lambda value: " ".join(value) if value[0] != "torch" else "",
    )
    def test_no_more_than_it_needs(self, arguments: tuple[str, ...], forbidden: tuple[str, ...]) -> None:
        result = run_apart(*arguments, forbidden=forbidden)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout

    def test_the_guard_works(self) -> None:
        """What the tests above forbid would be noticed."""
        result = run_apart("show", "linear", forbidden=("sympy",))
        assert result.returncode == 1
        assert "sympy is imported" in result.stderr


class TestTree:
    """``modelmeter tree``."""

    def test_json_is_the_graph_to_the_byte(self, run: Run) -> None:
        assert run("tree", "--json") == (0, GRAPH.read_text(encoding="utf-8"), "")

    def test_every_module_has_a_line(self, run: Run) -> None:
        result = run("tree")
        lines = result.out.splitlines()
        nodes = list(read_graph(None).walk())
        assert len(lines) == 1 + len(nodes)
        for line, node in zip(lines[1:], nodes, strict=True):
            words = line.split()
            assert node.class_name in words
            assert f"{node.parameter_count:,}" in words
            assert node.repetition == "none" or f"x{node.repetition_count}" in words
            assert node.path.rpartition(".")[2] in line

    def test_fits_80_columns_without_colours(self, run: Run) -> None:
        out = run("tree").out
        assert "\x1b" not in out
        assert max(map(len, out.splitlines())) <= 80

    def test_experts_run_side_by_side_in_both_runs(self, run: Run) -> None:
        """An expert is 3 matrices of 1280 x 896."""
        (line,) = [line for line in run("tree").out.splitlines() if " 0-63 " in line]
        assert line.split()[-5:] == ["DeepseekV2MLP", "parfor", "x64", f"{3 * 1280 * 896:,}", "1+1"]


class TestShow:
    """``modelmeter show``."""

    def test_a_layer_by_its_name(self, run: Run) -> None:
        """The LM head: 2 FLOPs for each of 1280 x 129280 weights and 913 tokens."""
        result = run("show", "lm_head", "--metric", "tensor_core_flops")
        assert (result.code, result.err) == (0, "")
        assert f"tensor_core_flops = {2 * 1280 * 129280 * 913:,} FLOP" in result.out
        assert "2 · in_features · num_tokens · out_features" in result.out
        assert "io_bytes" not in result.out
        in_table = [line.split() for line in result.out.splitlines() if line.startswith(("in_", "out_", "num_"))]
        assert {words[0]: words[-1] for words in in_table} == {
            "num_tokens": "913", "in_features": "1,280", "out_features": "129,280",
        }  # fmt: skip

    def test_all_metrics_of_a_layer_by_its_class(self, run: Run) -> None:
        out = run("show", "DeepseekV2MoE").out
        positions = [out.index(f"\n{metric} = ") for metric in METRICS]
        assert positions == sorted(positions)
        assert "routed_reads(n_routed_experts, num_experts_per_tok, num_tokens," in out
        assert "routed_reads(E, k, N, W) are" in out

    def test_a_class_with_two_layers_shows_both(self, run: Run) -> None:
        out = run("show", "Linear", "--metric", "weight_bytes").out
        assert out.startswith("linear: ")
        assert "\nlm_head: " in out

    def test_a_stage(self, run: Run) -> None:
        """Every key and value of 12 layers, 2 x 1280 channels of 2 bytes, of 913 + 1023 positions."""
        out = run("show", "decode", "--metric", "kv_cache_bytes").out
        assert f"kv_cache_bytes = {12 * 2 * 1280 * 2 * (913 + 1023):,} B" in out

    def test_a_request_is_put_together_from_its_stages(self, run: Run) -> None:
        assert "\n  vision + projector + prefill + decode\nvision =\n" in run("show", "request").out
        assert "\n  max(" in run("show", "request", "--metric", "activation_bytes").out

    def test_latex(self, run: Run) -> None:
        out = run("show", "linear", "--metric", "tensor_core_flops", "--latex").out
        formula = r"\[" "\n" r"\mathtt{tensor\_core\_flops} = 2 \, N \, d_{\mathrm{in}} \, d_{\mathrm{out}}" "\n" r"\]"
        assert out.endswith(f"\n{formula}\n")
        assert "% $N$: num_tokens" in out

    @pytest.mark.parametrize("name", ["vision", "request", "deepseek_v2_decoder_layer"])
    def test_fits_80_columns_without_colours(self, run: Run, name: str) -> None:
        out = run("show", name).out
        assert "\x1b" not in out
        assert max(map(len, out.splitlines())) <= 80

    def test_ascii_where_the_terminal_has_no_more(self) -> None:
        result = run_apart("show", "vision", environment={"PYTHONIOENCODING": "ascii"})
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.isascii()
        assert "ceil(floor(view_size / 16) / 4)" in result.stdout

    def test_an_unknown_name(self, run: Run) -> None:
        result = run("show", "deepseek_v2_mo")
        assert_refused(result, "deepseek_v2_mo;", "did you mean deepseek_v2_moe", "known are vision, projector")

    def test_an_unknown_metric(self, run: Run) -> None:
        assert_refused(run("show", "linear", "--metric", "io_byte"), "did you mean io_bytes", ", ".join(METRICS))


class TestEval:
    """``modelmeter eval``."""

    def test_json_has_exact_integers_and_the_arguments(self, run: Run) -> None:
        """A position with logits takes 2 FLOPs for each weight of the LM head."""
        few, many = (
            json.loads(run("eval", "prefill", "seq_len=1_913", f"logits_tokens={n}", "--json").out) for n in (3, 1000)
        )
        assert few["name"] == "prefill"
        assert few["arguments"]["seq_len"] == 1913
        assert few["arguments"]["batch_size"] == 1
        assert list(few["cost"]) == list(METRICS)
        more = many["cost"]["tensor_core_flops"] - few["cost"]["tensor_core_flops"]
        assert more == 997 * 2 * 1280 * 129280

    def test_a_table(self, run: Run) -> None:
        """The cache of 17 positions: 12 layers, keys and values, 1280 channels, 2 bytes."""
        out = run("eval", "prefill", "seq_len=17").out
        (line,) = [line for line in out.splitlines() if line.startswith("kv_cache_bytes")]
        assert line.split() == ["kv_cache_bytes", f"{12 * 2 * 1280 * 2 * 17:,}", "1.04", "MB"]
        assert "\x1b" not in out
        assert max(map(len, out.splitlines())) <= 80

    def test_numbers_may_be_long(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """The projector's products are proportional to the pages; no float and no column cuts a digit off."""
        monkeypatch.setenv("COLUMNS", "200")
        pages = 10**60 + 7
        one, many = (
            json.loads(run("eval", "projector", f"batch_size={size}", "--json").out)["cost"]["tensor_core_flops"]
            for size in (1, pages)
        )
        assert many == pages * one
        assert f" {many:,} " in run("eval", "projector", f"batch_size={pages}").out

    def test_a_layer(self, run: Run) -> None:
        result = run("eval", "linear", "num_tokens=3", "in_features=5", "out_features=7", "--json")
        assert json.loads(result.out)["cost"]["tensor_core_flops"] == 2 * 3 * 5 * 7

    def test_the_bound_on_experts(self, run: Run) -> None:
        """One token reads 6 experts either way; two read 12 at most, but fewer are expected."""
        reads = {
            (tokens, rule): json.loads(
                run("eval", "deepseek_v2_moe", f"num_tokens={tokens}", f"expert_routing={rule}", "--json").out
            )["cost"]["io_bytes"]
            for tokens in (1, 2)
            for rule in ("even", "uniform")
        }
        assert reads[1, "even"] == reads[1, "uniform"]
        assert reads[2, "even"] > reads[2, "uniform"]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("prefil",), ("did you mean prefill", "vision, projector, prefill, decode, request")),
            (("prefill", "seqlen=5"), ("argument of prefill", "did you mean seq_len")),
            (("prefill", "seq_len"), ("key=value", "seq_len")),
            (("prefill", "=5"), ("key=value",)),
            (("prefill", "seq_len="), ("seq_len", "not an integer")),
            (("prefill", "seq_len=5.0"), ("seq_len", "not an integer", "5.0")),
            (("prefill", "seq_len=1e3"), ("not an integer",)),
            (("prefill", "seq_len= 5"), ("not an integer",)),
            (("prefill", "seq_len=5__0"), ("not an integer",)),
            (("prefill", "seq_len=0x10"), ("not an integer",)),
            (("prefill", "seq_len=\u0665"), ("not an integer",)),
            (("prefill", "seq_len=True"), ("not an integer",)),
            (("prefill", "seq_len=" + "9" * 400), ("seq_len", "at most 100 digits")),
            (("prefill", "seq_len=" + "9" * 5000), ("seq_len", "at most 100 digits")),
            (("prefill", "seq_len=5", "seq_len=6"), ("seq_len", "given twice")),
            (("prefill", "seq_len=0"), ("seq_len",)),
            (("prefill", "seq_len=-5"), ("seq_len",)),
            (("request", "seq_len=5"), ("seq_len", "903")),  # the image tokens of the default page
            (("deepseek_v2_moe", "expert_routing=odd"), ("expert_routing", "even")),
        ],
    )
    def test_refuses_what_is_no_workload(self, run: Run, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
        result = run("eval", *arguments)
        assert_refused(result, *words)
        assert len(result.err) < 1500


@pytest.fixture(scope="session")
def compiled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``compile`` writes from the shipped graph in another Python, in which torch cannot be imported."""
    folder = tmp_path_factory.mktemp("compiled")
    result = run_apart("compile", "--graph", GRAPH, "--out", folder, forbidden=("torch", "torchinfo", "numpy"))
    assert (result.returncode, result.stderr) == (0, "")
    return folder


def list_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def save_changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Save the shipped module graph with a change."""
    document = json.loads(GRAPH.read_text(encoding="utf-8"))
    change(document)
    path = folder / "graph.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


class TestCompile:
    """``modelmeter compile``."""

    def test_a_saved_graph_gives_the_files_of_the_project(self, compiled_folder: Path) -> None:
        """Byte for byte, and without torch."""
        generated = list_files(compiled_folder)
        assert {path.partition(os.sep)[0] for path in generated} == {PACKAGE, "formulas"}
        assert {path: (CODEGEN / path).read_bytes() for path in generated} == generated

    def test_says_how_many_files_are_where(self, run: Run, tmp_path: Path) -> None:
        result = run("compile", "--graph", GRAPH, "--out", tmp_path)
        assert (result.code, result.err) == (0, "")
        files = list_files(tmp_path)
        assert result.out.splitlines() == [
            f"{tmp_path / folder}: {sum(path.startswith(folder) for path in files)} files written"
            for folder in (PACKAGE, "formulas")
        ]

    def test_check_accepts_what_it_wrote(self, run: Run, compiled_folder: Path) -> None:
        before = list_files(compiled_folder)
        result = run("compile", "--graph", GRAPH, "--out", compiled_folder, "--check")
        assert (result.code, result.err) == (0, "")
        assert "files current" in result.out
        assert list_files(compiled_folder) == before

    def test_check_shows_what_differs_and_writes_nothing(self, run: Run, compiled_folder: Path, tmp_path: Path) -> None:
        shutil.copytree(compiled_folder, tmp_path, dirs_exist_ok=True)
        changed = tmp_path / PACKAGE / "_stages.py"
        changed.write_text(changed.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")
        before = list_files(tmp_path)
        result = run("compile", "--graph", GRAPH, "--out", tmp_path, "--check")
        assert result.code == 1
        assert "\n-# by hand\n" in result.out
        assert result.err.startswith(f"error: {tmp_path}: ")
        assert "_stages.py" in result.err
        assert result.err.count("\n") == 1
        assert list_files(tmp_path) == before

    def test_check_of_an_empty_folder_fails(self, run: Run, tmp_path: Path) -> None:
        assert run("compile", "--graph", GRAPH, "--out", tmp_path / "none", "--check").code == 1
        assert list(tmp_path.iterdir()) == []

    def test_saves_the_graph_again_to_the_byte(self, run: Run, tmp_path: Path) -> None:
        saved = tmp_path / "saved.json"
        assert run("compile", "--graph", GRAPH, "--out", tmp_path, "--save-graph", saved).code == 0
        assert saved.read_bytes() == GRAPH.read_bytes() == (tmp_path / PACKAGE / GRAPH_FILE).read_bytes()

    def test_another_model_of_the_family(self, run: Run, tmp_path: Path) -> None:
        """From its config: traced, compiled, and its evaluators have its sizes."""
        config = tmp_path / "config.json"
        config.write_text(json.dumps(OTHER_CONFIG), encoding="utf-8")
        result = run("compile", "--config", config, "--out", tmp_path / "out", "--save-graph", tmp_path / "graph.json")
        assert (result.code, result.err) == (0, "")
        tree = run("tree", "--graph", tmp_path / "graph.json").out
        assert " 0-10  DeepseekV2MLP  parfor x11  " in tree
        program = "import json, deepseek_ocr_costs as costs; print(costs.prefill(seq_len=29, logits_tokens=13)[0])"
        flops = [
            int(subprocess.run(
                [sys.executable, "-c", program.replace("13", str(logits_tokens))], cwd=tmp_path / "out", check=True,
                capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""},
            ).stdout)
            for logits_tokens in (13, 14)
        ]  # fmt: skip
        assert flops[1] - flops[0] == 2 * 60 * 101  # a position more in the LM head

    def test_config_and_graph_of_the_same_model(self, run: Run, tmp_path: Path) -> None:
        config = tmp_path / "config.json"
        config.write_text(json.dumps(OTHER_CONFIG), encoding="utf-8")
        result = run("compile", "--config", config, "--graph", GRAPH, "--out", tmp_path / "out")
        assert_refused(result, "hidden_size", "expected 1280", "found 60", "--config")
        assert not (tmp_path / "out").exists()


class TestBadInput:
    """Whatever is wrong with the input: one line, exit code 2, and nothing written."""

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (None, ("config.json", "cannot be read")),
            ("", ("config.json", "not valid JSON")),
            (json.dumps({"model_type": "deepseek_vl_v2"})[:-9], ("config.json", "not valid JSON")),
            ("[1, 2]", ("config.json", "JSON object")),
            ({"architectures": ["LlamaForCausalLM"]}, ("config.json", "LlamaForCausalLM")),
            ({"language_config": {"hidden_size": "60"}}, ("language_config.hidden_size", '"60"')),
            ({"language_config": {"hidden_size": -60}}, ("language_config.hidden_size", "-60")),
            ({"language_config": {"vocab_size": 10**400}}, ("language_config.vocab_size", "bits")),
            ({"language_config": {"use_mla": True}}, ("language_config.use_mla", "do not model")),
        ],
    )
    def test_config(self, run: Run, tmp_path: Path, content: object, words: tuple[str, ...]) -> None:
        path = tmp_path / "config.json"
        if isinstance(content, dict):
            content = json.dumps(_merged(OTHER_CONFIG, content))
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        before = list_files(tmp_path)
        assert_refused(run("compile", "--config", path, "--out", tmp_path / "out"), *words)
        assert list_files(tmp_path) == before

    @pytest.mark.parametrize("command", [("compile",), ("tree",), ("show", "linear")])
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (None, ("cannot be read",)),
            (b"", ("JSON",)),
            (b'{"schema_version": 1,', ("JSON",)),
            (b"\xff\xfe", ("cannot be read",)),
            (b"{}", ("schema_version",)),
            (b"[" * 100_000, ("JSON",)),
        ],
    )
    def test_graph(
        self, run: Run, tmp_path: Path, command: tuple[str, ...], content: bytes | None, words: tuple[str, ...]
    ) -> None:
        path = tmp_path / "graph.json"
        if content is not None:
            path.write_bytes(content)
        out = ("--out", tmp_path / "out") if command == ("compile",) else ()
        assert_refused(run(*command, "--graph", path, *out), "graph.json", *words)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda graph: graph["architecture"].pop("vocab_size"), ("sizes of this model", "vocab_size")),
            (lambda graph: graph["architecture"].update(vocab_size=7), ("layer and module differ",)),
            (lambda graph: graph["architecture"].update(sam_num_global_layers=7), ("sam_num_global_layers",)),
            (lambda graph: graph["architecture"].update(hidden_size=2**62), ("hidden_size",)),
            (lambda graph: graph["architecture"].update(stride=2), ("sizes of this model", "stride")),
            (lambda graph: graph.update(sam_global_attn_indexes=[99]), ("sam_global_attn_indexes",)),
            (lambda graph: graph["workload"].pop("seq_len"), ("seq_len",)),
            (lambda graph: graph["nodes"][3].update(class_name="Evil\x1b[31m"), ("nodes[3]",)),
        ],
    )
    def test_graph_of_another_model(
        self, run: Run, tmp_path: Path, change: Callable[[dict[str, Any]], None], words: tuple[str, ...]
    ) -> None:
        path = save_changed(tmp_path, change)
        result = run("compile", "--graph", path, "--out", tmp_path / "out")
        assert_refused(result, *words)
        assert "\x1b" not in result.err
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("out", ["file", "file/below", "/proc/modelmeter"])
    def test_output_folder(self, run: Run, tmp_path: Path, out: str) -> None:
        """A file, a path below it, and a folder in which not even root can write."""
        (tmp_path / "file").write_text("mine", encoding="utf-8")
        result = run("compile", "--graph", GRAPH, "--out", tmp_path / out)
        assert_refused(result, out.rpartition("/")[2], "cannot be written")
        assert list_files(tmp_path) == {"file": b"mine"}

    def test_saved_graph(self, run: Run, tmp_path: Path) -> None:
        """Where the graph cannot be saved, nothing else is written either."""
        result = run("compile", "--graph", GRAPH, "--out", tmp_path / "out", "--save-graph", tmp_path / "none" / "g")
        assert_refused(result, "module graph cannot be written")
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_option(self, run: Run) -> None:
        result = run("show", "linear", "--metrics")
        assert result.code == 2
        assert "--metrics" in result.err


class TestEnd:
    """How a command ends that someone cuts short."""

    def test_a_closed_pipe_is_quiet(self) -> None:
        """As in ``modelmeter tree --json | head -c 1``."""
        for command in (["tree", "--json"], ["tree"], ["show", "request"], ["eval", "request", "--json"]):
            process = subprocess.Popen(
                [sys.executable, "-m", "llm_perf_opt.cli", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert process.stdout is not None
            process.stdout.close()
            assert process.stderr is not None
            assert process.stderr.read() == b""
            process.stderr.close()
            assert process.wait(timeout=60) in (0, 1)

    def test_an_interrupt_ends_in_130(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("llm_perf_opt.commands.sources.read_graph", interrupt)
        result = run("tree")
        assert result.code == 130
        assert "Traceback" not in result.err


def _merged(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a config with some values changed, at any depth."""
    return config | {
        key: _merged(config[key], value) if isinstance(value, dict) else value for key, value in changes.items()
    }
