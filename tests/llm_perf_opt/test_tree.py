"""``modelmeter tree``: a line for every module, or the graph itself."""

from __future__ import annotations

from command_line import GRAPH, Run

from llm_perf_opt.commands.sources import read_graph


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
