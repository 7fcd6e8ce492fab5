"""Programs in JavaScript: short names, steps, guards and outputs that are not rounded yet, in lines that fit."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from javascript_process import JavaScriptPackage
from small_package import make_parameter

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Operation, Output, Program, join_programs
from modelmeter.algebra.simplify import build_program
from modelmeter.backends import javascript as javascript_backend
from modelmeter.backends.javascript.program import (
    LINE_LENGTH,
    check_name,
    print_program,
    write_program,
    write_sizes,
)
from modelmeter.backends.javascript.render import JavaScriptBackend
from modelmeter.dimensions.functions import Size
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS
from modelmeter.support.errors import FormulaError

PROMPT, SIDE, BITS = (DIMENSIONS.symbol(name) for name in ("seq_len", "base_size", "weight_bits"))
SIZES = [make_parameter(name=name, default=5) for name in ("seq_len", "base_size", "weight_bits")]


def build(**outputs: Size) -> Program:
    return build_program(outputs, dimensions=DIMENSIONS)


def test_sizes_have_the_first_letters_of_their_words_as_names() -> None:
    text = print_program(build(one=PROMPT * SIDE), SIZES, ["one"], {})
    assert text.inputs == ("base_size", "seq_len")
    assert text.lines == ("(bs, sl) => [bs*sl]",)


def test_words_of_the_language_are_no_names() -> None:
    program = Program(inputs=("in_features", "image_fold"), steps=(), outputs=(Output("one", "in_features", 1),))
    both = Operation(SUM, ("in_features", "image_fold"))
    program = Program(inputs=program.inputs, steps=(), outputs=(Output("one", both, 1),))
    assert print_program(program, [], ["one"], {}).lines == ("(if2, if3) => [if2 + if3]",)
    with pytest.raises(FormulaError, match="a name is a word of JavaScript; found delete"):
        check_name("delete")


def test_what_is_rounded_up_is_a_pair_in_parts_of_a_bit() -> None:
    text = print_program(
        build(bytes=(PROMPT * BITS + 64 * PROMPT) / 8, flops=2 * PROMPT), SIZES, ["bytes", "flops"], {}
    )
    assert text.inputs == ("seq_len", "weight_bits", "scale")
    assert text.lines == ("(sl, wb, s) => [[sl*(wb + 64n*s), 8n*s], 2n*sl]",)


def test_guards_come_before_outputs() -> None:
    program = build(one=PROMPT, guard=PROMPT - SIDE)
    lines = print_program(program, SIZES, ["one"], {"guard": "seq_len - base_size"}).lines
    assert lines[1] == 'if ((sl - bs) < 0n) throw new CostError("the sizes make seq_len - base_size negative");'
    assert lines[2:] == ("return [sl];", "}")


def test_long_sums_and_products_are_broken() -> None:
    long_names = tuple(f"x{number}_{'y' * 20}" for number in range(12))
    products = tuple(Operation(PRODUCT, (number, *long_names[:number])) for number in range(2, 9))
    program = Program(
        inputs=(),
        steps=(("x1", Operation(SUM, products)),),
        outputs=(Output("one", Operation(PRODUCT, long_names), 1), Output("two", Operation(MAXIMUM, products), 8)),
    )
    lines = print_program(program, [], ["one", "two"], {}).lines
    assert all(len(line) <= LINE_LENGTH for line in lines)
    assert any("y1 = " in line for line in lines)


def test_joined_programs_share_their_steps() -> None:
    step = Operation(PRODUCT, ("a", "b"))
    one = Program(inputs=("a", "b"), steps=(("x1", step),), outputs=(Output("one", "x1", 8),))
    double = Operation(PRODUCT, (2, "x1"))
    other = Program(
        inputs=("a", "b", "c"),
        steps=(("x1", Operation(SUM, ("c", 1))), ("x2", step)),
        outputs=(Output("two", Operation(SUM, ("x2", double)), 1), Output("one", "x2", 8)),
    )
    joined = join_programs(one, other)
    assert joined.inputs == ("a", "b", "c")
    assert joined.steps == (("x1", step),)
    total = Operation(SUM, ("x1", Operation(PRODUCT, (2, Operation(SUM, ("c", 1))))))
    assert joined.outputs == (Output("one", "x1", 8), Output("two", total, 1))


def test_sizes_are_an_object_of_integers() -> None:
    assert write_sizes({"seq_len": 5, "base_size": 10**30}) == f"{{ seq_len: 5n, base_size: 1{'0' * 30}n }}"
    assert write_sizes({}) == "{}"


def test_many_inputs_are_a_text_in_several_lines() -> None:
    names = tuple(f"size_number_{number}" for number in range(20))
    program = Program(inputs=names, steps=(), outputs=(Output("one", Operation(SUM, names), 1),))
    text = write_program(print_program(program, [], ["one"], {}))
    assert all(len(line) <= LINE_LENGTH for line in text.splitlines())
    joined = "".join(part for part in text.split('"')[1:-1:2])
    assert joined.split() == list(names)


MODEL = Path(str(javascript_backend.__file__)).parent

FACTS = """
const size = (initial, minimum = 1n) => ({ default: initial, minimum });
const [rows, columns, cells, limit, use_bits] = [size(3n), size(4n, 0n), size(12n), size(99n), size(5n)];
export const DIMENSIONS = { rows, columns, cells, limit, use_bits };
export const LAYER_SIZES = { rows: size(null, 2n), depth: size(null) };
export const METRICS = ["flops", "bytes"];
export const FOLDS = { flops: ["sum", [0, 1]], bytes: ["largest", [0, 1]] };
export const RULES = [["area", "at_most", "cells"], [2n, "divides", "columns"], ["rows", "at_most", "columns"]];
export const DERIVATIONS = [{ size: "cells", terms: ["area", "limit", -1n], source: "limit" }];
"""

HOST = """
export { Fraction } from "./runtime.mjs";
import { cost, define, layer, metricsOf, program, request, stages } from "./model.mjs";
const one = program("rows columns use_bits scale", (r, c, u, s) => [r*c, [r*u, 8n*s]]);
const two = program("columns cells", (c, n) => [c + n, [n, 4n]]);
const derived = { area: program("rows columns", (r, c) => [r*c]) };
const chained = { parts: [one, two], derived, isChained: true };
export const plain = define("plain", { parts: [one], finish: cost });
export const whole = define("whole", { ...chained, finish: request });
export const both = define("both", { ...chained, finish: stages(["one", "two"]) });
export const { plain_bytes } = metricsOf({ plain: { parts: [one], finish: cost } });
export const [deep, deep_fused_io_bytes] = layer("deep", program("rows depth", (r, d) => [r, d, r*d]), { depth: 6n });
"""


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaScriptPackage]:
    folder = tmp_path_factory.mktemp("model")
    for name in ("runtime.mjs", "model.mjs"):
        (folder / name).write_text((MODEL / name).read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "facts.mjs").write_text(FACTS, encoding="utf-8")
    (folder / "index.mjs").write_text(HOST, encoding="utf-8")
    package = JavaScriptPackage(folder)
    yield package
    package.close()


@pytest.mark.parametrize(
    ("name", "sizes", "expected"),
    [
        ("plain", {}, {"flops": 12, "bytes": 2}),  # 3 rows of 5 bits are 15 / 8 bytes
        ("plain", {"rows": 17, "columns": 20}, {"flops": 340, "bytes": 11}),  # 17 * 5 / 8 = 10.6
        ("plain_bytes", {"rows": 17, "columns": 20, "use_bits": Fraction(5, 2)}, 6),  # 17 * 2.5 / 8 = 5.3
        # 12 cells of area, and a limit of 99 less 1: 110 cells, of 4 bytes in 4 parts each, 28 of them rounded up
        ("whole", {}, {"flops": 12 + 4 + 110, "bytes": 28}),
        ("whole", {"cells": 15}, {"flops": 12 + 4 + 15, "bytes": 4}),
        ("deep", {"rows": 5}, {"flops": 5, "bytes": 6}),
        ("deep_fused_io_bytes", {"rows": 5}, 30),
    ],
)
def test_functions_are_made_of_programs(
    javascript: JavaScriptPackage, name: str, sizes: dict[str, Any], expected: Any
) -> None:
    assert javascript.call(name, **sizes) == expected


def test_all_stages_are_those_of_a_request(javascript: JavaScriptPackage) -> None:
    found = javascript.call("both", limit=6, rows=2)
    # An area of 2 x 4, and 8 + 6 - 1 cells.
    assert found == {
        "one": {"flops": 8, "bytes": 2}, "two": {"flops": 17, "bytes": 4}, "request": {"flops": 25, "bytes": 4},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("plain", {"depth": 5}, "plain() got an unexpected keyword argument 'depth'"),
        ("plain_bytes", {"depth": 5}, "plain_bytes() got an unexpected keyword argument 'depth'"),
        ("plain", {"rows": 0}, "rows must be at least 1, not 0"),
        ("deep", {"rows": 1}, "rows must be at least 2, not 1: with less, the code of the model does something else"),
        ("whole", {"cells": 5}, "cells must be at least area: 5 < 12"),
        ("whole", {"cells": 13, "limit": 9}, "cells must be area + limit - 1 where both are given: 13 is not 20"),
        ("whole", {"columns": 5}, "columns must be a multiple of 2: 5 and 2"),
        ("plain", {"rows": 5}, "rows must be at most columns: 5 > 4"),
    ],
)
def test_sizes_are_refused_by_name(
    javascript: JavaScriptPackage, name: str, sizes: dict[str, int], message: str
) -> None:
    assert javascript.call(name, **sizes).message == message


def test_the_backend_has_a_name_and_a_package() -> None:
    assert JavaScriptBackend(package="small_costs").name == "javascript"
