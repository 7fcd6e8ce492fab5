"""Layer trees of a traced model: one layer for each node of its module graph, in each run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain, count
from typing import cast

import sympy
from attrs import evolve, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.frontend.layers import (
    PlacedOperator,
    TracedLayer,
    TracedList,
    TracedRoot,
    scale_cast,
)
from modelmeter.frontend.names_of_layers import explain_siblings, name_evaluator, name_siblings
from modelmeter.frontend.records import (
    GeneralForm,
    TracedModel,
    TracedRun,
)
from modelmeter.frontend.regions import Part, combine_operators, combine_sizes
from modelmeter.frontend.substitution import Substitution
from modelmeter.graph.module_graph import ModuleNode, name_group
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child
from modelmeter.metrics.cost import Operator


@frozen(kw_only=True, slots=False)
class LayerTrees:
    """Makes the layers of a traced model.

    Parameters
    ----------
    model
        The traces.
    form
        What they are with sizes of the config as symbols, if they have any.
    """

    model: TracedModel
    form: GeneralForm | None = None

    @cached_property
    def node_paths(self) -> dict[str, str]:
        """The path of the node that each traced module is of."""
        return {member: path for path, members in self.model.traced_paths.items() for member in members}

    @cached_property
    def classes(self) -> dict[str, type[TracedLayer]]:
        """A class of layers for each node that is called, by its path."""
        nodes = list(self.model.graph.walk())
        counts = Counter(node.class_name for node in nodes)
        taken: set[str] = set()
        return {node.path: self._make_class(node, counts, taken) for node in nodes}

    def _make_class(self, node: ModuleNode, counts: Counter[str], taken: set[str]) -> type[TracedLayer]:
        own = name_evaluator(node.class_name)
        name = own if counts[node.class_name] == 1 else f"{own}_{name_siblings(node.members)}"
        numbered = next(
            each for each in chain([name], (f"{name}_{number}" for number in count(2))) if each not in taken
        )
        taken.add(numbered)
        base = TracedLayer if node.path else TracedRoot
        which = explain_siblings(node.members)
        where = f"``{node.path or node.class_name}``{f' ({which})' if which else ''}"
        doc = f"{where}, as its forward was traced: {self._describe_work(node)}. Its sizes are those of the model."
        namespace = {"class_name": node.class_name, "evaluator_name": numbered, "__doc__": doc, "__module__": __name__}
        return type(node.class_name, (base,), namespace)

    def _describe_work(self, node: ModuleNode) -> str:
        """Return what a module does itself and what it holds, as a clause with code in double backquotes."""
        called = dict.fromkeys(each.name for run in self.model.runs for each in self.operators[run, node.path])
        held = dict.fromkeys(child.path.rpartition(".")[2] for child in self.model.graph.children(node.path))
        clauses = (
            f"{verb} {', '.join(f'``{name}``' for name in names)}"
            for verb, names in (("it calls", called), ("it holds", held))
            if names
        )
        return "; ".join(clauses) or "it calls no operator that costs anything"

    @cached_property
    def operators(self) -> dict[tuple[str, str], tuple[Operator, ...]]:
        """The operators of each node in each run, over all parts of the sizes."""
        found: dict[tuple[str, str], tuple[Operator, ...]] = {}
        for name, run in self.model.runs.items():
            by_path: list[defaultdict[str, list[Operator]]] = [defaultdict(list) for _ in run.forwards]
            for place, forward in zip(by_path, run.forwards, strict=True):
                for traced in forward.operators:
                    place[traced.path].append(scale_cast(traced))
            for path, members in self.model.traced_paths.items():
                parts = [
                    Part(forward=forward, operators=tuple(place[members[0]]))
                    for place, forward in zip(by_path, run.forwards, strict=True)
                ]
                found[name, path] = combine_operators(parts)
        return found

    @cached_property
    def _general(self) -> LayerTrees | None:
        """The same layers, with sizes of the config as symbols."""
        form = self.model.general
        if form is None:
            return None
        general = LayerTrees(model=evolve(self.model, runs=form.runs, general=None), form=form)
        vars(general)["classes"] = self.classes  # a layer is of one class, whatever its sizes are
        return general

    def build_training(self, sizes: Mapping[str, Size]) -> BaseLayer:
        """Return the layer tree of the forward of a training step, of a model that has one, at sizes."""
        (layer,) = self._training.build(sizes).values()
        return layer

    @cached_property
    def _training(self) -> LayerTrees:
        """The same layers, with what their backward does."""
        run = self.model.training
        assert run is not None
        training = LayerTrees(model=evolve(self.model, runs={run.stage.name: run}, general=None, training=None))
        vars(training)["classes"] = self.classes  # as for the general form
        return training

    def build(self, sizes: Mapping[str, Size]) -> dict[str, BaseLayer]:
        """Return the layer tree of each run at sizes; those of the config are numbers where they are not given."""
        general = self._general
        if general is not None and self.model.general is not None:
            own = self.model.general.sizes
            given = {name: size for name, size in sizes.items() if name in own}
            if any(size != own[name] for name, size in given.items()):
                return general.build({**own, **sizes})
            sizes = {name: size for name, size in sizes.items() if name not in own}
        dimensions = self.model.dimensions
        values = {
            dimensions.symbol(name): sympy.sympify(size)
            for name, size in sizes.items()
            if dimensions.symbol(name) != size
        }
        put_in = Substitution(values)
        return {
            name: _RunTree(trees=self, name=name, run=run, values=values, put_in=put_in).build_root()
            for name, run in self.model.runs.items()
        }


@frozen(kw_only=True, slots=False)
class _RunTree:
    trees: LayerTrees
    name: str
    run: TracedRun
    values: Mapping[sympy.Symbol, sympy.Expr]
    put_in: Substitution

    def build_root(self) -> BaseLayer:
        layer = cast(TracedRoot, self.build(self.trees.model.graph.root))
        places: dict[str, PlacedOperator] = {}
        for path, members in self.trees.model.traced_paths.items():
            placed = PlacedOperator(path=path, layer=self.trees.classes[path]())
            places.update(dict.fromkeys(members, placed))
        forwards = self.run.forwards
        if self.values:
            forwards = tuple(map(self.put_in.change_forward, forwards))
        return evolve(layer, forwards=forwards, places=places)

    def build(self, node: ModuleNode) -> BaseLayer:
        graph, shapes = self.trees.model.graph, self._shapes[node.path]
        below = {name_group(child.members): self._enter(child) for child in graph.children(node.path)}
        if not node.calls and below and node.class_name in ("ModuleList", "ModuleDict"):
            held = type(node.class_name, (TracedList,), {"held_class": node.class_name, "__module__": __name__})
            layer: BaseLayer = held(groups=tuple(below.values()), names=tuple(below))
            return layer
        operators = self.trees.operators[self.name, node.path]
        if self.values:
            operators = tuple(map(self.put_in.change_operator, operators))
        return self.trees.classes[node.path](
            shape=shapes[0] if shapes else (),
            only_holds=not shapes and node.path in self._active,
            called=operators,
            below=below,
            held_parameters=self._find_parameters(node),
            held_kv=self._find_cached(node, [forward.kv_elements for forward in self.run.forwards]),
            held_states=self._find_cached(node, [forward.state_elements for forward in self.run.forwards]),
        )

    def _enter(self, node: ModuleNode) -> Child:
        layer, shapes = self.build(node), self._shapes[node.path]
        calls: tuple[tuple[BaseLayer, Size], ...]
        if not isinstance(layer, TracedLayer):
            calls = ((layer, 1),)
        elif not shapes:
            calls = ((layer, int(layer.only_holds)),)
        else:
            # What all calls do is put down to the first; the others have the shapes of their outputs.
            first, *counts = self._call_counts.get(node.path) or [1] * len(shapes)
            silent = {name: _silence(child) for name, child in layer.below.items()}
            others = [
                (evolve(layer, called=(), below=silent, shape=shape), count)
                for shape, count in zip(shapes[1:], counts, strict=True)
            ]
            calls = ((layer, first), *others)
        return Child(calls=calls, repetition=node.repetition, count=self._count(node))

    def _count(self, node: ModuleNode) -> Size:
        """Return how many siblings a node stands for."""
        form = self.trees.form
        if form is None or node.path not in form.counts:
            return node.repetition_count
        return self.put_in.change(form.counts[node.path])

    def _find_parameters(self, node: ModuleNode) -> Size:
        """Return the elements of the parameters that a node holds itself."""
        form = self.trees.form
        return node.own_parameter_count if form is None else self.put_in.change(form.parameters[node.path])

    @cached_property
    def _active(self) -> set[str]:
        """The paths of the nodes that anything is called in, in this run."""
        found: set[str] = set()
        for forward in self.run.forwards:
            for path in forward.paths:
                names = self.trees.node_paths[path].split(".")
                found.update(".".join(names[:depth]) for depth in range(len(names) + 1))
        return found

    @cached_property
    def _shapes(self) -> dict[str, tuple[Shape, ...]]:
        """The shapes of the outputs of all calls of each node, by its path."""
        return {path: self._find_shapes(members[0]) for path, members in self.trees.model.traced_paths.items()}

    @cached_property
    def _call_counts(self) -> dict[str, list[Size]]:
        """How often each call of a node happens, by its path, where that is not once each."""
        found = {}
        for path, members in self.trees.model.traced_paths.items():
            counts = self.run.forwards[0].call_counts.get(members[0])
            if counts is not None:
                found[path] = [self.put_in.change(count) for count in counts]
        return found

    def _find_shapes(self, path: str) -> tuple[Shape, ...]:
        columns = [forward.output_shapes.get(path, ()) for forward in self.run.forwards]
        return tuple(
            tuple(self.put_in.change(combine_sizes(sizes, self.run.forwards)) for sizes in zip(*shapes, strict=True))
            for shapes in zip(*columns, strict=True)
        )

    def _find_cached(self, node: ModuleNode, cached: Sequence[Mapping[str, Size]]) -> Size:
        path = self.trees.model.traced_paths[node.path][0]
        sizes = [elements.get(path, 0) for elements in cached]
        return self.put_in.change(combine_sizes(sizes, self.run.forwards))


def _silence(child: Child) -> Child:
    """Return a child that is not called: what it does in all calls is put down to the first of what is above it."""
    return evolve(child, calls=((child.layer, 0),))
