"""The command line as a whole: what it imports, and how it ends."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import Run, run_apart


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


def test_the_version_is_that_of_the_project(run: Run) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert run("--version").out == f"modelmeter {project['version']}\n"


def test_the_help_is_whole_and_its_examples_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PERF_OPT_ROOT", str(tmp_path))  # where reports go
    _, *shown = run("--help").out.splitlines()
    assert "..." not in "".join(shown), "no summary of a command is cut"
    examples = [line.partition(" modelmeter ")[2] for line in shown if " modelmeter " in line]
    assert len(examples) == 3
    assert [run(*example.split()).code for example in examples] == [0, 0, 0]


@pytest.mark.parametrize("command", ["plan", "compare", "solve", "study", "report", "calibrate"])
def test_a_gpu_is_not_called_a_card_alone_in_the_help_of_options(run: Run, command: str) -> None:
    """A card is a record of a model, too, in the same commands' neighbours."""
    shown = " ".join(run(command, "--help").out.split())
    assert " GPU" in shown
    assert re.search(r"\bA card\b[:;,]", shown) is None


def test_compile_says_that_its_source_may_be_a_model_card(run: Run) -> None:
    shown = " ".join(re.sub(r"[^\w.,;:()-]+", " ", run("compile", "--help").out).split())
    assert "name of a model card, as qwen2.5-vl-3b (list them with modelmeter models --cards )" in shown


class TestEnd:
    """How a command ends that is wrong or cut short."""

    def test_a_closed_pipe_is_quiet(self) -> None:
        """As in ``modelmeter tree --json | head -c 1``."""
        for command in (["tree", "--json"], ["tree"], ["eval", "request", "--json"]):
            process = subprocess.Popen(
                [sys.executable, "-m", "llm_perf_opt.cli", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert process.stdout is not None
            process.stdout.close()
            assert process.stderr is not None
            assert process.stderr.read() == b""
            process.stderr.close()
            assert process.wait(timeout=60) in (0, 1)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file on a disk that is always full")
    @pytest.mark.parametrize("command", [("--help",), ("tree",), ("eval", "vision"), ("coverage", "absent")])
    def test_a_full_disk_is_one_line(self, command: tuple[str, ...]) -> None:
        with open("/dev/full", "w") as full:
            result = subprocess.run(
                [sys.executable, "-m", "llm_perf_opt.cli", *command],
                stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            )  # fmt: skip
        assert result.returncode == 2
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1

    def test_an_interrupt_ends_in_130(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("llm_perf_opt.commands.sources.read_graph", interrupt)
        result = run("tree")
        assert result.code == 130
        assert result.err.splitlines()[-1] == "interrupted"
        assert "Traceback" not in result.err

    def test_an_unknown_option(self, run: Run) -> None:
        result = run("show", "linear", "--metrics")
        assert result.code == 2
        assert "--metrics" in result.err
