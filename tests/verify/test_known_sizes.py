"""Sums and products of symbolic sizes are the same where they are kept, and made once."""

from __future__ import annotations

import sympy
import torch
from torch.fx.experimental.sym_node import SymNode

from modelmeter.verify.symbolic_trace import make_sizes, symbolic_mode

ROWS, COLUMNS = sympy.symbols("rows columns", integer=True, positive=True)


def test_an_operation_is_done_once_and_is_the_same() -> None:
    with symbolic_mode(torch.bfloat16) as environment:
        made, names = make_sizes(environment, [ROWS, COLUMNS], ())
        rows, columns = made["rows"], made["columns"]
        assert (rows * columns).node is (rows * columns).node
        assert (rows * columns).node is not (rows + columns).node
        found = (3 * rows + columns * columns - rows) % 5
        assert sympy.expand(found.node.expr.args[0].xreplace(names)) == 2 * ROWS + COLUMNS**2
        assert bool(rows == 1 * rows)
        assert not bool(rows == columns)


def test_torch_is_as_it_was_afterwards() -> None:
    before = {name: getattr(SymNode, name) for name in ("_add", "_mul", "_eq")}
    with symbolic_mode(torch.bfloat16):
        assert SymNode._add is not before["_add"]
    assert {name: getattr(SymNode, name) for name in before} == before
