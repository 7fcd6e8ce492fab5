"""The formulas as data: a stranger's readers, which know the page and the schema only, get the evaluators' integers."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import math
import operator
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import deepseek_ocr_costs as costs
from modelmeter.dimensions.functions import INTEGER_FUNCTIONS
from modelmeter.publishing.data.formula_data import FUNCTIONS

DATA = Path(__file__).parents[2] / "codegen/data"
FEW_EXPERTS = {"n_routed_experts": 300, "num_experts_per_tok": 40}
"""Sizes that stay small, since the powers behind expected reads would take minutes."""

POINTS = 2000


@pytest.fixture(scope="module")
def blocks() -> list[tuple[str, str]]:
    """The languages and the texts of the blocks of code on the page."""
    return re.findall(r"```(\w+)\n(.*?)```", (DATA / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def reader(blocks: list[tuple[str, str]]) -> dict[str, Any]:
    """What the Python on the page defines."""
    names: dict[str, Any] = {}
    for language, text in blocks:
        if language == "python":
            exec(text, names)
    return names


def find_evaluator(document: Mapping[str, Any], formula: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what the package computes a formula with, one metric of it."""
    metric, name = formula["metric"], document["subjects"][formula["subject"]]["evaluator"]
    if metric == "peak_activation_bytes":
        found: Callable[..., Any] = getattr(costs, f"{formula['subject']}_{metric}")
        return found
    called = operator.attrgetter(f"{name}_fused_io_bytes" if metric == "fused_io_bytes" else name)(costs)
    if metric == "fused_io_bytes":
        return called  # type: ignore[no-any-return]
    return lambda **sizes: getattr(called(**sizes), metric)


def list_parameters(document: Mapping[str, Any], formula: Mapping[str, Any]) -> set[str]:
    name = formula["metric"]
    if name == "peak_activation_bytes":
        return {*inspect.signature(find_evaluator(document, formula)).parameters}
    evaluator = document["subjects"][formula["subject"]]["evaluator"]
    return {*inspect.signature(operator.attrgetter(evaluator)(costs)).parameters}


def draw_sizes(document: Mapping[str, Any], formula: Mapping[str, Any], draw: random.Random) -> dict[str, int]:
    """Return some sizes, many of them beyond 53 bits; not all of them are in the domain."""
    symbols = document["subjects"][formula["subject"]]["symbols"]
    known = sorted(symbols.keys() & list_parameters(document, formula))
    sizes = {}
    for name in draw.sample(known, k=min(len(known), draw.choice((1, 2, 2, 3, 5)))):
        default, least = int(symbols[name]["default"]), int(symbols[name]["minimum"])
        usual = draw.choice(
            (default * draw.randint(1, 9), default + draw.randint(1, 2000), least + draw.randint(0, 40))
        )
        sizes[name] = min(max(least, draw.choice((usual, usual, usual, int(10 ** (25 * draw.random()))))), 10**25)
        sizes[name] = min(sizes[name], FEW_EXPERTS.get(name, sizes[name]))
    return sizes


def draw_points(document: Mapping[str, Any], seed: int) -> list[tuple[dict[str, Any], dict[str, int], int]]:
    """Return formulas with sizes in their domain, and what the evaluator of each says there."""
    draw = random.Random(seed)
    points: list[tuple[dict[str, Any], dict[str, int], int]] = []
    while len(points) < POINTS:
        formula = draw.choice(document["formulas"])
        sizes = draw_sizes(document, formula, draw)
        try:
            points.append((formula, sizes, find_evaluator(document, formula)(**sizes)))
        except costs.CostError:
            continue
    return points


@pytest.fixture(scope="module")
def points(document: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, int], int]]:
    return draw_points(document, 1)


def count_wrong(reader: Mapping[str, Any], document: Mapping[str, Any], points: list[Any]) -> int:
    by_id = {formula["id"]: formula for formula in document["formulas"]}
    alone: dict[str, Any] = {}
    wrong = 0
    for formula, sizes, expected in points:
        name = formula["id"]
        alone[name] = {"formulas": [by_id[name]], "subjects": document["subjects"]}
        wrong += reader["evaluate"](alone[name], name.partition("@")[0], **sizes) != expected
    return wrong


