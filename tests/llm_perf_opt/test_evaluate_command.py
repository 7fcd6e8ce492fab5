"""``modelmeter eval``: exact numbers, and nothing that is no workload."""

from __future__ import annotations

import inspect
import json
from fractions import Fraction
from math import ceil

import pytest
from command_line import Run, assert_refused

import deepseek_ocr_costs as costs
from llm_perf_opt.evaluators import FUSED_IO, PEAK, list_stages
from modelmeter.metrics.metric import METRICS
from modelmeter.metrics.metric import PEAK as DEFINED_PEAK


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
        assert PEAK not in result.out

    @pytest.mark.parametrize(
        ("class_name", "layer"), [("LlamaFlashAttention2", "llama_flash_attention2"), ("GELU", "gelu")]
    )
    def test_a_layer_by_its_class(self, run: Run, class_name: str, layer: str) -> None:
        by_class, by_name = (run("eval", name, "--json") for name in (class_name, layer))
        assert by_class == by_name
        assert json.loads(by_class.out)["name"] == layer

    @pytest.mark.parametrize(("written", "shown"), [("5.5", 5.5), ("11/2", 5.5), ("31/7", "31/7"), ("16.0", 16)])
    def test_a_width_may_be_a_fraction(self, run: Run, written: str, shown: object) -> None:
        """366,841,760 * 8 = 2,934,734,080 weights of the decoder, at so many bits each, rounded up to bytes."""
        found = json.loads(run("eval", "prefill", f"weight_bits={written}", "--json").out)
        assert found["arguments"]["weight_bits"] == shown
        assert found["cost"]["weight_bytes"] == ceil(2_934_734_080 * Fraction(written) / 8)
        assert f"weight_bits={shown}," in run("eval", "prefill", f"weight_bits={written}").out

    def test_defaults_that_others_follow_from_are_shown(self, run: Run) -> None:
        """Unless the others are given: then they do not count."""
        arguments = json.loads(run("eval", "request", "decode_steps=7", "--json").out)["arguments"]
        assert (arguments["prompt_tokens"], arguments["decode_steps"]) == (10, 7)
        assert {"seq_len", "max_new_tokens"}.isdisjoint(arguments)

    def test_a_narrow_terminal_splits_no_number(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "40")
        out = run("eval", "prefill").out
        for value in costs.prefill():
            assert f" {value:,} " in out
        assert max(map(len, out.splitlines())) <= 40

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

    @pytest.mark.parametrize("stage", list_stages())
    def test_a_stage_has_a_peak_beside_its_cost(self, run: Run, stage: str) -> None:
        """It is no part of the cost, and takes the same sizes; the table shows both, and the fused traffic."""
        sizes = {"batch_size": 3, "activation_bits": 8}
        found = json.loads(run("eval", stage, *(f"{name}={size}" for name, size in sizes.items()), "--json").out)
        assert found["cost"] == getattr(costs, stage)(**sizes)._asdict()
        beside = {metric: getattr(costs, f"{stage}_{metric}")(**sizes) for metric in (FUSED_IO, PEAK)}
        assert {metric: found[metric] for metric in beside} == beside
        rows = [line.split()[:2] for line in run("eval", stage, "batch_size=3", "activation_bits=8").out.splitlines()]
        after_io = METRICS.index("io_bytes") + 1
        assert [row[0] for row in rows[-8:]] == [*METRICS[:after_io], FUSED_IO, *METRICS[after_io:], PEAK]
        assert (rows[after_io - 8][1], rows[-1][1]) == (f"{beside[FUSED_IO]:,}", f"{beside[PEAK]:,}")

    def test_the_peak_has_one_name(self) -> None:
        """Here it is written out, since what knows it needs sympy."""
        assert DEFINED_PEAK == PEAK

    @pytest.mark.parametrize("stage", list_stages())
    def test_a_size_of_both_has_one_default(self, stage: str) -> None:
        """So that what is shown is what both were given."""
        cost, of_peak = (inspect.signature(getattr(costs, name)).parameters for name in (stage, f"{stage}_{PEAK}"))
        assert {name: cost[name].default for name in cost} == {name: of_peak[name].default for name in cost}

    def test_the_prompt_is_alive_beside_the_towers(self, run: Run) -> None:
        """Each position takes 1280 channels of 2 bytes and an id of 8 at the peak, and nothing of the cost."""
        short, long = (json.loads(run("eval", "vision", f"seq_len={n}", "--json").out) for n in (907, 1913))
        assert long["arguments"]["seq_len"] == 1913
        assert long["cost"] == short["cost"]
        assert long[PEAK] - short[PEAK] == (1913 - 907) * (1280 * 2 + 8)

    def test_a_training_step(self, run: Run) -> None:
        """A position with logits takes three products with the weights of the LM head, of 2 FLOPs for each."""
        few, many = (json.loads(run("eval", "training_step", f"logits_tokens={n}", "--json").out) for n in (3, 800))
        assert list(few) == ["name", "arguments", "cost"]
        assert list(few["cost"]) == list(METRICS)
        more = many["cost"]["tensor_core_flops"] - few["cost"]["tensor_core_flops"]
        assert more == 797 * 3 * 2 * 1280 * 129280
        assert PEAK not in run("eval", "training_step").out

    def test_what_a_server_runs(self, run: Run) -> None:
        """A step of sequences of different lengths, and a chunk of a prompt behind a cached prefix."""
        found = json.loads(run("eval", "step", "contexts=914,1_500,2048", "weight_bits=5.5", "--json").out)
        assert found["cost"] == costs.step(contexts=[914, 1500, 2048], weight_bits=Fraction(11, 2)).as_dict()
        assert found["arguments"]["contexts"] == [914, 1500, 2048]
        assert "step(contexts=914,1500,2048, weight_bits=16" in run("eval", "step", "contexts=914,1500,2048").out
        found = json.loads(run("eval", "chunk", "seq_len=256", "cached_tokens=77", "logits_tokens=0", "--json").out)
        assert found["cost"] == costs.chunk(seq_len=256, cached_tokens=77, logits_tokens=0).as_dict()

    @pytest.mark.parametrize("name", [*list_stages(), "training_step"])
    def test_sizes_of_the_architecture(self, run: Run, name: str) -> None:
        """The general evaluators take them; there is no peak for them, and none is shown."""
        size = {"clip_hidden_size": 1088} if name == "vision" else {"hidden_size": 1320}
        found = json.loads(run("eval", name, *(f"{key}={value}" for key, value in size.items()), "--json").out)
        assert found["cost"] == getattr(costs.general, name)(**size).as_dict()
        assert found["arguments"].items() >= size.items()
        assert PEAK not in found

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("step",), ("contexts", "no default", "contexts=914,1500,2048")),
            (("step", "contexts=3", "contexts=5"), ("contexts", "given twice")),
            (("step", "contexts=3,x"), ("contexts", "not an integer", "x")),
            (("step", "contexts=0,3"), ("step", "at least 1")),
            (("prefill", "contexts=3"), ("argument of prefill", "contexts")),
            (("prefill", "hiddensize=3"), ("argument of prefill", "did you mean hidden_size")),
            (("linear", "hidden_size=3"), ("argument of linear", "in_features")),
            (("prefil",), ("did you mean prefill",)),
            (("hidden",), ("known are vision, projector, prefill, decode, request, training_step", " more")),
            (("training",), ("did you mean training_step",)),
            (("training_step", "kv_bits=8"), ("argument of training_step", "weight_bits")),
            (("vision", "logits_tokens=8"), ("argument of vision", "seq_len")),
            (("vision", "seq_len=5"), ("seq_len", "903")),  # the peak refuses it; as below
            (("prefill", "seqlen=5"), ("argument of prefill", "did you mean seq_len")),
            (("prefill", "seq_len"), ("key=value", "seq_len")),
            (("prefill", "=5"), ("key=value",)),
            (("prefill", "seq_len="), ("seq_len", "not an integer")),
            (("prefill", "dtype=fp8"), ("argument of prefill", "did you mean weight_bits or activation_bits or kv_b")),
            (("vision", "dtype=fp8"), ("did you mean weight_bits or activation_bits; known are",)),
            (("prefill", "batch=fp8"), ("did you mean batch_size",)),
            (("prefill", "seq_len=1k"), ("seq_len: the value is not an integer", "digits: 1913 or 1_913", "1k")),
            (("prefill", "weight_bits=fp8"), ("weight_bits: the value is not a number", "16, 5.5 or 11/2", "fp8")),
            (("prefill", "weight_bits=1/0"), ("weight_bits: the value is not a number",)),
            (("prefill", "weight_bits=0.5"), ("weight_bits must be at least 1, not 1/2",)),
            (("prefill", "weight_bits=-5.5"), ("weight_bits: the value is not a number",)),
            (("linear", "num_tokens=5.5"), ("num_tokens: the value is not an integer",)),
            (("request", "decode_steps=5", "max_new_tokens=1000"), ("decode_steps must be max_new_tokens - 1", "999")),
            (("request", "seq_len=2000", "prompt_tokens=5"), ("image_tokens + prompt_tokens", "2000 is not 908")),
            (("vision", "seq_len=2000", "prompt_tokens=5"), ("2000 is not 908",)),
            (("Linear",), ("Linear is the class of several layers", "choose linear or lm_head")),
            (("LlamaFlashAttention",), ("did you mean LlamaFlashAttention2",)),
            (("prefill", "seq_len=5.0"), ("seq_len", "not an integer", "5.0")),
            (("prefill", "seq_len=1e3"), ("not an integer",)),
            (("prefill", "seq_len= 5"), ("not an integer",)),
            (("prefill", "seq_len=5__0"), ("not an integer",)),
            (("prefill", "seq_len=0x10"), ("not an integer",)),
            (("prefill", "seq_len=\u0665"), ("not an integer",)),
            (("prefill", "seq_len=True"), ("not an integer",)),
            (("prefill", "seq_len=" + "9" * 400), ("seq_len", "too long", "at most 100 digits")),
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
        assert len(result.err) < 500
