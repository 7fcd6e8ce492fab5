"""A net as layers and as a module graph: an embedding, two kinds of blocks, a tower that is called twice, a spare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attrs import evolve, field, frozen

from modelmeter.analysis.bind import BoundModule, bind
from modelmeter.dimensions.functions import Size
from modelmeter.graph.module_graph import ModuleCall, ModuleGraph, ModuleNode, Shape, join_path, name_group
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.base import Shape as LayerShape
from modelmeter.layers.child import Child, never, once, repeat
from modelmeter.layers.container import ModuleList
from modelmeter.layers.embedding import Embedding
from modelmeter.layers.linear import Linear
from modelmeter.models.deepseek_ocr.dimensions import symbol

batch, tokens, width = symbol("batch_size"), symbol("seq_len"), symbol("hidden_size")
SIZES = {"batch_size": 2, "seq_len": 7, "hidden_size": 5}


@frozen(kw_only=True, slots=False)
class Block(BaseLayer):
    """One linear layer."""

    rows: LayerShape
    bias: bool

    @property
    def output_shape(self) -> LayerShape:
        return (*self.rows, width)

    def build_children(self) -> Mapping[str, Child]:
        inner = Linear(leading_shape=self.rows, in_features=width, out_features=width, bias=self.bias)
        return {"inner": once(inner)}


@frozen(kw_only=True, slots=False)
class Net(BaseLayer):
    """The layer of the net, in a run over ``positions`` positions, with the tower or without it."""

    positions: Size
    has_tower: bool
    groups: tuple[Child, ...] = ()

    @property
    def output_shape(self) -> LayerShape:
        return (batch, self.positions, width)

    @property
    def own_parameters(self) -> Size:
        return 3

    def build_children(self) -> Mapping[str, Child]:
        rows = (batch, self.positions)

        def make_tower(views: Size) -> Linear:
            return Linear(leading_shape=(views,), in_features=13, out_features=width)

        groups = self.groups or (repeat(Block(rows=rows, bias=False), 3), repeat(Block(rows=rows, bias=True), 2))
        children = {
            "embed": once(Embedding(leading_shape=rows, num_embeddings=11, embedding_dim=width)),
            "blocks": once(ModuleList(groups=groups)),
        }
        if self.has_tower:
            children["tower"] = Child(calls=((make_tower(3 * batch), 1), (make_tower(batch), 2)))
            children["spare"] = never(make_tower(17))
        return children


LAYERS = {"prefill": Net(positions=tokens, has_tower=True), "decode": Net(positions=1, has_tower=False)}


@frozen
class Module:
    """What a torch module would be traced as; parameters of a module with children are added up."""

    members: tuple[str, ...]
    class_name: str
    calls: tuple[tuple[str, Shape], ...] = ()
    own: int = 0
    children: tuple[Module, ...] = field(default=(), converter=tuple)

    @property
    def name(self) -> str:
        return name_group(self.members)

    @property
    def parameters(self) -> int:
        return self.own + sum(len(child.members) * child.parameters for child in self.children)

    def nodes(self, parent: str = "") -> Iterator[ModuleNode]:
        path = join_path(parent, self.name)
        yield ModuleNode(
            path=path, members=self.members, class_name=self.class_name, qualified_class_name=f"net.{self.class_name}",
            parameter_count=self.parameters, own_parameter_count=self.own,
            calls=tuple(ModuleCall(run=run, input_shapes=(), output_shape=shape) for run, shape in self.calls),
            repetition="for" if len(self.members) > 1 else "none", repetition_count=len(self.members),
            is_torch_builtin=False,
        )  # fmt: skip
        for child in self.children:
            yield from child.nodes(path)

    def change(self, path: str, damage: Callable[[Module], Module | None]) -> Module:
        """Return this module with ``damage`` done to the one at ``path``, or without it."""
        if not path:
            changed = damage(self)
            assert changed is not None
            return changed
        name, _, below = path.partition("/")
        children: list[Module | None] = [
            child if child.name != name else child.change(below, damage) if below else damage(child)
            for child in self.children
        ]
        assert children != list(self.children), f"nothing was damaged at {path}"
        return evolve(self, children=[child for child in children if child is not None])


PROMPT, STEP = ("prefill", (2, 7, 5)), ("decode", (2, 1, 5))


def make_block(*members: str, own: int) -> Module:
    return Module(members, "Block", (PROMPT, STEP), 0, [Module(("inner",), "Linear", (PROMPT, STEP), own)])


NET = Module(
    ("",), "Net", (PROMPT, STEP), 3,
    [
        Module(("embed",), "Embedding", (PROMPT, STEP), 11 * 5),
        # Alike siblings need not be neighbours: 3 of 25 parameters, 2 of 25 and a bias.
        Module(("blocks",), "ModuleList", children=[make_block("0", "2", "3", own=25), make_block("1", "4", own=30)]),
        # 3 views for each of two pages once, one for each page twice; 13 * 5 parameters and a bias.
        Module(("tower",), "Linear", (("prefill", (6, 5)), ("prefill", (2, 5)), ("prefill", (2, 5))), 70),
        Module(("spare",), "Linear", (), 70),
    ],
)  # fmt: skip


def to_graph(net: Module) -> ModuleGraph:
    nodes = tuple(net.nodes())
    called = tuple(node.path for node in nodes if node.calls)
    return ModuleGraph(nodes=nodes, call_order=called, workload={}, architecture={}, lists={})


def bind_net(net: Module, layers: Mapping[str, BaseLayer] = LAYERS) -> BoundModule:
    return bind(to_graph(net), layers, SIZES)
