"""``modelmeter compile``: the files of ``codegen/``, all of them or none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CODEGEN, GRAPH, OTHER_CONFIG, Run, add_evidence, assert_refused, list_files, run_apart

from llm_perf_opt.commands.compile import describe_files
from modelmeter.models.deepseek_ocr.package import PACKAGE
from modelmeter.publishing.data.id_registry import IdRegistry
from modelmeter.publishing.identity import FormulaId
from modelmeter.support.generated_files import GRAPH_FILE

SOURCES = Path(__file__).parents[2] / "src"


def assert_named(out: Path, name: str) -> None:
    """Check that all that was generated, and a report made with it, are about the model of this name."""
    texts = {path: content.decode() for path, content in list_files(out).items()}
    assert not [path for path, text in texts.items() if "DeepSeek-OCR" in text]
    assert texts["formulas/README.md"].splitlines()[1] == f"# What {name} costs, as formulas"
    assert f'"""What {name} costs' in texts[f"{PACKAGE}/__init__.py"]
    assert rf"\title{{What {name.replace('_', chr(92) + '_')} costs" in texts["formulas/formulas.tex"]
    program = (
        "import json, sys\n"
        "from llm_perf_opt.cli import main\n"
        "import deepseek_ocr_costs as costs\n"
        f"assert costs.PROVENANCE['model'] == {name!r}\n"
        "main()\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, "report", "--workload", "tiny", "--out", str(out.parent / "report")],
        check=True, capture_output=True, timeout=120, env={**os.environ, "PYTHONPATH": f"{out}{os.pathsep}{SOURCES}"},
    )  # fmt: skip
    model = json.loads((out.parent / "report/report.json").read_text(encoding="utf-8"))["model"]
    assert (model["model_id"], model["model_variant"], model["vision_backbone"]) == (name, name, "other")
    assert (out.parent / "report/summary.md").read_text(encoding="utf-8").startswith(f"# {name}, tiny")


