"""A traced decoder with sizes of its config as symbols: which ones can be, and what holds between them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import sympy
from attrs import evolve
from transformers import PreTrainedConfig

from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.size_rules import Rule
from modelmeter.frontend.general.config_sizes import (
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
from modelmeter.frontend.general.fresh_configs import check_family
from modelmeter.frontend.general.lift import BESIDE, Lift
from modelmeter.frontend.general.lifted_runs import LiftedRuns
from modelmeter.frontend.general.small_configs import Family
from modelmeter.frontend.interpolation import Interpolation
from modelmeter.frontend.kinds import describe_kind, number_kinds
from modelmeter.frontend.modules import Depth
from modelmeter.frontend.records import GeneralForm, TracedModel, TracedRun
from modelmeter.frontend.refusals import make_plain
from modelmeter.support.errors import ArchitectureError, CountError, ModelMeterError

_LATENT: Final = "qk_rope_head_dim"
"""A config that has it has latent attention, in which keys have as many heads as queries."""

_MORE_DRAWS: Final = 2
"""How often more configs are counted where a number was not found."""

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
    refused: list[ModelMeterError] = []
    try:
        for family in list_families(depth, config):
            try:
                form = find_general(traced, family, begin)
                added = _add_form(traced, form)
                fresh, least = check_family(family, added, compile_traced(added), begin)
            except ModelMeterError as error:
                refused.append(error)
                continue
            return _add_form(traced, evolve(form, fresh=fresh, least=least))
    except ModelMeterError as error:
        refused.append(error)
    return evolve(traced, general_refused=make_plain(refused[0]))


def _add_form(traced: TracedModel, form: GeneralForm) -> TracedModel:
    return evolve(
        traced, general=form, graph=evolve(traced.graph, architecture=form.sizes),
        dimensions=add_config_sizes(traced.dimensions, define_config_sizes(form)),
    )  # fmt: skip


def find_general(traced: TracedModel, family: Family, begin: Begin) -> GeneralForm:
    """Return the formulas of a traced model in the sizes of the configs that are like its own.

    Raises
    ------
    ModelMeterError
        If a config of other sizes calls other operators, or a count is no polynomial in them.
    """
    begin("choose small configs")
    counts, depths = fit_depths(family, random.Random(f"depths {traced.title}"))
    family = evolve(
        family, sizes={name: size for name, size in family.sizes.items() if name not in DEPTHS or name in depths}
    )
    dimensions = add_config_sizes(traced.dimensions, {name: SIZES[name] for name in SIZES if name in family.sizes})
    lift = Lift(family=family, traced=traced, dimensions=dimensions, begin=begin)
    chance = random.Random(f"general {traced.title}")
    lift.count(chance)
    begin("interpolate")
    runs, parameters = _interpolate(lift, chance)
    used = {*set().union(*lift.depends.values()), *depths}
    sizes = {name: size for name, size in family.sizes.items() if name in used}
    stack = family.stack
    by_path = {
        node.path: counts[stack.kinds[int(node.members[0])]]
        for node in traced.graph.walk()
        if counts and node.path.rpartition(".")[0] == stack.layers
    }
    return GeneralForm(
        sizes=sizes,
        rules=tuple(rule for rule in family.rules if rule.names <= sizes.keys()),
        fixed=list_fixed(
            family.config.to_dict(),
            {*sizes, *(family.config.attribute_map.get(name, name) for name in sizes)},
            family.tied,
        ),
        runs=runs,
        parameters=parameters,
        counts=by_path,
        configs=len(lift.counts),
    )


def _interpolate(lift: Lift, chance: random.Random) -> tuple[dict[str, TracedRun], dict[str, Size]]:
    """Return the traces in symbols, after more counts where those that there are do not tell all terms apart."""
    for _ in range(_MORE_DRAWS):
        try:
            return LiftedRuns(lift=lift).make_runs()
        except CountError:
            lift.draw(BESIDE, chance)
    return LiftedRuns(lift=lift).make_runs()


def list_families(depth: Depth, config: PreTrainedConfig) -> Iterator[Family]:
    """Yield the configs that differ from the one of a model in sizes: first in all, then in fewer.

    Where keys are copied for the heads that share them, a model in which none does calls other operators. Then the
    heads of keys are as many as those of queries, if they are so in the model; else their number is that of the model,
    and there are at least twice as many heads of queries.

    Raises
    ------
    ModelMeterError
        If no small config is one of transformers.
    """
    if len(depth.stacks) != 1 or config.get_text_config() is not config:
        raise CountError("only text decoders have sizes of the config as symbols", place=config.model_type)
    sizes = _list_sizes(config)
    (stack,) = depth.stacks
    if DENSE_LAYERS in sizes and len(set(stack.kinds)) != 2:
        sizes.pop(DENSE_LAYERS)

    def make(sizes: Mapping[str, int], tied: Mapping[str, str], rules: Sequence[Rule] = ()) -> Family:
        free, split = (
            Family(
                config=config, class_name=depth.class_name, stack=stack, sizes=sizes, tied=tied,
                rules=(*list_size_rules(sizes, splits_width=splits), *_list_groups(config, sizes), *rules),
            )
            for splits in (False, True)
        )  # fmt: skip
        return free if _takes_any_width(free) else split

    heads, key_heads = sizes.get(HEADS), sizes.get(KEY_HEADS)
    fewer = {name: size for name, size in sizes.items() if name != KEY_HEADS}
    if heads is None or key_heads is None:
        yield make(sizes, {})
    elif _LATENT in sizes and heads == key_heads:
        yield make(fewer, {KEY_HEADS: HEADS})
    else:
        yield make(sizes, {})
        if heads == key_heads:
            yield make(fewer, {KEY_HEADS: HEADS})
        else:
            yield make(fewer, {}, (Rule(key_heads, "divides", HEADS), Rule(2 * key_heads, "at_most", HEADS)))


def _list_sizes(config: PreTrainedConfig) -> dict[str, int]:
    """Return the sizes of a config that may be symbols."""
    fields = config.to_dict()
    counted = next((name for name in EXPERTS if _has(config, fields, name)), None)
    names = [name for name in SIZES if _has(config, fields, name) and (name not in EXPERTS or name == counted)]
    sizes: dict[str, int] = {name: getattr(config, name) for name in names}
    if _LATENT in sizes:
        sizes.pop(HEAD_CHANNELS, None)
    elif HEAD_CHANNELS not in sizes and {WIDTH, HEADS} <= sizes.keys():
        sizes[HEAD_CHANNELS] = sizes[WIDTH] // sizes[HEADS]
    return {name: sizes[name] for name in SIZES if name in sizes}


def _list_groups(config: PreTrainedConfig, sizes: Mapping[str, int]) -> tuple[Rule, ...]:
    """Return what holds where experts are chosen by groups, in each of which the code looks at the best two."""
    groups = getattr(config, "n_group", None)
    experts = next((name for name in EXPERTS if name in sizes), None)
    if type(groups) is not int or groups < 2 or experts is None:
        return ()
    return Rule(groups, "divides", experts), Rule(2 * groups, "at_most", experts)


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
