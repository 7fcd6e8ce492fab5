"""From a config of transformers to a compiled model, registered in this process, with evidence for its formulas."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from attrs import asdict, evolve, field, frozen
from torch import nn

from modelmeter.analysis.peak import Peak
from modelmeter.compiled_model import CompiledModel
from modelmeter.frontend.assemble import Begin, trace_model
from modelmeter.frontend.cards.card import Card
from modelmeter.frontend.cards.page_rules import PAGE_RULES, PageRule
from modelmeter.frontend.cards.shipped import find_card
from modelmeter.frontend.configs.assumed import list_defaults
from modelmeter.frontend.configs.carded import find_card_of
from modelmeter.frontend.configs.config import ModelConfig, make_config, read_model_config
from modelmeter.frontend.configs.quiet import quiet
from modelmeter.frontend.configs.sources import check_name
from modelmeter.frontend.configs.suspects import blaming_config
from modelmeter.frontend.definition import VISION, define_model
from modelmeter.frontend.evidence import Checked, check_stage, choose_points, describe_checks, put_in_widths
from modelmeter.frontend.general.general_form import add_general
from modelmeter.frontend.modules import Depth, count_layers
from modelmeter.frontend.records import TracedModel, describe_sizes
from modelmeter.frontend.refusals import name_line
from modelmeter.frontend.serving import list_beside, make_serving
from modelmeter.frontend.shallow import build_shallow
from modelmeter.frontend.text_stages import follow_stages, learn_stages
from modelmeter.frontend.tracing import DTYPE
from modelmeter.frontend.training.traced_step import add_training
from modelmeter.frontend.vision import run_vision
from modelmeter.model.registry import register_model
from modelmeter.support.garbage import without_collection
from modelmeter.verify.symbolic_trace import Forward

POINTS = 3
"""At how many points each stage is counted without symbols, if nobody says how many."""


@frozen(kw_only=True)
class TracedCompilation:
    """A compiled model, its traces, and what was checked.

    Parameters
    ----------
    compiled, traced, checked
        These.
    page_rule
        How it looks at pages, if it does.
    assumed
        What its config does not say, and what holds instead.
    max_position_embeddings
        How many positions its config names, if it does.
    tower
        The card whose tower it has, if it sees.
    """

    compiled: CompiledModel
    traced: TracedModel
    checked: tuple[Checked, ...]
    page_rule: PageRule | None = None
    assumed: Mapping[str, Any] = field(factory=dict)
    max_position_embeddings: int | None = None
    tower: Card | None = None

    def to_record(self) -> dict[str, Any]:
        """Return what was checked, as it stands beside the evaluators."""
        return {
            "model": self.traced.title,
            "model_type": self.traced.model_type,
            "class": self.traced.class_name,
            "assumed": dict(self.assumed),
            **({"refused": dict(self.traced.refused)} if self.traced.refused else {}),
            "summary": " ".join(filter(None, (self.traced.checks, self.traced.training_checks))),
            "checks": [{**asdict(each), "seconds": round(each.seconds, 2)} for each in self.checked],
        }


def compile_config(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    name: str | None = None,
    points: int = POINTS,
    general: bool = False,
    training: bool = False,
    begin: Begin = lambda step: None,
) -> TracedCompilation:
    """Compile the causal decoder of a config, a mapping or a model type of transformers.

    Parameters
    ----------
    source
        A ``config.json`` or the folder of one, its fields, or a model type, which stands for its default config.
    name
        What the model is called.
    points
        At how many points each stage is counted without symbols.
    general
        Whether sizes of the config become symbols, too.
    training
        Whether the training step is traced.
    begin
        Is called with the name of each step as it begins.

    Raises
    ------
    UnknownNameError, ArchitectureError
        If the source is no such config, or the name is none.
    CountError
        If nothing accounts for an operator, a size cannot be a symbol, or a count differs from the formulas.
    """
    if name is not None:
        check_name(name)
    card = find_card(source)
    if card is not None:
        return compile_card(card, name=name, points=points, general=general, training=training, begin=begin)
    begin("read the config")
    read = read_model_config(source, name=name)
    return _compile_model(
        read, find_card_of(read.config), points, begin, general=general, training=training,
        positions=find_positions(read.config),
    )  # fmt: skip


def compile_card(
    card: Card,
    *,
    name: str | None = None,
    points: int = POINTS,
    general: bool = False,
    training: bool = False,
    begin: Begin = lambda step: None,
) -> TracedCompilation:
    """Compile the model of a card; see :func:`compile_config`.

    Raises
    ------
    CountError
        As of a config.
    """
    begin("read the config")
    fields = {**card.config, "model_type": card.model_type}
    read = make_config(fields, name or card.title, place=card.name, is_carded=True)
    # What a card does not say is a default of the class, and nothing that was published.
    says_positions = "max_position_embeddings" in {**card.config, **card.config.get("text_config", {})}
    # A card says where a published config differs from the defaults; one that says no size was compared with none.
    assumed = {} if card.config else list_defaults(read.config)
    return _compile_model(
        evolve(read, assumed=assumed), card, points, begin, general=general, training=training,
        positions=find_positions(read.config) if says_positions else None,
    )  # fmt: skip


@without_collection()
def _compile_model(
    read: ModelConfig,
    card: Card | None,
    points: int,
    begin: Begin,
    *,
    general: bool,
    training: bool,
    positions: int | None,
) -> TracedCompilation:
    with quiet(), blaming_config(read.config), name_line("a trace of the modules"):
        traced, depth = trace_model(read.config, read.name, begin, card=card, class_name=read.class_name)
    if general:
        with quiet():  # transformers warns of small configs, which are refused by name
            traced = add_general(traced, depth, read.config, _compile, begin)
    unchecked = _compile(traced)
    begin("count the modules")
    with quiet():
        checked = _check(read, depth, traced, unchecked, points, begin, card)
    traced = evolve(traced, checks=describe_checks(checked))
    if training:
        traced, more = add_training(traced, depth, read.config, _choose_points(read, traced, points, card), begin)
        checked = [*checked, *more]
    compiled = _compile(traced)
    if "peaks" in vars(unchecked):  # neither words nor a training step change them
        vars(compiled)["peaks"] = unchecked.peaks
    rule = None if card is None else PAGE_RULES.get(card.name)
    serving = make_serving(tuple(traced.runs), traced.default_workload)
    register_model(
        compiled.definition, beside=list_beside(serving, rule, positions, traced.refused, tuple(traced.runs))
    )
    return TracedCompilation(
        compiled=compiled.make_all(), traced=traced, checked=tuple(checked), page_rule=rule,
        assumed=read.assumed, max_position_embeddings=positions, tower=card if card and card.tower else None,
    )  # fmt: skip


def find_positions(config: Any) -> int | None:
    """Return ``max_position_embeddings`` of the text config of a model; None where it has none."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def _compile(traced: TracedModel) -> CompiledModel:
    definition = define_model(traced)
    return CompiledModel(
        definition=definition, architecture=definition.make_architecture(), graph=traced.graph, name=traced.title
    )


