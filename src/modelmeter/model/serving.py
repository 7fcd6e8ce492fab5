"""How a model is served: which of its stages run once for a page, and which once for a token. Needs no sympy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from attrs import field, frozen

from modelmeter.model.refusals import refuse_stage_of
from modelmeter.model.registry import DEFAULT, find_beside
from modelmeter.support.errors import WorkloadError
from modelmeter.support.suggestions import unknown_name

MODULE = "serving"
"""The module beside that of a :class:`~modelmeter.model.definition.Model` which has its ``SERVING``, if it has."""


@frozen(kw_only=True)
class ServingMode:
    """A published way to look at pages.

    Parameters
    ----------
    name
        What users type.
    sizes
        The sizes that the views are made with: some of ``PageViews.defaults``.
    is_cut
        Whether a page may be cut into tiles; else it is one view, whatever its sides.
    """

    name: str
    sizes: Mapping[str, int]
    is_cut: bool


@frozen(kw_only=True)
class RoutedModules:
    """Modules side by side of which each token takes only some, so that not all of them are launched.

    Parameters
    ----------
    parent
        The name of the module that holds them: the last part of its path.
    num_modules, num_chosen
        The constructor parameters, of the module above, that say how many there are and how many a token takes.
    """

    parent: str
    num_modules: str
    num_chosen: str


@frozen(kw_only=True)
class ShardRule:
    """How modules are divided among the ranks of a tensor-parallel group.

    Parameters
    ----------
    pattern
        Of the path of a module, a colon, and the name of its class; the first rule that fits counts, and what none fits
        is held by every rank as a whole.
    size
        The constructor parameter that says how many units there are to be divided; of the module itself, or of the
        nearest one above that has it.
    unit
        What these are, as a plural.
    may_differ
        Whether ranks may have different numbers of them, the first ones one more; else they have to divide evenly.
    is_replicated
        Whether each unit is held by several ranks where there are fewer units than ranks; else that is refused.
    """

    pattern: str
    size: str
    unit: str
    may_differ: bool = False
    is_replicated: bool = False


@frozen(kw_only=True)
class CollectiveRule:
    """What the ranks of a tensor-parallel group send each other after a module.

    Parameters
    ----------
    pattern
        As of a :class:`ShardRule`.
    is_gathered
        Whether each rank has a part of the result that all need (all-gather), else a term of a sum (all-reduce).
    channels
        The constructor parameter that says how wide the result is.
    is_of_logits
        Whether there is a row for each position that gets logits, instead of for each token.
    """

    pattern: str
    channels: str
    is_gathered: bool = False
    is_of_logits: bool = False


_Rule = TypeVar("_Rule", ShardRule, CollectiveRule)


def find_rule(rules: Iterable[_Rule], path: str, class_name: str) -> _Rule | None:
    """Return the first rule that fits a module, by its path and the name of its class; None if none does."""
    label = f"{path}:{class_name}"
    return next((rule for rule in rules if fnmatchcase(label, rule.pattern)), None)


@frozen(kw_only=True)
class Serving:
    """What a serving engine runs of a model, in the names of its evaluators.

    Parameters
    ----------
    item, items
        What is served, in singular and plural: a page, where a model does not say otherwise.
    item_sizes
        The sizes of an item and their defaults, of a model that is given them as they are; none of a model that looks
        at pages, whose views follow from their pixels.
    repository
        The name that engines load the model by; None where they do not.
    preprocessing
        The program of the vendor that makes the views where nothing else is said.
    modes
        The published ways to look at items, by name; the first one is the default.
    page_stages
        The stages that run once for each item, on its views.
    prompt_stage
        The stage that runs once over the prompt of an item, its image tokens among them, and gives the first token;
        None where all tokens come from steps.
    step_stage
        The stage that runs in steps of one token.
    image_tokens
        The evaluator that returns the tokens of an item from the sizes of its views; None where an item has none.
    prompt_tokens
        The size of the prompt beside the image, and its default; None where an item is its prompt.
    seq_len, logits_tokens, steps
        The sizes of a prompt, of the positions that get logits, and of the steps of ``step_stage``; the first two are
        None without a prompt, so that a step reads what the steps before it wrote, and the second where the last
        position gets them, and no other.
    batch_size
        The size of how many items are in flight.
    output_tokens
        How many tokens are written for an item where nobody says.
    routed
        The modules of which a token takes some.
    shards, collectives
        How the model is divided among cards; nothing is where these are empty.
    """

    item: str = "page"
    items: str = "pages"
    item_sizes: Mapping[str, int] = field(factory=dict)
    repository: str | None = None
    preprocessing: str | None = None
    modes: Mapping[str, ServingMode]
    page_stages: tuple[str, ...]
    prompt_stage: str | None = None
    step_stage: str
    image_tokens: str | None = None
    prompt_tokens: tuple[str, int] | None = None
    seq_len: str | None = None
    logits_tokens: str | None = None
    steps: str
    batch_size: str
    output_tokens: int = 1024
    routed: tuple[RoutedModules, ...] = ()
    shards: tuple[ShardRule, ...] = ()
    collectives: tuple[CollectiveRule, ...] = ()

    def __attrs_post_init__(self) -> None:
        sizes = (self.seq_len, self.prompt_tokens, self.logits_tokens)
        if (self.prompt_stage is None) != (self.seq_len is None) or (
            self.prompt_stage is None and any(each is not None for each in sizes)
        ):
            raise WorkloadError(
                "a model has a prompt or none", place="SERVING",
                expected="prompt_stage and seq_len, or neither of them, nor prompt_tokens and logits_tokens",
            )  # fmt: skip
        if self.prompt_stage is not None and self.prompt_tokens is None and self.seq_len not in self.item_sizes:
            raise WorkloadError(
                "a prompt has no length", place="SERVING", expected=f"prompt_tokens, or {self.seq_len} in item_sizes"
            )

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that hold all parameters between them: those of items, and the first one that writes tokens."""
        return (*self.page_stages, self.prompt_stage or self.step_stage)

    def count_items(self, count: int) -> str:
        """Return so many items in words: ``1 page``, ``1,024 pages``."""
        return f"{count:,} {self.item if count == 1 else self.items}"

    def name_sizes(self, **values: Any) -> dict[str, Any]:
        """Return values by the names that the evaluators have for them, less those that this model has not.

        Parameters
        ----------
        values
            By the names of the fields: ``seq_len``, ``logits_tokens``, ``steps``, ``batch_size``.
        """
        named = {field_name: getattr(self, field_name) for field_name in values}
        return {named[name]: value for name, value in values.items() if named[name] is not None}

    def find_mode(self, name: str) -> ServingMode:
        """Return a mode by its name.

        Raises
        ------
        UnknownNameError
            If there is none of this name.
        """
        if name not in self.modes:
            raise unknown_name("mode", name, self.modes)
        return self.modes[name]


def find_serving(model: str = DEFAULT) -> Serving:
    """Return how a registered model is served.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered, or it has no request, as a stage of it is refused.
    WorkloadError
        If the model does not say.
    """
    refuse_stage_of(model, "request")
    found = find_beside(model, MODULE, "SERVING")
    if not isinstance(found, Serving):
        raise WorkloadError(
            "this model does not say how it is served", place=model, remedy="give it a module serving with SERVING"
        )
    return found