def test_a_strangers_program_gets_what_the_evaluators_say(
    document: dict[str, Any], reader: dict[str, Any], points: list[Any]
) -> None:
    assert len({formula["id"] for formula, _, _ in points}) > 200
    assert sum(expected > 2**53 for *_, expected in points) > 300
    assert count_wrong(reader, document, points) == 0


def test_an_altered_coefficient_is_found(document: dict[str, Any], reader: dict[str, Any], points: list[Any]) -> None:
    """Alter the last step of one program: the comparison fails."""
    altered = copy.deepcopy(document)
    (formula,) = (each for each in altered["formulas"] if each["id"] == points[0][0]["id"])
    formula["program"]["numerator"] = ["+", formula["program"]["numerator"], formula["program"]["denominator"]]
    assert count_wrong(reader, altered, points) > 0


def test_the_example_on_the_page_is_right(document: dict[str, Any], reader: dict[str, Any]) -> None:
    (name, value) = re.findall(r'`evaluate\(.*?"([^"]+)"\)` is ([\d,]+)\.', (DATA / "README.md").read_text())[0]
    assert reader["evaluate"](document, name) == int(value.replace(",", "")) == costs.prefill().io_bytes


def test_the_reader_is_short(blocks: list[tuple[str, str]]) -> None:
    for _, text in [block for block in blocks if "evaluate(" in block[1]]:
        assert len([line for line in text.splitlines() if line.strip()]) <= 30


def test_every_digest_is_recomputed(document: dict[str, Any], reader: dict[str, Any]) -> None:
    for formula in document["formulas"]:
        assert reader["recompute_digest"](formula) == formula["digest"]
        assert formula["id"].endswith(f"@{formula['digest'][:8]}")


def test_polynomials_say_the_same_in_javascript(
    document: dict[str, Any], reader: dict[str, Any], blocks: list[tuple[str, str]], points: list[Any], tmp_path: Path
) -> None:
    """By the other reader of the page, which takes all sizes; those that follow from others are worked out here."""
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    (script,) = (text for language, text in blocks if language == "javascript")
    cases = []
    for formula, sizes, _ in points:
        every = complete(reader, document["subjects"][formula["subject"]], sizes)
        cases.append([formula["id"], {name: str(every[name]) for name in formula["symbols"]}])
    (tmp_path / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    (tmp_path / "reader.mjs").write_text(
        'import { readFileSync } from "node:fs";\n'
        + script
        + """
const read = (path) => JSON.parse(readFileSync(path, "utf8"));
const known = Object.fromEntries(read(process.argv[2]).formulas.map((formula) => [formula.id, formula]));
const answers = read(process.argv[3]).map(([id, sizes]) =>
  String(evaluate(known[id], Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, BigInt(size)])))));
console.log(JSON.stringify(answers));
""",
        encoding="utf-8",
    )
    command = [node, tmp_path / "reader.mjs", DATA / "formulas.json", tmp_path / "cases.json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
    assert list(map(int, found)) == [expected for *_, expected in points]


_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow,
    ast.Div: lambda a, b: Fraction(a) / b,
}  # fmt: skip
_CALLS = {function.__name__: function.compute for function in INTEGER_FUNCTIONS}


def compute_infix(node: ast.AST, sizes: Mapping[str, int]) -> Any:
    match node:
        case ast.Expression(body=inner):
            return compute_infix(inner, sizes)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](compute_infix(left, sizes), compute_infix(right, sizes))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -compute_infix(operand, sizes)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            values = [compute_infix(argument, sizes) for argument in arguments]
            return max(values) if name == "max" else _CALLS[name](*map(int, values))
        case ast.Name(id=name):
            return sizes[name]
        case ast.Constant(value=int(value)):
            return value
    raise AssertionError(ast.dump(node))


