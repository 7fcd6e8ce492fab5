"""``modelmeter show``: the formulas of a page, in the terminal or as LaTeX."""

from __future__ import annotations

import re
from math import ceil

import pytest
from command_line import Run, assert_refused, run_apart
from read_back import read_peak
from rich.text import Text

import deepseek_ocr_costs as costs
from llm_perf_opt.commands.show import choose_metric, find_formulas, render, render_latex
from llm_perf_opt.evaluators import TRAINING_STEP, list_stages
from modelmeter.compiled_model import CompiledModel
from modelmeter.metrics.metric import FUSED_IO, METRICS, PEAK
from modelmeter.model import stages


class TestShow:
    """``modelmeter show``."""

    def test_a_layer_by_its_name(self, run: Run) -> None:
        """The LM head: 2 FLOPs for each of 1280 x 129280 weights and 913 tokens."""
        result = run("show", "lm_head", "--metric", "tensor_core_flops")
        assert (result.code, result.err) == (0, "")
        assert f"tensor_core_flops = {2 * 1280 * 129280 * 913:,} FLOP" in result.out
        assert "2 · num_tokens · in_features · out_features" in result.out
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

    @pytest.mark.parametrize("name", [*list_stages(), TRAINING_STEP, *costs.layers.CLASSES])
    def test_latex_lists_what_occurs_and_nothing_else(self, compiled: CompiledModel, name: str) -> None:
        """Every name in a comment is in a formula or in the definition of another name, whichever metric is shown."""
        (shown,) = find_formulas(compiled, name)
        metrics = [*METRICS, *([PEAK] if shown.peak else [])]
        for formulas in (shown, *(choose_metric(shown, metric) for metric in metrics)):
            comments, _, displays = render_latex(formulas).partition("\n\\[\n")
            listed = dict(re.findall(r"^% \$(.+?)(?: = (.*))?\$: ", comments, re.MULTILINE))
            text = "\n".join([displays, *listed.values()])
            for latex in listed:
                # A letter is a name of its own only outside of the words in other names.
                places = re.sub(r"\\math(rm|tt)\{[^}]*\}", "", text) if len(latex) == 1 else text
                assert latex in places, (name, latex)

    @pytest.mark.parametrize("name", [*list_stages(), TRAINING_STEP, *costs.layers.CLASSES])
    @pytest.mark.parametrize("unicode", [True, False])
    def test_what_is_explained_occurs(self, compiled: CompiledModel, name: str, unicode: bool) -> None:
        """Sizes by their name, and brackets by their sign."""
        (shown,) = find_formulas(compiled, name)
        for formulas in (shown, choose_metric(shown, "cuda_core_flops")):
            rows = list(render(formulas, width=10_000, unicode=unicode))
            text = "\n".join(row.plain for row in rows if isinstance(row, Text))
            above, _, below = text.partition("[a ")
            words = set(re.findall(r"\w+", above, re.ASCII))
            assert {size.name for size in formulas.section.sizes} <= words
            for sign in ("≠" if unicode else "!=", "=", ">"):
                explained = f"a {sign} b]" in f"a {below}"
                assert explained == bool(re.search(rf"\[[^\]]* {sign} [^\]]*\]", above)), (name, sign)

    @pytest.mark.parametrize("name", list_stages())
    def test_the_peak_of_a_stage_is_the_last_of_all_metrics(self, run: Run, name: str) -> None:
        values = [line.split(" = ") for line in run("show", name).out.splitlines() if line.startswith((*METRICS, PEAK))]
        assert [metric for metric, _ in values] == [*METRICS, PEAK]
        assert values[-1][1].startswith(f"{getattr(costs, f'{name}_{PEAK}')():,} B (")

    def test_only_the_peak(self, run: Run) -> None:
        """The logits of 913 positions, in 2 bytes and in 4, beside 1,280 hidden channels and the token ids."""
        out = run("show", "prefill", "--metric", PEAK).out
        assert f"\n{PEAK} = {913 * (129280 * (2 + 4) + 1280 * 2 + 8):,} B (711 MB), in DeepseekOCRForCausalLM\n" in out
        assert "io_bytes" not in out
        in_table = [
            line.split()[0] for line in out.splitlines() if line.endswith((" 1", " 913", " 16")) and line[0] != " "
        ]
        assert in_table == ["batch_size", "seq_len", "logits_tokens", "weight_bits", "activation_bits"]

    def test_the_peak_of_a_request_is_that_of_a_stage(self, run: Run) -> None:
        out = run("show", "request", "--metric", PEAK).out
        assert f"{PEAK} = {costs.prefill_peak_activation_bytes():,} B (711 MB), in prefill\n  the largest" in out
        latex = run("show", "request", "--metric", PEAK, "--latex").out
        assert latex.endswith(f"\n% {PEAK}: the largest peak of the stages, by default that of prefill\n")

    @pytest.mark.parametrize(
        "sizes",
        [
            {"base_size": 1024, "image_size": 640, "num_width_tiles": 2, "num_height_tiles": 3},
            {"base_size": 1024, "image_size": 640, "num_width_tiles": 1, "num_height_tiles": 1},
            {"base_size": 48, "image_size": 80, "num_width_tiles": 5, "num_height_tiles": 3},
            {"base_size": 2096, "image_size": 48, "num_width_tiles": 1, "num_height_tiles": 3},
        ],
        ids=lambda sizes: "-".join(map(str, sizes.values())),
    )
    @pytest.mark.parametrize("width", [40, 10_000])
    def test_a_peak_reads_back_to_its_value(self, compiled: CompiledModel, sizes: dict[str, int], width: int) -> None:
        """The peak of vision is in another operator for each of these; what is printed has the value of each."""
        own = {
            "vision": {**sizes, "seq_len": 1913},
            "projector": {**sizes, "seq_len": 1913},
            "prefill": {"seq_len": sizes["base_size"], "logits_tokens": 7},
            "decode": {"decode_steps": sizes["num_height_tiles"] - 1},
        }
        for stage, arguments in own.items():
            arguments |= {"batch_size": 3, "activation_bits": 11}
            peak = choose_metric(*find_formulas(compiled, stage), PEAK)
            _, _, formula, *_ = render(peak, width=width, unicode=False)
            assert isinstance(formula, Text)
            expected = getattr(costs, f"{stage}_{PEAK}")(**arguments)
            others = {"vision_batch_size": 1, "images_per_prompt": 1, "weight_bits": 16, "kv_bits": 16}
            assert ceil(read_peak(formula.plain, {**others, **arguments})) == expected, stage

    def test_latex_of_a_peak(self, run: Run) -> None:
        """What is held beside the views, then their function."""
        out = run("show", "vision", "--metric", PEAK, "--latex").out
        displays = out.split("\n\\[\n")[1:]
        assert [display.rstrip().endswith(r"\]") for display in displays] == [True, True, True]
        cast = r"\left[ b_{\mathrm{a}} \ne 32 \right]"
        assert rf"\mathtt{{peak\_activation\_bytes}} = \tfrac{{1}}{{8}} \, {cast} \, \max\bigl(" in displays[0]
        assert r"F^{\mathrm{vision}}_{\mathrm{peak}}(n, s) = \max\bigl(" in displays[1]

    def test_a_training_step(self, run: Run) -> None:
        """Each parameter once, used or not; a step has no peak."""
        assert stages.TRAINING_STEP == TRAINING_STEP
        out = run("show", TRAINING_STEP).out
        values = [line for line in out.splitlines() if line.startswith((*METRICS, PEAK))]
        assert [value.split(" = ")[0] for value in values] == list(METRICS)
        assert f"weight_bytes = {costs.training_step().weight_bytes:,} B" in out
        latex = run("show", TRAINING_STEP, "--metric", "weight_bytes", "--latex").out
        assert latex.count("\n\\[\n") == 1
        assert r"\mathtt{weight\_bytes} = \tfrac{1}{8} \cdot 3\,336\,106\,240 \, b_{\mathrm{w}}" in latex

    @pytest.mark.parametrize("name", ["linear", "training_step"])
    def test_what_has_no_peak(self, run: Run, name: str) -> None:
        assert_refused(run("show", name, "--metric", PEAK), f"metric of {name}", "did you mean activation_bytes")

    def test_an_unknown_metric_of_a_stage(self, run: Run) -> None:
        shown = [*METRICS[:3], FUSED_IO, *METRICS[3:], PEAK]  # what it has formulas of, in their order
        assert_refused(run("show", "decode", "--metric", "peak"), "metric of decode", f"known are {', '.join(shown)}\n")
        assert run("show", "decode", "--metric", FUSED_IO).code == 0

    @pytest.mark.parametrize("name", ["vision", "projector", "request", TRAINING_STEP, "deepseek_v2_decoder_layer"])
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
        assert_refused(result, "deepseek_v2_mo;", "did you mean deepseek_v2_moe or ")

    def test_an_unknown_metric(self, run: Run) -> None:
        shown = [*METRICS[:3], FUSED_IO, *METRICS[3:]]
        assert_refused(run("show", "linear", "--metric", "io_byte"), "did you mean io_bytes", ", ".join(shown))
        said = run("show", TRAINING_STEP, "--metric", "io_byte").err
        assert "fused" not in said, "it has no such formula"
