"""From a config of transformers to a compiled model, registered in this process, with evidence for its formulas."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from attrs import asdict, evolve, field, frozen

from modelmeter.compiled_model import CompiledModel
from modelmeter.frontend.assemble import Begin, trace_model
from modelmeter.frontend.cards.card import Card
from modelmeter.frontend.cards.page_rules import PAGE_RULES, PageRule
from modelmeter.frontend.cards.shipped import find_card
from modelmeter.frontend.checks import prepare_checks
from modelmeter.frontend.configs.assumed import list_defaults
from modelmeter.frontend.configs.carded import find_card_of
from modelmeter.frontend.configs.config import ModelConfig, make_config, read_model_config
from modelmeter.frontend.configs.quiet import quiet
from modelmeter.frontend.configs.sources import check_name
from modelmeter.frontend.configs.suspects import blaming_config
from modelmeter.frontend.definition import define_model
from modelmeter.frontend.evidence import Checked
from modelmeter.frontend.general.general_form import add_general
from modelmeter.frontend.prepared import prepare_model
from modelmeter.frontend.records import TracedModel
from modelmeter.frontend.refusals import name_line
from modelmeter.frontend.serving import list_beside, make_serving
from modelmeter.frontend.training.traced_step import add_training
from modelmeter.model.registry import register_model
from modelmeter.support.garbage import without_collection

POINTS = 3
"""At how many points each stage is counted without symbols, if nobody says how many."""


@frozen(kw_only=True)
class TracedCompilation:
    """A compiled model, its traces, and what was checked.

    Parameters
    ----------
    compiled, traced
        These.
    check
        Returns what was checked. It waits for the counts when it is first asked, and raises where one differs from the
        formulas.
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
    _check: Callable[[], tuple[Checked, ...]]
    page_rule: PageRule | None = None
    assumed: Mapping[str, Any] = field(factory=dict)
    max_position_embeddings: int | None = None
    tower: Card | None = None

    @property
    def checked(self) -> tuple[Checked, ...]:
        """All that was checked, which is waited for when it is first asked for; a count may differ then."""
        return self._check()

    def to_record(self) -> dict[str, Any]:
        """Return what was checked, as it stands beside the evaluators."""
        return {
            "model": self.traced.title,
            "model_type": self.traced.model_type,
            "class": self.traced.class_name,
            "assumed": dict(self.assumed),
            **({"refused": dict(self.traced.refused)} if self.traced.refused else {}),
            "summary": " ".join(filter(None, (self.traced.checks, self.traced.training_checks))),
            "checks": [
                {key: value for key, value in asdict(each).items() if key != "seconds"}  # of this run, not of the model
                for each in self.checked
            ],
        }


@frozen(kw_only=True)
class _Source:
    """What is compiled: what was read, the card whose tower it has, and how many positions the config names."""

    read: ModelConfig
    card: Card | None
    positions: int | None


def compile_config(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    name: str | None = None,
    points: int = POINTS,
    general: bool = False,
    training: bool = False,
    begin: Begin = lambda step: None,
) -> TracedCompilation:
    """Compile the causal decoder of a config, a mapping or a model type of transformers, and register it.

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
    with open_compilation(
        source, name=name, points=points, general=general, training=training, begin=begin
    ) as compilation:
        return compilation


def compile_card(
    card: Card, *, name: str | None = None, points: int = POINTS, begin: Begin = lambda step: None
) -> TracedCompilation:
    """Compile the model of a card; see :func:`compile_config`."""
    begin("read the config")
    with _compile_source(read_card(card, name), points, begin) as compilation:
        return compilation


@contextmanager
def open_compilation(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    name: str | None = None,
    points: int = POINTS,
    general: bool = False,
    training: bool = False,
    begin: Begin = lambda step: None,
    parallel: bool = False,
) -> Iterator[TracedCompilation]:
    """Yield what :func:`compile_config` returns, while the model may still be counted; register it at the end.

    Parameters
    ----------
    source, name, points, general, training, begin
        As there.
    parallel
        Whether forked processes trace and count, too. Without them, the model is counted when that is asked for.

    Raises
    ------
    ModelMeterError
        As there; at the end, too.
    """
    if name is not None:
        check_name(name)
    begin("read the config")
    card = find_card(source)
    found = read_card(card, name) if card is not None else _read_config(source, name)
    with _compile_source(found, points, begin, general=general, training=training, parallel=parallel) as compilation:
        yield compilation


def read_card(card: Card, name: str | None = None) -> _Source:
    """Return what the config of a card says, and what holds where it says nothing."""
    fields = {**card.config, "model_type": card.model_type}
    read = make_config(fields, name or card.title, place=card.name, is_carded=True)
    # What a card does not say is a default of the class, and nothing that was published.
    says_positions = "max_position_embeddings" in {**card.config, **card.config.get("text_config", {})}
    # A card says where a published config differs from the defaults; one that says no size was compared with none.
    assumed = {} if card.config else list_defaults(read.config)
    positions = find_positions(read.config) if says_positions else None
    return _Source(read=evolve(read, assumed=assumed), card=card, positions=positions)


def _read_config(source: str | os.PathLike[str] | Mapping[str, Any], name: str | None) -> _Source:
    read = read_model_config(source, name=name)
    return _Source(read=read, card=find_card_of(read.config), positions=find_positions(read.config))


@contextmanager
def _compile_source(
    source: _Source,
    points: int,
    begin: Begin,
    *,
    general: bool = False,
    training: bool = False,
    parallel: bool = False,
) -> Iterator[TracedCompilation]:
    read, card = source.read, source.card
    rule = None if card is None else PAGE_RULES.get(card.name)
    with ExitStack() as stack:
        stack.enter_context(without_collection())
        with quiet(), blaming_config(read.config), name_line("a trace of the modules"):
            begin("build the modules")
            prepared = prepare_model(read.config, card=card, class_name=read.class_name)
            checks = stack.enter_context(prepare_checks(prepared, read.name, points, begin, parallel=parallel))
            traced = trace_model(prepared, read.name, begin, parallel=parallel)
        if general:
            with quiet():  # transformers warns of small configs, which are refused by name
                traced = add_general(traced, prepared.depth, read.config, _compile, begin)
        traced = evolve(traced, checks=checks.describe(traced))
        of_training: list[Checked] = []
        if training:
            traced, of_training = add_training(traced, prepared.depth, read.config, checks.choose_points(traced), begin)
        begin("add up the formulas")
        compiled = _compile(traced).make_all()
        check = cache(lambda: (*checks.run(traced, compiled, begin), *of_training))
        yield TracedCompilation(
            compiled=compiled, traced=traced, check=check,
            page_rule=rule, assumed=read.assumed, max_position_embeddings=source.positions,
            tower=card if card and card.tower else None,
        )  # fmt: skip
        check()  # what nobody asked for has to be equal, too
    serving = make_serving(tuple(traced.runs), traced.default_workload)
    register_model(
        compiled.definition,
        beside=list_beside(serving, rule, source.positions, traced.refused, tuple(traced.runs)),
    )


def find_positions(config: Any) -> int | None:
    """Return ``max_position_embeddings`` of the text config of a model; None where it has none."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def _compile(traced: TracedModel) -> CompiledModel:
    definition = define_model(traced)
    return CompiledModel(
        definition=definition, architecture=definition.make_architecture(), graph=traced.graph, name=traced.title
    )