def test_infix_text_says_the_same(document: dict[str, Any], points: list[Any]) -> None:
    """Where no size follows from others: at the points of layers."""
    tried = 0
    for formula, sizes, expected in points:
        symbols = document["subjects"][formula["subject"]]["symbols"]
        if document["subjects"][formula["subject"]]["kind"] == "layer":
            every = {name: int(each["default"]) for name, each in symbols.items()} | sizes
            assert math.ceil(compute_infix(ast.parse(formula["infix"], mode="eval"), every)) == expected, formula["id"]
            tried += 1
    assert tried > 1000
    stages = [formula for formula in document["formulas"] if formula["subject"] not in ("request", "training_step")]
    defaults = {name: int(each["default"]) for name, each in document["subjects"]["request"]["symbols"].items()}
    for formula in stages:
        if document["subjects"][formula["subject"]]["kind"] == "stage":
            found = math.ceil(compute_infix(ast.parse(formula["infix"], mode="eval"), defaults))
            assert found == find_evaluator(document, formula)(), formula["id"]


def test_every_function_has_words_and_every_symbol_a_place(document: dict[str, Any]) -> None:
    assert document["functions"] == FUNCTIONS
    assert {function.__name__ for function in INTEGER_FUNCTIONS} == FUNCTIONS.keys() - {"+", "*", "max"}
    for formula in document["formulas"]:
        subject = document["subjects"][formula["subject"]]
        assert {*formula["symbols"]} <= subject["symbols"].keys()
        assert {*formula["program"]["inputs"]} <= {*formula["symbols"]}
        assert {factor for factor in formula["polynomial"][0] if isinstance(factor, str)} <= {*formula["symbols"]}


def test_what_follows_from_others_stands_behind_them(document: dict[str, Any]) -> None:
    request = document["subjects"]["request"]
    assert {name: each["follows"]["infix"] for name, each in request["symbols"].items() if "follows" in each} == {
        "seq_len": "image_tokens + prompt_tokens", "logits_tokens": "seq_len", "decode_steps": "max_new_tokens - 1",
    }  # fmt: skip
    names = [*request["derived"], *request["symbols"]]
    assert names.index("seq_len") < names.index("logits_tokens")


def holds(rule: list[str], sizes: Mapping[str, int]) -> bool:
    a, b = (sizes[size] if size in sizes else int(size) for size in (rule[0], rule[2]))
    match rule[1]:
        case "at_most":
            return a <= b
        case "divides":
            return b % a == 0
        case "divides_evenly":
            return b % (2 * a) == 0
        case "zero_together":
            return (a == 0) == (b == 0)
    raise AssertionError(rule)


def complete(reader: Mapping[str, Any], subject: Mapping[str, Any], given: Mapping[str, int]) -> dict[str, int]:
    """Return a value for every size of a subject."""
    sizes = {name: int(each["default"]) for name, each in subject["symbols"].items()} | dict(given)
    sizes |= {name: reader["run"](program, sizes) for name, program in subject["derived"].items()}
    for name, each in subject["symbols"].items():
        if "follows" in each and name not in given:
            sizes[name] = reader["compute"](each["follows"]["node"], sizes)
    return sizes


def test_the_domain_is_where_the_evaluators_refuse_nothing(document: dict[str, Any], reader: dict[str, Any]) -> None:
    """Of layers, prefill, decode and the request, if not both a size and what it follows from are given."""
    draw = random.Random(2)
    inside = outside = 0
    while min(inside, outside) < 150:
        formula = draw.choice(document["formulas"])
        subject = document["subjects"][formula["subject"]]
        sizes = draw_sizes(document, formula, draw)
        given_twice = any({name, each.get("only_for")} <= sizes.keys() for name, each in subject["symbols"].items())
        if formula["subject"] in ("vision", "projector", "training_step") or given_twice:
            continue
        every = complete(reader, subject, sizes)
        is_inside = all(holds(rule, every) for rule in subject["domain"]["rules"]) and all(
            reader["run"](each["program"], every) >= 0 for each in subject["domain"]["not_negative"]
        )
        try:
            find_evaluator(document, formula)(**sizes)
        except costs.CostError:
            assert not is_inside, (formula["id"], sizes)
            outside += 1
        else:
            assert is_inside or formula["metric"] == "peak_activation_bytes", (formula["id"], sizes)
            inside += 1
    guards = {each["infix"] for each in document["subjects"]["conv2d"]["domain"]["not_negative"]}
    assert guards == {"-kernel_size + 2*padding + width", "height - kernel_size + 2*padding"}
