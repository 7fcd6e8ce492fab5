"""``modelmeter compile`` with bad input: one line, exit code 2, and nothing written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import GRAPH, OTHER_CONFIG, Run, assert_refused, list_files


def save_changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Save the shipped module graph with a change."""
    document = json.loads(GRAPH.read_text(encoding="utf-8"))
    change(document)
    path = folder / "graph.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def merge(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a config with some values changed, at any depth."""
    return config | {
        key: merge(config[key], value) if isinstance(value, dict) else value for key, value in changes.items()
    }


class TestBadInput:
    """Whatever is wrong with the input: one line, exit code 2, and nothing written."""

    def test_no_torch(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "modelmeter.models.deepseek_ocr.trace_reference", raising=False)
        monkeypatch.delitem(sys.modules, "modelmeter.graph.trace", raising=False)
        monkeypatch.setitem(sys.modules, "torchinfo", None)
        result = run("compile", "--out", tmp_path / "out")
        assert_refused(result, "torchinfo", "pip install 'modelmeter[trace]'", "--graph")
        assert not (tmp_path / "out").exists()

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
            content = json.dumps(merge(OTHER_CONFIG, content))
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
            (lambda graph: graph["lists"].update(sam_global_attn_indexes=[99]), ("sam_global_attn_indexes",)),
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

    @pytest.mark.parametrize("model", [(), ("deepseek-ocr",)])
    @pytest.mark.parametrize(
        ("out", "words"),
        [
            ("file", "file: this is not a folder"),
            ("file/below", "cannot be written; found Not a directory"),
            ("link", "file: this is not a folder"),
            ("/proc/modelmeter", "cannot be written"),
        ],
    )
    def test_output_folder(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: tuple[str, ...], out: str, words: str
    ) -> None:
        """A file, a path below it, a link to it, and a folder in which not even root can write: before any work."""
        (tmp_path / "file").write_text("mine", encoding="utf-8")
        (tmp_path / "link").symlink_to(tmp_path / "file")
        monkeypatch.setattr("llm_perf_opt.commands.compile.read_model", None)  # the first step of a compilation
        assert_refused(run("compile", *model, "--graph", GRAPH, "--out", tmp_path / out), words)
        assert list_files(tmp_path) == {"file": b"mine", "link": b"mine"}

    @pytest.mark.usefixtures("emitted")
    def test_output_folder_may_be_a_link(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "there")
        result = run("compile", "--graph", GRAPH, "--out", tmp_path / "link")
        assert result.code == 0, result.err
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "there" / "deepseek_ocr_costs" / "module_graph.json").is_file()

    @pytest.mark.usefixtures("emitted")
    def test_saved_graph(self, run: Run, tmp_path: Path) -> None:
        """Where the graph cannot be saved, nothing else is written either."""
        result = run("compile", "--graph", GRAPH, "--out", tmp_path / "out", "--save-graph", tmp_path / "none" / "g")
        assert_refused(result, "module graph cannot be written")
        assert list(tmp_path.iterdir()) == []
