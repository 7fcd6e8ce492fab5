"""What an entry of the site can be copied as: programs that run, data that has the value, with nothing else around."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from html import unescape
from math import ceil, floor, prod
from operator import add, mul, sub, truediv
from pathlib import Path
from typing import Any

import pytest

from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import emit_files

ROOT = Path(__file__).parents[2]


def list_copies(site: Mapping[str, bytes], path: str, language: str) -> list[str]:
    return [unescape(text) for text in re.findall(rf'as {language}">(.*?)</pre>', site[path].decode(), re.DOTALL)]


@pytest.mark.parametrize("path", ["stages/vision.html", "stages/request.html", "layers/deepseek_v2_moe.html"])
def test_the_copies_in_python_run(site: dict[str, bytes], path: str) -> None:
    programs = list_copies(site, path, "Python")
    assert len(programs) >= 7
    subprocess.run([sys.executable, "-c", "\n".join(programs)], check=True, timeout=60, cwd=ROOT)


def test_the_copies_in_sql_run(site: dict[str, bytes], published: CompiledModel) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    macros = "\n".join(emit_files(published, targets=("duckdb",)).values())
    pages = (
        "stages/decode",
        "stages/training_step",
        "layers/conv2d",
        "layers/block",
        "layers/silu",
        "layers/deepseek_v2_moe",
    )
    copies = [copied for page in pages for copied in list_copies(site, f"{page}.html", "SQL")]
    assert len(copies) == 8 + 6 + 4 * 7, "a peak of the stage; a training step has no fused traffic"
    with duckdb.connect() as database:
        database.execute(macros)
        for copied in copies:
            expected = int(copied.rpartition("-- ")[2])
            assert database.execute(copied).fetchall() == [(expected,)], copied


FUNCTIONS: dict[str, Callable[..., int]] = {
    "+": lambda *terms: sum(terms), "*": lambda *factors: prod(factors), "max": max,
    "CeilDiv": lambda a, b: -(-a // b), "FloorDiv": lambda a, b: a // b, "Triangular": lambda n: n * (n + 1) // 2,
    "Differs": lambda a, b: int(a != b), "Equals": lambda a, b: int(a == b), "Exceeds": lambda a, b: int(a > b),
    # E experts, k a token, N tokens, W weights: E W (1 - (1 - k/E)^N), the nearest integer, halves up
    "RoutedReads": lambda e, k, n, w: floor(e * w * (1 - (1 - Fraction(k, e)) ** n) + Fraction(1, 2)),
}  # fmt: skip


def run_program(program: Mapping[str, Any], sizes: dict[str, int]) -> int:
    """Return what a program of ``formulas.json`` computes."""

    def compute(node: Any) -> int:
        if isinstance(node, list):
            return FUNCTIONS[node[0]](*map(compute, node[1:]))
        return sizes[node] if node in sizes else int(node)

    for name, node in program["steps"]:
        sizes = {**sizes, name: compute(node)}
    return -(-compute(program["numerator"]) // int(program["denominator"]))


@pytest.mark.parametrize("path", ["stages/request.html", "stages/decode.html", "layers/deepseek_v2_moe.html"])
def test_the_copies_in_json_have_the_formulas_of_the_data(site: dict[str, bytes], path: str) -> None:
    """Program, polynomial and infix text: the first two as ``formulas.json`` has them, and each has the value."""
    published = json.loads((ROOT / "codegen/data/formulas.json").read_text(encoding="utf-8"))
    known = {entry["id"]: entry for entry in published["formulas"]}
    copies = list(map(json.loads, list_copies(site, path, "JSON")))
    assert len(copies) >= 7
    for copied in copies:
        entry = known[copied["id"]]
        assert {*copied["symbols"]} == {*entry["symbols"]}
        for name in ("digest", "subject", "metric", "unit", "program", "polynomial"):
            assert copied[name] == entry[name], (copied["id"], name)
        text = json.dumps(copied["polynomial"], separators=(",", ":"))
        assert hashlib.sha256(text.encode("ascii")).hexdigest() == copied["digest"]
        sizes = {name: int(size) for name, size in copied["symbols"].items()}
        assert run_program(copied["program"], sizes) == int(copied["value"]), copied["id"]
        if copied["infix"] and "RoutedReads" not in copied["infix"]:
            # Its names are those of sizes and of the functions above; a slash divides a whole number of bits.
            names = {
                **{name: Fraction(size) for name, size in sizes.items()},
                **FUNCTIONS,
                "Max": lambda *found: max(found),
            }
            assert ceil(evaluate_infix(copied["infix"], names)) == int(copied["value"]), copied["id"]


def evaluate_infix(text: str, names: Mapping[str, Any]) -> Fraction:
    """Return the value of a text with ``+ - * / **`` and calls, exactly."""

    def compute(node: ast.AST) -> Any:
        match node:
            case ast.Expression(body):
                return compute(body)
            case ast.BinOp(left, operator, right):
                return OPERATORS[type(operator)](compute(left), compute(right))
            case ast.UnaryOp(ast.USub(), operand):
                return -compute(operand)
            case ast.Call(ast.Name(name), arguments):
                return Fraction(names[name](*map(compute, arguments)))
            case ast.Name(name):
                return names[name]
            case ast.Constant(int(value)):
                return Fraction(value)
        raise AssertionError(ast.dump(node))

    found: Fraction = compute(ast.parse(text, mode="eval"))
    return found


OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: add, ast.Sub: sub, ast.Mult: mul, ast.Div: truediv, ast.Pow: pow,
}  # fmt: skip


def test_a_digest_is_recomputed_as_the_page_says(
    site: dict[str, bytes], published: CompiledModel, tmp_path: Path
) -> None:
    """By its words: the target json of ``compile`` writes formulas.json, and then its program runs beside the file."""
    text = site["cite.html"].decode()
    assert "<code>modelmeter compile --target json</code>" in text
    (program,) = re.findall(r'aria-label="Python program">(.*?)</pre>', text, re.DOTALL)
    command = [sys.executable, "-c", unescape(program)]
    data = emit_files(published, targets=("json",))["data/formulas.json"]
    (tmp_path / "formulas.json").write_text(data, encoding="utf-8")
    subprocess.run(command, check=True, cwd=tmp_path, timeout=60)
    # One coefficient of one polynomial is another one.
    document = json.loads(data)
    coefficients = document["formulas"][-1]["polynomial"][1][0][0][0]
    coefficients[0] = str(int(coefficients[0]) + 1)
    (tmp_path / "formulas.json").write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run(command, check=False, cwd=tmp_path, timeout=60, capture_output=True, text=True)
    assert "AssertionError" in done.stderr
