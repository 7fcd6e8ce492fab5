"""The functions of this package as formulas: read from their own text, so that sizes may be unknown in them.

What a function does with integers is done with polynomials alike, once its divisions, choices and maxima are calls.
Checks of single sizes are left out, since who asks for formulas has checked what is known; rules between them are kept.
"""

import ast
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from . import _symbolic
from ._formulas import HOLDERS
from ._polynomials import Value
from ._runtime import CostError
from ._sizes import Size
from ._source import read_source


class Reading(NamedTuple):
    """A function of formulas: its sizes, whether it routes tokens to experts, and what it returns for values."""

    sizes: dict[str, Size]
    has_routing: bool
    run: Callable[..., tuple[Value, ...]]


@cache
def read(function: str) -> Reading:
    """Return a function as formulas; what is no stage has its module before its name.

    Raises
    ------
    CostError
        If the package was installed without its text.
    """
    holder, _, name = function.rpartition(".")
    if not holder:
        holder = next(module for module, names in HOLDERS.items() if name in names)
    module = import_module(f".{holder}", __package__)
    text = read_source(module.__name__, name)
    if not text:
        raise CostError(f"arrays and frozen evaluators are made of the text of {module.__name__}, which is not there")
    (tree,) = ast.parse(text).body
    assert isinstance(tree, ast.FunctionDef)
    defaults = {argument.arg: ast.literal_eval(value) for argument, value in _defaults(tree)}
    has_routing = defaults.pop("expert_routing", None) is not None
    sizes = {name: _find_size(tree, name, default) for name, default in defaults.items()}
    return Reading(sizes, has_routing, _compile(tree))


def _defaults(tree: ast.FunctionDef) -> list[tuple[ast.arg, ast.expr]]:
    pairs = zip(tree.args.kwonlyargs, tree.args.kw_defaults, strict=True)
    return [(argument, default) for argument, default in pairs if default]


def _find_size(tree: ast.FunctionDef, name: str, default: int | None) -> Size:
    """Return what a function takes for a size: its checks say the smallest value, and a rule what follows from it."""
    minimum, target = 0, None
    checks = [node for statement in tree.body if isinstance(statement, ast.If) for node in ast.walk(statement)]
    for node in reversed(checks):  # the first one counts
        match node:
            case ast.Compare(ast.Name(id), [ast.Gt() | ast.GtE() as relation], [ast.Constant(int(limit))]):
                minimum = limit + isinstance(relation, ast.Gt) if id == name else minimum
            case ast.If(
                ast.Compare(ast.Name(derived), [ast.Is()]),
                [ast.If(_, [ast.Assign([ast.Name(id)], ast.Constant(int(value)))]), _],
            ) if id == name:
                default, target = value, derived
    kinds = {argument.arg: argument.annotation for argument, _ in _defaults(tree)}
    kind = kinds[name]
    return Size(minimum, default, target, isinstance(kind, ast.Name) and kind.id == "Bits")


def _compile(tree: ast.FunctionDef) -> Callable[..., tuple[Value, ...]]:
    """Return a function of values that are known or not."""
    body = [statement for old in tree.body[1:] for statement in _read_statement(old)]
    arguments = [ast.arg(argument.arg) for argument, _ in _defaults(tree)]
    new = ast.FunctionDef(
        tree.name, ast.arguments([], [], None, arguments, [None for _ in arguments], None, []), body, [], None, None
    )
    module = ast.fix_missing_locations(ast.Module([new], []))
    names: dict[str, Any] = {**_NAMES}
    exec(compile(module, f"<formulas of {tree.name}>", "exec"), names)  # our own text
    run = names[tree.name]
    return lambda **values: _flatten(run(**values))


def _read_statement(statement: ast.stmt) -> list[ast.stmt]:
    match statement:
        case ast.If(ast.Compare(ast.Name(size), [ast.Is()]), body, orelse):  # a size that follows from others
            return [ast.If(statement.test, _read_filling(size, body), _read_agreement(orelse))]
        case ast.If(test, [ast.Raise(ast.Call() as error)]):
            return [ast.Expr(_read_rule(test, error))]
        case ast.If():  # a check of single sizes, or of the routing
            return []
    return [_Reader().visit(statement)]