class TestCompile:
    """``modelmeter compile``."""

    def test_a_saved_graph_gives_the_files_of_the_project(self, compiled_folder: Path) -> None:
        """Byte for byte, and without torch."""
        generated = list_files(compiled_folder)
        assert {path.partition(os.sep)[0] for path in generated} == {
            PACKAGE,
            "data",
            "duckdb",
            "formulas",
            "javascript",
            "spark",
        }
        assert {path: (CODEGEN / path).read_bytes() for path in generated} == generated

    def test_no_hash_seed_and_no_working_directory_changes_a_byte(self, compiled_folder: Path, tmp_path: Path) -> None:
        """The other folder was written under the seed of these tests, or where they have none under one by chance."""
        seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
        add_evidence((folder := tmp_path / seed) / "codegen")
        result = run_apart("compile", "--graph", GRAPH, environment={"PYTHONHASHSEED": seed}, folder=folder)
        assert (result.returncode, result.stderr) == (0, "")
        assert list_files(folder / "codegen") == list_files(compiled_folder)

    @pytest.mark.usefixtures("emitted")
    def test_says_how_many_files_are_where(self, run: Run, tmp_path: Path) -> None:
        result = run("compile", "--graph", GRAPH, "--out", tmp_path)
        assert (result.code, result.err) == (0, "")
        files = list_files(tmp_path)
        assert result.out.splitlines() == [
            f"{tmp_path / folder}: {sum(path.startswith(folder) for path in files)} files written"
            for folder in ("data", PACKAGE, "duckdb", "formulas", "javascript", "spark")
        ]

    @pytest.mark.usefixtures("emitted")
    def test_check_accepts_what_it_wrote(self, run: Run, compiled_folder: Path) -> None:
        before = list_files(compiled_folder)
        result = run("compile", "--graph", GRAPH, "--out", compiled_folder, "--check")
        assert (result.code, result.err) == (0, "")
        assert "files current" in result.out
        assert list_files(compiled_folder) == before

    @pytest.mark.usefixtures("emitted")
    def test_check_shows_what_differs_and_writes_nothing(self, run: Run, compiled_folder: Path, tmp_path: Path) -> None:
        shutil.copytree(compiled_folder, tmp_path, dirs_exist_ok=True)
        changed = tmp_path / PACKAGE / "_stages.py"
        changed.write_text(changed.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")
        before = list_files(tmp_path)
        result = run("compile", "--graph", GRAPH, "--out", tmp_path, "--check", "--save-graph", tmp_path / "graph.json")
        assert result.code == 1
        assert "\n-# by hand\n" in result.out
        assert result.err.startswith(f"error: {tmp_path}: ")
        assert "_stages.py" in result.err
        assert result.err.count("\n") == 1
        assert list_files(tmp_path) == before

    @pytest.mark.usefixtures("emitted")
    def test_check_of_an_empty_folder_fails(self, run: Run, tmp_path: Path) -> None:
        assert run("compile", "--graph", GRAPH, "--out", tmp_path / "none", "--check").code == 1
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.usefixtures("emitted")
    def test_saves_the_graph_again_to_the_byte(self, run: Run, tmp_path: Path) -> None:
        saved = tmp_path / "saved.json"
        assert run("compile", "--graph", GRAPH, "--out", tmp_path, "--save-graph", saved).code == 0
        assert saved.read_bytes() == GRAPH.read_bytes() == (tmp_path / PACKAGE / GRAPH_FILE).read_bytes()

    def test_one_target_alone(self, run: Run, tmp_path: Path, compiled_folder: Path) -> None:
        """The same bytes as where all is compiled; and a check of it needs no other."""
        add_evidence(tmp_path)
        result = run("compile", "--graph", GRAPH, "--out", tmp_path, "--target", "json")
        assert (result.code, result.err, result.out) == (0, "", f"{tmp_path / 'data'}: 4 files written\n")
        expected = {path: text for path, text in list_files(compiled_folder).items() if path.startswith("data/")}
        assert list_files(tmp_path) == expected
        assert run("compile", "--graph", GRAPH, "--out", tmp_path, "--target", "json", "--check").code == 0

    def test_one_file_is_not_many(self, tmp_path: Path) -> None:
        said = describe_files({"data/ids.json": "", "formulas/a.md": "", "formulas/b.md": ""}, tmp_path, "written")
        assert said.splitlines() == [
            f"{tmp_path / 'data'}: 1 file written",
            f"{tmp_path / 'formulas'}: 2 files written",
        ]

    def test_ids_of_before_stay_in_the_folder(self, run: Run, tmp_path: Path) -> None:
        """An id that no formula has any more is still listed; a list without one of its ids is refused."""
        old = FormulaId(model="deepseek-ocr", subject="prefill", metric="io_bytes", digest="0" * 64)
        (path := tmp_path / "data/ids.json").parent.mkdir()
        path.write_text(IdRegistry().add([old], "0.0.9").to_json(), encoding="utf-8")
        assert run("compile", "--graph", GRAPH, "--out", tmp_path, "--target", "json").code == 0
        written = IdRegistry.read(path)
        assert [(entry.id, entry.version) for entry in written.entries[:1]] == [(str(old), "0.0.9")]
        newest = written.newest(old.address)
        assert newest is not None
        assert newest.id in (tmp_path / "data/formulas.json").read_text(encoding="utf-8")
        path.write_text(path.read_text(encoding="utf-8").replace(f'["{old}"', '["x"'), encoding="utf-8")
        before = list_files(tmp_path)
        for arguments in ((), ("--check",)):
            result = run("compile", "--graph", GRAPH, "--out", tmp_path, "--target", "json", *arguments)
            assert_refused(result, "ids.json", "an id that was published stays", "version control")
        assert list_files(tmp_path) == before

    @pytest.mark.parametrize("target", ["pythn", "", "JSON"])
    def test_an_unknown_target(self, run: Run, tmp_path: Path, target: str) -> None:
        result = run("compile", "--graph", GRAPH, "--out", tmp_path / "out", "--target", target)
        assert_refused(result, "there is no target of this name", "python, javascript")
        assert not (tmp_path / "out").exists()

    def test_another_model_of_the_family(self, run: Run, tmp_path: Path) -> None:
        """From its config: traced, compiled, and its evaluators have its sizes; no check of another is its."""
        add_evidence(tmp_path / "out")
        config = tmp_path / "config.json"
        named = OTHER_CONFIG | {"_name_or_path": "acme/small_ocr v2", "frobnicate": 1}
        config.write_text(json.dumps(named), encoding="utf-8")
        result = run("compile", "--config", config, "--out", tmp_path / "out", "--save-graph", tmp_path / "graph.json")
        assert result.code == 0
        assert result.err == f"warning: {config}: unknown keys, on which costs may depend: frobnicate\n"
        assert_named(tmp_path / "out", "small_ocr-v2")
        assert "accuracy.md" not in (tmp_path / "out/formulas/README.md").read_text(encoding="utf-8")
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

    @pytest.mark.parametrize("name", ["///", ""])
    def test_a_name_has_letters_or_digits(self, run: Run, tmp_path: Path, name: str) -> None:
        result = run("compile", "--graph", GRAPH, "--name", name, "--out", tmp_path / "out")
        assert_refused(result, "a name without letters and digits")
        assert not (tmp_path / "out").exists()

    def test_the_name_of_the_published_model_is_for_its_sizes(self, run: Run, tmp_path: Path) -> None:
        config = tmp_path / "config.json"
        config.write_text(json.dumps(OTHER_CONFIG), encoding="utf-8")
        result = run("compile", "--config", config, "--name", "DeepSeek-OCR", "--out", tmp_path / "out")
        assert_refused(result, "the name of another model")

    def test_config_and_graph_of_the_same_model(self, run: Run, tmp_path: Path) -> None:
        config = tmp_path / "config.json"
        config.write_text(json.dumps(OTHER_CONFIG), encoding="utf-8")
        result = run("compile", "--config", config, "--graph", GRAPH, "--out", tmp_path / "out")
        assert_refused(result, "hidden_size", "expected 1280", "found 60", "--config")
        assert not (tmp_path / "out").exists()


class TestOthersFiles:
    """What modelmeter did not write is neither replaced nor removed, and no checkout changes unasked."""

    @pytest.mark.usefixtures("emitted")
    def test_a_page_of_others_is_refused(self, run: Run, tmp_path: Path) -> None:
        """Neither the files nor the graph are written then."""
        page = tmp_path / "out" / "formulas" / "README.md"
        page.parent.mkdir(parents=True)
        page.write_text("# My own notes\n", encoding="utf-8")
        result = run("compile", "--graph", GRAPH, "--out", tmp_path / "out", "--save-graph", tmp_path / "graph.json")
        assert_refused(result, "did not generate", "found formulas/README.md", "name another folder")
        assert list_files(tmp_path) == {"out/formulas/README.md": b"# My own notes\n"}

    @pytest.mark.usefixtures("emitted")
    def test_a_copy_with_notes_stays_and_is_named(self, run: Run, tmp_path: Path, compiled_folder: Path) -> None:
        shutil.copytree(compiled_folder, tmp_path, dirs_exist_ok=True)
        layers = tmp_path / "formulas" / "layers"
        copy = layers / "my_gelu.md"
        copy.write_text((layers / "gelu.md").read_text(encoding="utf-8") + "And I note:\n", encoding="utf-8")
        (layers / "mine.md").write_text("mine", encoding="utf-8")
        before = list_files(tmp_path)
        result = run("compile", "--graph", GRAPH, "--out", tmp_path)
        assert (result.code, result.err) == (0, "")
        assert result.out.splitlines()[-1] == f"{copy}: no longer generated; remove it, unless it is yours"
        assert "mine.md" not in result.out
        assert list_files(tmp_path) == before

    @pytest.mark.usefixtures("emitted")
    def test_a_graph_of_others_is_refused(self, run: Run, tmp_path: Path) -> None:
        saved = tmp_path / "graph.json"
        saved.write_text('{"nodes": "mine"}', encoding="utf-8")
        result = run("compile", "--graph", GRAPH, "--out", tmp_path / "out", "--save-graph", saved)
        assert_refused(result, "graph.json", "the module graph would replace a file that modelmeter did not write")
        assert list_files(tmp_path) == {"graph.json": b'{"nodes": "mine"}'}

    @pytest.mark.usefixtures("emitted")
    def test_without_a_folder_nothing_is_replaced(
        self, run: Run, tmp_path: Path, compiled_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a checkout codegen is another compilation: as here, with a file that differs."""
        shutil.copytree(compiled_folder, tmp_path / "codegen")
        monkeypatch.chdir(tmp_path)
        assert run("compile", "--graph", GRAPH).code == 0, "as it is already"
        stages = tmp_path / "codegen" / PACKAGE / "_stages.py"
        stages.write_text(stages.read_text(encoding="utf-8") + "# of another model\n", encoding="utf-8")
        before = list_files(tmp_path)
        result = run("compile", "--graph", GRAPH, "--save-graph", "graph.json")
        assert_refused(result, "codegen/deepseek_ocr_costs/_stages.py", "another compilation is there", "--out codegen")
        assert list_files(tmp_path) == before
        assert run("compile", "--graph", GRAPH, "--out", "codegen").code == 0
        assert "# of another model" not in stages.read_text(encoding="utf-8")
