"""The published JavaScript gives the numbers of the published Python package, and refuses what that refuses."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from javascript_process import JavaScriptPackage, Refusal, find_node
from package_calls import answer, draw_sizes, list_functions

import deepseek_ocr_costs as costs

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "codegen" / "javascript" / "deepseek_ocr_costs"
FUNCTIONS = dict(list_functions(costs))
CALLS = 200


@pytest.fixture(scope="module")
def javascript() -> Iterator[JavaScriptPackage]:
    package = JavaScriptPackage(FOLDER)
    yield package
    package.close()


def test_all_kinds_of_functions_are_compared() -> None:
    assert {
        *("request", "stages", "prefill_io_bytes", "request_peak_activation_bytes", "decode_fused_io_bytes", "chunk"),
        *("training_step", "training_step_io_bytes", "image_tokens", "layers.deepseek_v2_moe", "general.prefill"),
        *("layers.deepseek_v2_moe_fused_io_bytes", "general.request_fused_io_bytes", "general.training_step"),
    } <= FUNCTIONS.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numbers_and_refusals_are_those_of_python(javascript: JavaScriptPackage, name: str) -> None:
    draw = random.Random(name)
    workloads: list[dict[str, Any]] = [{}, *(draw_sizes(FUNCTIONS[name], draw) for _ in range(CALLS))]
    expected = [answer(costs, FUNCTIONS[name], sizes) for sizes in workloads]
    found = javascript.call_all((name, sizes) for sizes in workloads)
    for sizes, ours, theirs in zip(workloads, found, expected, strict=True):
        assert ours == theirs, sizes
    assert sum(not isinstance(value, Refusal) for value in found) > CALLS / 5, "most would compare nothing but refusals"


def test_the_lines_of_functions_can_be_read() -> None:
    data = {"facts.mjs", "runtime.mjs"}
    long = [
        (path.name, line)
        for path in sorted(FOLDER.glob("*.mjs"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if len(line) > 120 and path.name not in data
    ]
    assert not long


def test_the_whole_prints_in_less_than_100_kilobytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.mjs")) < 100_000


def test_the_default_page_costs_what_the_python_package_says(javascript: JavaScriptPackage) -> None:
    """A page in gundam mode has 903 image tokens, worked out by hand in the documentation of the dimensions."""
    assert javascript.call("image_tokens") == 903
    assert javascript.call("prefill", seq_len=913) == costs.prefill(seq_len=913)._asdict()


def test_numbers_that_are_exact_are_taken(javascript: JavaScriptPackage) -> None:
    assert javascript.call("prefill_io_bytes", batch_size=3.0) == costs.prefill_io_bytes(batch_size=3)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"batch_size": 1.5}, "batch_size must be an integer, not number 1.5"),
        ({"batch_size": 2.0**53}, "batch_size must be a BigInt beyond 2**53, where numbers are not exact"),
        ({"batch_size": "3"}, "batch_size must be an integer, not string '3'"),
        ({"batch_size": None}, "batch_size must be an integer, not null"),
        ({"batch_size": True}, "batch_size must be an integer, not boolean true"),
        ({"batch_size": Fraction(5, 2)}, "batch_size must be an integer, not Fraction 5/2"),
        ({"weight_bits": 5.5}, "weight_bits must be an integer or a Fraction, not number 5.5"),
        ({"sequence": 3}, "prefill() got an unexpected keyword argument 'sequence'"),
    ],
)
def test_what_is_no_size_is_refused_by_name(javascript: JavaScriptPackage, sizes: dict[str, Any], message: str) -> None:
    found = javascript.call("prefill", **sizes)
    assert isinstance(found, Refusal)
    assert found.error == "TypeError"
    assert found.message.startswith(message)


@pytest.mark.parametrize(
    "size",
    [-(10**78), -(10**79), -(2**1024 - 1), -(2**1024), 1 - 10**80, "x" * 78, "x" * 79],
    ids=lambda size: str(size)[:9],
)
def test_what_is_long_is_shortened_as_in_python(javascript: JavaScriptPackage, size: int | str) -> None:
    sizes = {"expert_routing" if isinstance(size, str) else "batch_size": size}
    found = javascript.call("prefill", **sizes)
    assert isinstance(found, Refusal)
    assert found == answer(costs, costs.prefill, sizes)


def test_what_follows_from_others_may_be_null(javascript: JavaScriptPackage) -> None:
    assert javascript.call("request", seq_len=None, max_new_tokens=None) == javascript.call("request")


@pytest.mark.parametrize(
    "sizes",
    [
        {"contexts": [5, 2000, 10**20]},
        {"contexts": [1], "weight_bits": Fraction(11, 2), "expert_routing": "even"},
        {"contexts": []},
        {"contexts": [3, 0]},
    ],
)
def test_a_step_of_a_server_takes_lengths(javascript: JavaScriptPackage, sizes: dict[str, Any]) -> None:
    assert javascript.call("step", **sizes) == answer(costs, costs.step, sizes)


def test_a_step_counts_its_sequences_itself(javascript: JavaScriptPackage) -> None:
    found = javascript.call("step", contexts=[1], batch_size=1)
    assert found == Refusal("TypeError", "step() got an unexpected keyword argument 'batch_size'")


def test_the_code_in_the_readme_runs(tmp_path: Path) -> None:
    """Each line is a call that returns something: a cost, or a number of it."""
    (block,) = re.findall(r"```js\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    script = re.sub(r"^(costs\..*?); ?(//.*)?$", r"console.log(typeof \1);", block, flags=re.MULTILINE)
    script = script.replace('"./codegen', f'"{ROOT.as_uri()}/codegen')
    (tmp_path / "readme.mjs").write_text(script, encoding="utf-8")
    node = find_node()
    done = subprocess.run([node, str(tmp_path / "readme.mjs")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["object", "bigint", "object", "object"]