def _read_filling(size: str, body: list[ast.stmt]) -> list[ast.stmt]:
    *others, last = body
    assert isinstance(last, ast.Assign)
    value = ast.Call(ast.Name("abbreviate", ast.Load()), [_Reader().visit(last.value)], [])
    return [*others, ast.Assign([ast.Name(size, ast.Store())], value)]


def _read_agreement(orelse: list[ast.stmt]) -> list[ast.stmt]:
    """Return where a size must be what it follows from: where what it follows from is given."""
    match orelse:
        case [_, ast.If(ast.BoolOp(ast.And(), [is_given, _]), [ast.Raise(ast.Call() as error)])]:
            return [ast.If(is_given, [ast.Expr(_read_rule(is_given, error))], [])]
    return []


def _read_rule(test: ast.expr, error: ast.Call) -> ast.Call:
    """Return the call that keeps a rule for later, of what its error is made of."""
    assert isinstance(error.func, ast.Name)
    if error.func.id == "CostError":  # of what must not be negative
        assert isinstance(test, ast.Compare)
        assert isinstance(error.args[0], ast.Constant)
        formula = str(error.args[0].value).removeprefix("the sizes make ").removesuffix(" negative")
        operands = [ast.Constant(formula), _Reader().visit(test.left)]
        return ast.Call(ast.Name("not_negative", ast.Load()), operands, [])
    call: ast.Call = _Reader().visit(error)
    return call


class _Reader(ast.NodeTransformer):
    """Writes divisions, choices and maxima as calls of functions of formulas."""

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        match node:
            case ast.UnaryOp(ast.USub(), ast.BinOp(ast.UnaryOp(ast.USub(), dividend), ast.FloorDiv(), divisor)):
                return self._call("ceil_div", dividend, divisor)
        return ast.UnaryOp(node.op, self.visit(node.operand))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        match node:
            case ast.BinOp(
                ast.BinOp(n, ast.Mult(), ast.BinOp(same, ast.Add(), ast.Constant(1))), ast.FloorDiv(), ast.Constant(2)
            ) if ast.dump(n) == ast.dump(same):
                return self._call("triangular", n)
            case ast.BinOp(dividend, ast.FloorDiv(), divisor):
                return self._call("floor_div", dividend, divisor)
        return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        """Read a choice as a product with a bracket; that so many tokens read all experts is no case of its own."""
        if not isinstance(node.orelse, ast.Constant):
            reads: ast.expr = self.visit(node.orelse)
            return reads
        bracket = self._read_bracket(node.test)
        if isinstance(node.body, ast.Constant) and node.body.value == 1:
            return bracket
        return ast.BinOp(self.visit(node.body), ast.Mult(), bracket)

    def _read_bracket(self, test: ast.expr) -> ast.expr:
        match test:
            case ast.Compare(left, [operator], [right]):
                return self._call(_COMPARISONS[type(operator)], left, right)
        bracket: ast.expr = self.visit(test)
        return bracket

    def _call(self, function: str, *operands: ast.expr) -> ast.expr:
        return ast.Call(ast.Name(function, ast.Load()), [self.visit(operand) for operand in operands], [])


_COMPARISONS = {ast.NotEq: "differs", ast.Eq: "equals", ast.Gt: "exceeds"}


def _flatten(result: Any) -> tuple[Value, ...]:
    if not isinstance(result, tuple):
        return (result,)
    return tuple(value for item in result for value in _flatten(item))


_NAMES: Mapping[str, object] = {
    **{name: getattr(_symbolic, name) for name in ("abbreviate", "ceil_div", "differs", "equals", "exceeds")},
    **{name: getattr(_symbolic, name) for name in ("floor_div", "not_negative", "routed_reads", "triangular")},
    "max": _symbolic.largest,
    "contradiction": _symbolic.agree,
    "no_multiple": _symbolic.multiple_of,
    "not_zero_together": _symbolic.zero_together,
    "too_large": _symbolic.at_most,
    "too_small": lambda name, size, limit_name, limit: _symbolic.at_most(limit_name, limit, name, size),
    **dict.fromkeys(("Cost", "Stages"), lambda costs: costs),
    **dict.fromkeys(("fill_operators", "fill_states"), lambda _, values: values),
}
"""What the names in the text of a function mean in formulas."""
