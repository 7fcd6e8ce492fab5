"""Data of the package as text, and read back from it."""

from __future__ import annotations

import pytest
from attrs import evolve
from small_package import make_parameter

from modelmeter.algebra.program import Program
from modelmeter.backends.python.records import list_classes, write_dimension, write_items, write_outline
from modelmeter.backends.python.runtime._rows import Module, list_members, read_outline
from modelmeter.evaluators.breakdown import ModuleRecord, Table
from modelmeter.evaluators.evaluator import Evaluator, Values
from modelmeter.evaluators.signature import Signature
from modelmeter.support.errors import FormulaError

ROOT = ModuleRecord(
    path="", name="", class_name="Net", qualified_class_name="nets.Net", parent=None, repetition="none",
    repetition_count=1, constructor_params={},
)  # fmt: skip
BLOCKS = evolve(
    ROOT, path="blocks.0-1,3", name="0,1,3", class_name="Block", qualified_class_name="nets.Block", parent="blocks",
    repetition="for", repetition_count=3, constructor_params={"width": 7, "is_wide": True, **{"x" * 30: 10**80}},
)  # fmt: skip
LIST = evolve(ROOT, path="blocks", name="blocks", class_name="List", qualified_class_name="nets.List", parent="")
NORM = evolve(ROOT, path="blocks.0-1,3.norm", name="norm", parent="blocks.0-1,3")


EMPTY = Program(inputs=(), steps=(), outputs=())
SIGNATURE = Signature(parameters=(), has_routing=False, constants={})


def make_table(stage: str, kind: str, *keys: tuple[str, ...]) -> Table:
    evaluator = Evaluator(
        name=stage, summary="", notes="", signature=SIGNATURE, program=EMPTY, result=Values(()),
    )  # fmt: skip
    return Table(stage=stage, kind=kind, record="", keys=keys, evaluator=evaluator)


TABLES = (
    make_table("first", "operators", ("blocks.0-1,3", "mm"), ("blocks.0-1,3", "add"), ("blocks.0-1,3.norm", "mean")),
    make_table("first", "states", ("blocks",), ("blocks.0-1,3",)),
    make_table("second", "operators", ("", "sum"), ("blocks.0-1,3.norm", "mean")),
    make_table("second", "states"),
    make_table("third", "operators", ("blocks.0-1,3", "mm"), ("blocks.0-1,3", "add")),
    make_table("third", "states"),
)
"""What the modules do: nothing is held in the second stage."""


STAGES = ("first", "second", "third", "idle")


def test_modules_are_read_as_they_were_written() -> None:
    modules = (ROOT, LIST, BLOCKS, NORM)
    text = write_outline(modules, TABLES)
    assert all(len(line) <= 120 for line in text.splitlines())
    assert text.startswith(". Net : second sum\n blocks List : first*\n  0-1,3 Block for:3 width=7 is_wide=True")
    assert text.endswith("\n   norm Net : first+second mean")
    namespace = f'found = """\n{text}\n"""'
    found: dict[str, str] = {}
    exec(namespace, found)  # as Python reads the literal
    classes = {name: f"{module}.{name}" for module, names in list_classes(modules) for name in names}
    assert read_outline(classes, STAGES, found["found"])[0] == tuple(
        Module(
            module.path, module.name, module.class_name, module.qualified_class_name, module.parent,
            module.repetition, module.repetition_count, dict(module.constructor_params),
        )
        for module in modules
    )  # fmt: skip


def test_what_modules_do_is_read_as_it_was_written() -> None:
    text = write_outline((ROOT, LIST, BLOCKS, NORM), TABLES).replace(" \\\n", "")
    classes = {name: name for name in ("Net", "List", "Block", "Norm")}
    _, operators, holders = read_outline(classes, STAGES, text)
    block = ("blocks.0-1,3", ("mm", "add"))
    norm = ("blocks.0-1,3.norm", ("mean",))
    assert operators == {
        "first": (block, norm), "second": (("", ("sum",)), norm), "third": (block,), "idle": (),
    }  # fmt: skip
    assert holders == {"first": ("blocks", "blocks.0-1,3"), "second": (), "third": (), "idle": ()}


@pytest.mark.parametrize(
    "keys",
    [
        [("blocks.0-1,3.norm", "mean"), ("blocks.0-1,3", "mm")],
        [("blocks.0-1,3", "mm"), ("blocks.0-1,3.norm", "mean"), ("blocks.0-1,3", "add")],
    ],
)
def test_rows_in_another_order_than_the_modules_are_refused(keys: list[tuple[str, ...]]) -> None:
    with pytest.raises(FormulaError, match="first: the rows of a stage are in the order of its modules"):
        write_outline((ROOT, LIST, BLOCKS, NORM), [make_table("first", "operators", *keys)])


def test_siblings_are_listed_one_by_one() -> None:
    assert [list_members(place) for place in ("0-1,3,7-9", "5", "norm1", "")] == ["0,1,3,7,8,9", "5", "norm1", ""]


def test_a_module_whose_name_is_not_its_place_is_refused() -> None:
    with pytest.raises(FormulaError, match=r"blocks.0-1,3: a module is named by its place"):
        write_outline((ROOT, LIST, evolve(BLOCKS, name="0,1,2")), ())


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(FormulaError, match="two classes of modules have one name"):
        list_classes((ROOT, evolve(NORM, qualified_class_name="others.Net")))


def test_a_size_says_what_follows_from_it() -> None:
    text = write_dimension(make_parameter(name="max_new_tokens", default=29, target="decode_steps"))
    first, second, last = text.split("\n")
    assert (first, last) == ('    "max_new_tokens": Dimension(', "    ),")
    assert second.startswith('        29, "tokens", "tokens to generate')
    assert second.endswith('1, target="decode_steps"')


def test_items_fill_lines() -> None:
    assert write_items(["one", "two"], 4) == '    "one", "two",'
    assert write_items([], 4) == ""
