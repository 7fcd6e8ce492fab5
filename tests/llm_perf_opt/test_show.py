"""``modelmeter show``: the formulas of a page, in the terminal or as LaTeX."""

from __future__ import annotations

import pytest
from command_line import Run, assert_refused, run_apart

from modelmeter.cost import METRICS


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
