"""Comparing models: numbers counted by hand, and frontiers held against the evaluators on both of their sides."""

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
from typer.testing import CliRunner

import deepseek_ocr_costs
from llm_perf_opt.cli import app
from llm_perf_opt.comparison.frontier import find_frontiers
from llm_perf_opt.evaluators import load_costs
from llm_perf_opt.runners import write_compared_page
from llm_perf_opt.visualize import comparison_page
from modelmeter.model.registry import forget_model
from modelmeter.support.checked_imports import CheckedFinder
from modelmeter.support.errors import ModelMeterError, WorkloadError

BASE, SMALL = "deepseek-ocr@base", "deepseek-ocr@small"

TINY = "tiny-sight"
"""A card of a few layers, which the test adds; its sizes are counted by hand below."""

CONFIG: dict[str, Any] = {
    "text_config": {
        "hidden_size": 48, "intermediate_size": 59, "num_hidden_layers": 3, "num_attention_heads": 3,
        "num_key_value_heads": 1, "vocab_size": 211, "max_window_layers": 70, "use_sliding_window": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
    },
    "vision_config": {
        "depth": 4, "hidden_size": 40, "intermediate_size": 53, "num_heads": 2, "out_hidden_size": 48,
        "patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1, 3], "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}  # fmt: skip


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["compare", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def show_costs(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["eval", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refuse(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["compare", *arguments])
    assert isinstance(result.exception, ModelMeterError), result.output
    return str(result.exception)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A compiled folder of a small model that sees."""
    pytest.importorskip("transformers")
    from llm_perf_opt.commands.compile_traced import list_files
    from modelmeter.frontend.cards.shipped import CARDS
    from modelmeter.frontend.compile import compile_config
    from modelmeter.support.generated_files import write_files

    patch = pytest.MonkeyPatch()
    card = evolve(CARDS["qwen2.5-vl-3b"], title="Tiny-Sight", config=CONFIG)
    patch.setattr("modelmeter.frontend.cards.shipped.CARDS", {**CARDS, TINY: card})
    folder = tmp_path_factory.mktemp("tiny")
    write_files(list_files(compile_config(TINY, points=0), ("python",)), folder)
    patch.undo()
    forget_package()
    yield folder
    forget_package()


def test_each_prompt_of_a_batch_has_a_page_of_its_own(tiny: Path) -> None:
    """853 / 28 = 30.46 and 1201 / 28 = 42.9: 43 x 30 cells, of which each is a token of the prompt of its page."""

    def evaluate(stage: str, *sizes: str) -> dict[str, int]:
        shown = show_costs(stage, *sizes, "--page", "853x1201", "--model", str(tiny), "--json")
        cost: dict[str, int] = json.loads(shown)["cost"]
        return cost

    for stage, sizes in (("vision", ()), ("request", ("max_new_tokens=3",))):
        one, seven = (evaluate(stage, f"batch_size={pages}", *sizes) for pages in (1, 7))
        # Every image attends to itself, and every prompt too.
        assert seven["tensor_core_flops"] == 7 * one["tensor_core_flops"]
        assert seven["weight_bytes"] == one["weight_bytes"]
        assert one["io_bytes"] < seven["io_bytes"] < 7 * one["io_bytes"], "weights are read once for all"
    # 3 layers, one head of 16 channels, keys and values at 16 bits, of the cells, 10 tokens of text and 2 steps.
    assert seven["kv_cache_bytes"] == 7 * (43 * 30 + 10 + 2) * 3 * 2 * 16 * 2
    several = evaluate("request", "batch_size=7", "num_images=2", "max_new_tokens=3")
    assert several["kv_cache_bytes"] == 7 * (2 * 43 * 30 + 10 + 2) * 3 * 2 * 16 * 2


def test_work_of_a_page_is_what_the_evaluators_say() -> None:
    """Base has 16 x 17 + 1 image tokens, small 10 x 11 + 1; the first token is from the prompt."""
    found = json.loads(
        run(BASE, SMALL, "--page", "601x803", "--output-tokens", "7", "--prompt-tokens", "11", "--json")
    )  # fmt: skip
    for row, side, tokens in zip(found["pages"], (1024, 640), (273, 111), strict=True):
        work = {name: each["value"] for name, each in row["work"].items()}
        assert (work["image_tokens"], work["prompt_tokens"]) == (tokens, tokens + 11)
        cost = deepseek_ocr_costs.request(
            base_size=side, num_width_tiles=1, num_height_tiles=1, prompt_tokens=11, max_new_tokens=7, logits_tokens=1
        )
        for metric in ("tensor_core_flops", "cuda_core_flops", "io_bytes", "weight_bytes", "kv_cache_bytes"):
            assert work[metric] == getattr(cost, metric), metric
        # 12 layers keep keys and values of 1280 channels at 16 bits, of the prompt and of 6 steps.
        assert work["kv_cache_bytes"] == (tokens + 11 + 6) * 12 * 2 * 1280 * 2
        assert row["seconds_alone"]["provenance"] == "bound"
        assert row["usd_per_million_pages"]["value"] > 0


def test_it_says_that_only_the_last_position_gets_logits() -> None:
    """Which is why the peaks are below those of evaluators at their defaults."""
    printed = " ".join(run(BASE, SMALL, "--page", "1191x1684").split())
    assert "Only the last position of a prompt gets logits, as in serving engines (`logits_tokens=1`)" in printed
    page = (Path(__file__).parents[2] / "codegen/formulas/compared.md").read_text(encoding="utf-8")
    assert comparison_page.LOGITS in page


def test_the_smaller_view_is_always_cheaper() -> None:
    """More image tokens cost more of everything, whatever is written: stated from the side that is cheaper."""
    printed = run(BASE, SMALL, "--page", "601x803", "--output-tokens", "7")
    for verb in (
        "takes fewer FLOPs of matrix products", "moves fewer bytes", "moves fewer bytes with its operators fused",
        "caches fewer bytes",
    ):  # fmt: skip
        assert printed.count(f"601x803: {SMALL} always {verb} than {BASE}.") == 1
    assert "Frontiers are of one page alone, whose every step reads the weights again" in " ".join(printed.split())
    assert f"{BASE} never" not in printed, "one side of each pair says all"


def test_frontiers_of_many_models_are_tables() -> None:
    """Of more image tokens, a mode costs more of everything: by rows, what a larger one does less of is nothing."""
    modes = [f"deepseek-ocr@{mode}" for mode in ("tiny", "small", "base", "large")]
    printed = run(*modes, "--page", "601x803", "--output-tokens", "7")
    (table,) = re.findall(r"a row moves fewer bytes than a column(.*?)\n\n", printed, re.DOTALL)
    rows = [line.split() for line in table.splitlines() if line.startswith("deepseek")]
    assert [row[1:] for row in rows] == [["always"] * 3, ["never", "always", "always"], ["never", "never", "always"],
                                         ["never"] * 3]  # fmt: skip


def test_estimates_say_that_they_are_and_what_they_are_made_of() -> None:
    chosen = (BASE, SMALL, "--page", "601x803", "--output-tokens", "7", "--card", "l4", "--engine", "graphs")
    printed = " ".join(run(*chosen).split())
    assert "estimated" in printed
    assert "how wrong estimates of other models are, nobody has measured" in printed
    row = json.loads(run(*chosen, "--json"))["pages"][0]["seconds_alone"]
    assert row["value"] > row["bound"] > 0
    assert row["provenance"] == "calibrated"
    assert row["relative_error"]


def test_frontiers_are_where_the_evaluators_cross(tiny: Path) -> None:
    """A model of few layers is cheaper for short outputs only, as its cache has more tokens of the page."""
    found = json.loads(run("deepseek-ocr@tiny", str(tiny), "--page", "853x1201", "--output-tokens", "3", "--json"))
    costs = load_costs(TINY)
    page = {"grid_height": round(1201 / 28), "grid_width": round(853 / 28), "prompt_tokens": 10}
    cells = page["grid_height"] * page["grid_width"]
    assert found["pages"][1]["work"]["image_tokens"]["value"] == cells == 43 * 30
    # 3 layers, one head of 16 channels, keys and values at 16 bits.
    assert found["pages"][1]["work"]["kv_cache_bytes"]["value"] == (cells + 10 + 2) * 3 * 2 * 16 * 2

    def evaluate(name: str, metric: str, output: int) -> int:
        if name == TINY:
            package, sizes = costs, {**page, "max_new_tokens": output}
        else:
            package = deepseek_ocr_costs
            sizes = {
                "base_size": 512, "num_width_tiles": 1, "num_height_tiles": 1, "prompt_tokens": 10,
                "max_new_tokens": output, "logits_tokens": 1,
            }  # fmt: skip
        value: int = getattr(package, f"request_{metric}")(**sizes)
        return value

    for frontier in found["frontiers"]:
        borders = {1, 2, 3, 17, 1009, 99991}
        for first, last in frontier["output_tokens"]:
            borders |= {max(1, first - 1), first, *({last, last + 1} if last is not None else ())}
        for output in sorted(borders):
            one, other = (evaluate(frontier[each], frontier["metric"], output) for each in ("cheaper", "other"))
            says = any(
                first <= output and (last is None or output <= last) for first, last in frontier["output_tokens"]
            )
            assert (one < other) is says, (frontier["sentence"], output)
        assert frontier["statement"]["known"] == "proved"
        assert frontier["statement"]["certificates"]
    assert {each["metric"] for each in found["frontiers"]} == {
        "tensor_core_flops", "io_bytes", "fused_io_bytes", "kv_cache_bytes",
    }  # fmt: skip


def test_a_folder_of_a_comparison_has_a_page_and_the_numbers(tmp_path: Path) -> None:
    out = tmp_path / "compared"
    assert f"wrote: {out}" in run(BASE, SMALL, "--output-tokens", "7", "--out", str(out))
    page = (out / "README.md").read_text(encoding="utf-8")
    assert "on pages of 1240x1754, 1654x2339, 2480x3508 pixels with 7 text tokens written for each" in page
    assert len(json.loads((out / "comparison.json").read_text(encoding="utf-8"))["pages"]) == 2 * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((BASE,), "deepseek-ocr@base: there is no other model to compare it with; expected from 2 to 16 models"),
        ((BASE, BASE), "MODEL: the same is named twice; found deepseek-ocr@base"),
        ((BASE, SMALL, "--page", "3x5", "--page", "3x5"), "--page: the same is named twice; found 3x5"),
        ((BASE, "qwen2.5-vl-4b"), "there is no model that sees pages of this name; found qwen2.5-vl-4b"),
        (
            (BASE, "minicpm"),
            "did you mean minicpm-ocr; known are deepseek-ocr, deepseek-ocr-2, gemma-3-4b, hunyuanocr, p",
        ),
        ((BASE, "llama-3.1-8b"), "llama-3.1-8b: this model does not look at pages, and only pages are compared"),
        ((BASE, "deepseek-ocr@huge"), "no mode of this name; found huge"),
        ((BASE, SMALL, "--page", "0x5"), "--page: the size of a page cannot be read"),
        ((BASE, "./nowhere"), "the folder holds no compiled model"),
        ((BASE, SMALL, "--card", "h1000"), "h1000"),
        ((BASE, SMALL, "--engine", "steam"), "steam"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    found = refuse(*arguments)
    assert message in found
    assert "\n" not in found


def test_the_shipped_page_is_written_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that no page fits is left out with its reason."""
    monkeypatch.setattr(write_compared_page, "OUTPUT_TOKENS", 3)
    out = ("--out", str(tmp_path), "deepseek-ocr@tiny", "deepseek-ocr@small", "deepseek-ocr@huge")
    assert write_compared_page.main(out) == 0
    assert write_compared_page.main(("--check", *out)) == 0
    files = {name: (tmp_path / name).read_text(encoding="utf-8") for name in ("compared.md", "compared.json")}
    assert files["compared.md"].startswith("<!-- Written by `python -m llm_perf_opt.runners.")
    assert "deepseek-ocr@huge is left out: there is no mode of this name" in files["compared.md"]
    assert {row["model"] for row in json.loads(files["compared.json"])["pages"]} == {
        "deepseek-ocr@tiny", "deepseek-ocr@small"
    }  # fmt: skip
    monkeypatch.setattr(write_compared_page, "render", lambda *_: files)  # which is what the check has found
    (tmp_path / "compared.md").write_text(files["compared.md"].replace("never", "always", 1), encoding="utf-8")
    assert write_compared_page.main(("--check", *out)) == 1
    assert "is stale; run python -m llm_perf_opt.runners.write_compared_page" in capsys.readouterr().err


def test_frontiers_are_of_sizes_that_the_evaluators_take() -> None:
    sizes = {"base_size": 1024, "num_width_tiles": 2, "num_height_tiles": 3, "seq_len": 912, "logits_tokens": 1}
    with pytest.raises(WorkloadError, match="deepseek-ocr: image_size must be at least 1, not 0"):
        list(
            find_frontiers(
                (601, 803), [("a", "deepseek-ocr", {**sizes, "image_size": 0}), ("b", "deepseek-ocr", sizes)]
            )
        )


def test_what_is_wrong_is_said_before_a_card_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("llm_perf_opt.commands.compare._compile", fail)
    for option, value in (("--card", "h1000"), ("--engine", "steam"), ("--page", "0x5")):
        assert value in refuse("deepseek-ocr", "qwen2.5-vl-3b", option, value)


def test_a_card_is_compiled_and_used_until_everything_is_printed(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that it was compiled into is gone in the end, and nothing is left of it."""
    from modelmeter.frontend.cards.shipped import CARDS

    made: list[Path] = []

    def compile_card(name: str, scratch: str, begin: object) -> Path:
        made.append(Path(shutil.copytree(tiny, Path(scratch) / name)))
        return made[0]

    forget_package()
    monkeypatch.setattr("modelmeter.frontend.cards.shipped.CARDS", {**CARDS, TINY: CARDS["smolvlm2-2.2b"]})
    monkeypatch.setattr("llm_perf_opt.commands.compare._compile", compile_card)
    found = json.loads(run("deepseek-ocr@tiny", TINY, "--page", "853x1201", "--output-tokens", "3", "--json"))
    assert found["pages"][1]["work"]["image_tokens"]["value"] == 43 * 30
    assert made
    assert not made[0].exists()
    forget_package()


def forget_package() -> None:
    forget_model(TINY)
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, CheckedFinder)]
    for name in [name for name in sys.modules if name.split(".")[0] == "tiny_sight_costs"]:
        del sys.modules[name]
    load_costs.cache_clear()
