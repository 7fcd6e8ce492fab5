"""``modelmeter eval``: exact numbers, and nothing that is no workload."""

from __future__ import annotations

import json

import pytest
from command_line import Run, assert_refused

from modelmeter.cost import METRICS


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
