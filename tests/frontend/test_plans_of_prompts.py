"""Plans of a text model: prompts from a file or an option, their sums, and how a bad file is refused."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest
from compiled_llama import NAME, refuse, run

import modelmeter


def test_a_plan_is_of_prompts_and_has_no_image(folder: Path, tmp_path: Path) -> None:
    requests = tmp_path / "requests.csv"
    requests.write_text("seq_len,output_tokens,count\n37,3,2\n11,2,5\n", encoding="utf-8")
    document = json.loads(
        run("plan", "--pages", str(requests), "--card", "l4", "--model", str(folder), "--json")
    )  # fmt: skip
    costs = modelmeter.load(folder)
    whole = sum(
        count * costs.evaluate("request", seq_len=tokens, max_new_tokens=output).tensor_core_flops
        for tokens, output, count in ((37, 3, 2), (11, 2, 5))
    )
    assert document["pages"]["totals"]["tensor_core_flops"]["value"] == whole
    assert document["pages"]["num_pages"]["value"] == 2 + 5
    assert "image_tokens" not in document["pages"]["of_a_page"]
    requests.write_text("seq_len,max_new_tokens,count\n37,3,2\n11,2,5\n", encoding="utf-8")
    again = json.loads(run("plan", "--pages", str(requests), "--card", "l4", "--model", str(folder), "--json"))
    assert again["pages"]["totals"] == document["pages"]["totals"]
    assert "only the last position" in refuse("plan", "--logits", "all", "--model", str(folder))
    said = refuse("plan", "--page", "601x803", "--model", str(folder))
    assert said.endswith(
        "expected --prompt-tokens N --output-tokens N, or --pages FILE.csv with seq_len and output_tokens"
    )
    assert "does not look at pages" in refuse("eval", "request", "--page", "601x803", "--model", str(folder))


def test_a_plan_of_one_prompt_needs_no_file(folder: Path, tmp_path: Path) -> None:
    chosen = ("plan", "--card", "l4", "--model", str(folder), "--json")
    document = json.loads(run(*chosen, "--prompt-tokens", "37", "--tokens-out", "5"))
    pages = document["pages"]
    assert {each["value"] for each in pages["of_a_page"]["prompt_tokens"].values()} == {37}
    # The first of 5 tokens is from the prompt; before each of 4 steps 37, 38, 39 and 40 are cached.
    assert Fraction(pages["mean_context_of_a_step"]["value"]) == Fraction(37 + 38 + 39 + 40, 4)
    assert pages["num_pages"]["value"] == 1
    assert pages["totals"]["tensor_core_flops"]["value"] == (
        modelmeter.load(folder).evaluate("request", seq_len=37, max_new_tokens=5).tensor_core_flops
    )
    requests = tmp_path / "requests.csv"
    requests.write_text("seq_len,output_tokens\n37,5\n", encoding="utf-8")
    said = refuse(*chosen, "--pages", str(requests), "--prompt-tokens", "37")
    assert said == "--prompt-tokens: the prompts are given twice; found --pages too"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Three tokens that are written are two steps: the prompt gives the first one.
        (
            "seq_len,decode_steps\n37,2\n",
            "row 1: decode_steps are the steps after .*; output_tokens = decode_steps \\+ 1$",
        ),
        ("seq_len,max_new_tokens\n37,0\n", "row 2: the value of max_new_tokens is wrong"),
        ("seq_len,output_tokens\n37,3\n\n1,3\n1,4\n", "row 4: request: seq_len must be at least 2, not 1"),
    ],
)
def test_a_bad_file_of_prompts_is_refused_by_its_own_names(
    folder: Path, tmp_path: Path, text: str, message: str
) -> None:
    requests = tmp_path / "requests.csv"
    requests.write_text(text, encoding="utf-8")
    said = refuse("plan", "--pages", str(requests), "--card", "l4", "--model", str(folder))
    assert said.startswith(str(requests))
    assert re.search(message, said)


def test_a_plan_names_its_model(folder: Path) -> None:
    one = ("--prompt-tokens", "37", "--tokens-out", "5", "--max-num-seqs", "1")
    said = run("plan", "--card", "l4", "--model", str(folder), *one)
    assert said.startswith(f"{NAME}: 1 request. NVIDIA L4 24GB, 1 request in flight: ")