def _check(
    read: ModelConfig,
    depth: Depth,
    traced: TracedModel,
    compiled: CompiledModel,
    points: int,
    begin: Begin,
    card: Card | None,
) -> list[Checked]:
    """Count the whole model at one point, models of the traced depth at the others, and at one also in float32."""
    if not points:
        return []
    *others, last = _choose_points(read, traced, points, card)
    return [
        *_check_points(depth, build_shallow(depth), traced, compiled, others, begin, card),
        *_check_points(depth, build_shallow(depth, torch.float32), traced, compiled, [last], begin, card),
        *_check_points(depth, depth.whole, traced, compiled, [last], begin, card),
    ]


def _choose_points(read: ModelConfig, traced: TracedModel, points: int, card: Card | None) -> list[dict[str, int]]:
    return choose_points(
        read.name, points, images=() if card is None or card.tower is None else card.tower.sizes,
        windows=traced.windows, longest=traced.longest_context,
        shortest=traced.dimensions.workload["seq_len"].minimum,
    )  # fmt: skip


def _check_points(
    depth: Depth,
    model: nn.Module,
    traced: TracedModel,
    compiled: CompiledModel,
    points: list[dict[str, int]],
    begin: Begin,
    card: Card | None,
) -> list[Checked]:
    """Count all stages of a model: one of the traced depth, or the whole one."""
    tower, layers = card.tower if card else None, count_layers(model.config)
    if next(model.parameters()).dtype != DTYPE:  # else its loops over experts were counted as it was traced
        learn_stages(model)
    prepare = follow_stages(model)

    def make(module: nn.Module, stage: str, sizes: Mapping[str, int]) -> Forward:
        if tower is not None and stage == VISION:
            return Forward(model=module, run=run_vision(module, tower, tower.add_up(sizes)))
        return prepare(stage, {**sizes, "cached": sizes["seq_len"] + sizes["decode_steps"] - 1})

    peaks: Mapping[str, Peak] = compiled.peaks
    checked = []
    for sizes in points:
        numbers = put_in_widths(sizes, next(model.parameters()).dtype)
        layers_of = compiled.definition.build_layers(numbers)
        for stage in traced.runs:
            begin(f"count {stage} at {describe_sizes(sizes)}")
            checked.append(
                check_stage(
                    stage,
                    model,
                    traced.graph,
                    make,
                    layers_of[stage],
                    peaks[stage],
                    sizes,
                    numbers,
                    layers=layers,
                    traced=None if model is depth.whole else traced.traced_paths,
                )
            )
    return checked
