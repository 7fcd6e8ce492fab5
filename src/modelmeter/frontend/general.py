"""A traced decoder with sizes of its config as symbols: which ones can be, and what holds between them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import sympy
from attrs import evolve
from transformers import PreTrainedConfig

from modelmeter.compiled_model import CompiledModel
from modelmeter.core.functions import Size
from modelmeter.core.size_rules import Rule
from modelmeter.frontend.config_fields import clip
from modelmeter.frontend.config_sizes import (
    DENSE_LAYERS,
    DEPTHS,
    EXPERTS,
    HEAD_CHANNELS,
    HEADS,
    KEY_HEADS,
    LAYERS,
    SIZES,
    WIDTH,
    add_config_sizes,
    define_config_sizes,
    list_fixed,
    list_size_rules,
)
from modelmeter.frontend.fresh_configs import check_family
from modelmeter.frontend.interpolation import Interpolation
from modelmeter.frontend.kinds import describe_kind, number_kinds
from modelmeter.frontend.lift import Lift
from modelmeter.frontend.lifted_runs import LiftedRuns
from modelmeter.frontend.modules import Depth
from modelmeter.frontend.records import GeneralForm, TracedModel
from modelmeter.frontend.small_configs import Family
from modelmeter.support.errors import ArchitectureError, CountError, ModelMeterError

_LATENT: Final = "qk_rope_head_dim"
"""A config that has it has latent attention, in which keys have as many heads as queries."""

Begin = Callable[[str], None]
Compile = Callable[[TracedModel], CompiledModel]


def add_general(
    traced: TracedModel, depth: Depth, config: PreTrainedConfig, compile_traced: Compile, begin: Begin
) -> TracedModel:
    """Return a traced model with its general form, checked at fresh configs, or with the reason why it has none.

    Parameters
    ----------
    traced
        The model.
    depth
        Which of its layers were traced.
    config
        Of the model.
    compile_traced
        Returns the compiled model of traces.
    begin
        Is called with the name of each step as it begins.
    """
    try:
        family, form = find_general(traced, depth, config, begin)
        added = _add_form(traced, form)
        fresh, least = check_family(family, added, compile_traced(added), begin)
    except ModelMeterError as error:
        return evolve(traced, general_refused=_make_plain(str(error)))
    return _add_form(traced, evolve(form, fresh=fresh, least=least))


def _make_plain(text: str) -> str:
    """Return a message as a part of one sentence of plain text, which may stand in a docstring and on a page."""
    kept = "".join(letter if letter.isprintable() and letter not in '\\`$"' else " " for letter in text)
    return clip(kept).rstrip(".")


def _add_form(traced: TracedModel, form: GeneralForm) -> TracedModel:
    return evolve(
        traced, general=form, graph=evolve(traced.graph, architecture=form.sizes),
        dimensions=add_config_sizes(traced.dimensions, define_config_sizes(form)),
    )  # fmt: skip


def find_general(
    traced: TracedModel, depth: Depth, config: PreTrainedConfig, begin: Begin
) -> tuple[Family, GeneralForm]:
    """Return the configs that are like that of a traced model, and its formulas in their sizes.

    Raises
    ------
    ModelMeterError
        If a config of other sizes calls other operators, or a count is no polynomial in them.
    """
    if len(depth.stacks) != 1 or config.get_text_config() is not config:
        raise CountError("only text decoders have sizes of the config as symbols", place=traced.model_type)
    begin("choose small configs")
    family = choose_family(depth, config)
    counts, depths = fit_depths(family, random.Random(f"depths {traced.title}"))
    family = evolve(
        family, sizes={name: size for name, size in family.sizes.items() if name not in DEPTHS or name in depths}
    )
    dimensions = add_config_sizes(traced.dimensions, {name: SIZES[name] for name in SIZES if name in family.sizes})
    lift = Lift(family=family, traced=traced, dimensions=dimensions, begin=begin)
    lift.count(random.Random(f"general {traced.title}"))
    begin("interpolate")
    runs, parameters = LiftedRuns(lift=lift).make_runs()
    used = {*set().union(*lift.depends.values()), *depths}
    sizes = {name: size for name, size in family.sizes.items() if name in used}
    stack = family.stack
    by_path = {
        node.path: counts[stack.kinds[int(node.members[0])]]
        for node in traced.graph.walk()
        if node.path.rpartition(".")[0] == stack.layers
    }
    form = GeneralForm(
        sizes=sizes,
        rules=tuple(rule for rule in family.rules if rule.names <= sizes.keys()),
        fixed=list_fixed(config.to_dict(), sizes, family.tied),
        runs=runs,
        parameters=parameters,
        counts=by_path,
        configs=len(lift.counts),
    )
    return family, form


def choose_family(depth: Depth, config: PreTrainedConfig) -> Family:
    """Return the configs that differ from the one of a model in sizes.

    Raises
    ------
    ModelMeterError
        If no small config is one of transformers.
    """
    fields = config.to_dict()
    names = [name for name in SIZES if name not in EXPERTS]
    counted = next((name for name in EXPERTS if _has(config, fields, name)), None)
    names += [] if counted is None else [counted]
    sizes = {name: getattr(config, name) for name in names if _has(config, fields, name)}
    if _LATENT in sizes:
        sizes.pop(HEAD_CHANNELS, None)
    elif HEAD_CHANNELS not in sizes and {WIDTH, HEADS} <= sizes.keys():
        sizes[HEAD_CHANNELS] = sizes[WIDTH] // sizes[HEADS]
    tied: dict[str, str] = {}
    if _LATENT in sizes and sizes.get(KEY_HEADS) == sizes.get(HEADS):
        sizes.pop(KEY_HEADS, None)
        tied = {KEY_HEADS: HEADS}
    (stack,) = depth.stacks
    if DENSE_LAYERS in sizes and len(set(stack.kinds)) != 2:
        sizes.pop(DENSE_LAYERS)
    groups = fields.get("n_group")
    numbers = () if type(groups) is not int or groups < 2 or counted is None else (
        Rule(groups, "divides", counted), Rule(2 * groups, "at_most", counted),
    )  # fmt: skip
    sizes = {name: sizes[name] for name in SIZES if name in sizes}

    def make(*, splits_width: bool) -> Family:
        return Family(
            config=config, class_name=depth.class_name, stack=stack, sizes=sizes, tied=tied,
            rules=(*list_size_rules(sizes, splits_width=splits_width), *numbers),
        )  # fmt: skip

    free = make(splits_width=False)
    return free if _takes_any_width(free) else make(splits_width=True)


def _has(config: PreTrainedConfig, fields: Mapping[str, Any], name: str) -> bool:
    key = config.attribute_map.get(name, name)
    return type(fields.get(key)) is int and fields[key] >= SIZES[name].minimum


def _takes_any_width(family: Family) -> bool:
    """Tell whether a width that no number of heads divides is one of transformers."""
    sizes = family.draw(random.Random("a width that heads do not divide"))
    if not {WIDTH, HEADS} <= sizes.keys():
        return True
    try:
        family.build({**sizes, WIDTH: 7 * sizes[HEADS] + 1}, family.choose_depths())
    except ArchitectureError:
        return False
    return True


def fit_depths(family: Family, chance: random.Random) -> tuple[dict[int, Size], tuple[str, ...]]:
    """Return how many layers there are of each kind as formulas, and the sizes in them; none where no formula is found.

    The kinds of layers are looked at in modules of other depths, which do not run.
    """
    names = [name for name in DEPTHS if name in family.sizes]
    kinds = sorted(set(family.stack.kinds))
    least = family.choose_depths()
    sizes = family.draw(chance)
    first = list(family.build(sizes, least).get_submodule(family.stack.layers).children())
    known = list(dict.fromkeys(describe_kind(layer) for layer in first))
    points: list[dict[str, int]] = []
    for layers in range(least[LAYERS], least[LAYERS] + 5):
        dense = range(layers + 1) if DENSE_LAYERS in names else (None,)
        points += ({LAYERS: layers} if each is None else {LAYERS: layers, DENSE_LAYERS: each} for each in dense)
    found = []
    for point in points:
        layers_of = family.build(sizes, point).get_submodule(family.stack.layers).children()
        found.append(number_kinds(list(layers_of), known))
    symbols = [SIZES[name].symbol for name in names]
    interpolation = Interpolation([sympy.S.One, *symbols], points)
    if len(known) != len(kinds) or any(number not in kinds for each in found for number in each):
        return {}, ()
    own = {SIZES[name].symbol: sympy.Integer(family.sizes[name]) for name in names}
    counts: dict[int, Size] = {}
    for kind in kinds:
        try:
            counts[kind] = interpolation.fit([each.count(kind) for each in found], LAYERS)
        except CountError:
            return {}, ()
        if sympy.sympify(counts[kind]).xreplace(own) != family.stack.kinds.count(kind):
            return {}, ()
    return counts, tuple(names)
