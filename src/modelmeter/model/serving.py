"""How a model is served: which of its stages run once for a page, and which once for a token. Needs no sympy."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

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


@frozen(kw_only=True)
class Serving:
    """What a serving engine runs of a model, in the names of its evaluators.

    Parameters
    ----------
    repository
        The name that engines load the model by.
    preprocessing
        The program of the vendor that makes the views where nothing else is said.
    modes
        The published ways to look at pages, by name; the first one is the default.
    page_stages
        The stages that run once for each page, on its views.
    prompt_stage
        The stage that runs once over the prompt of a page, its image tokens among them.
    step_stage
        The stage that runs in steps of one token.
    image_tokens
        The evaluator that returns the tokens of the image of a page from the sizes of its views.
    prompt_tokens
        The size of the prompt beside the image, and its default.
    seq_len, logits_tokens, steps
        The sizes of a prompt, of the positions that get logits, and of the steps of ``step_stage``.
    batch_size
        The size of how many pages are in flight.
    routed
        The modules of which a token takes some.
    shards, collectives
        How the model is divided among cards; nothing is where these are empty.
    """

    repository: str
    preprocessing: str | None
    modes: Mapping[str, ServingMode]
    page_stages: tuple[str, ...]
    prompt_stage: str
    step_stage: str
    image_tokens: str
    prompt_tokens: tuple[str, int]
    seq_len: str
    logits_tokens: str
    steps: str
    batch_size: str
    routed: tuple[RoutedModules, ...] = ()
    shards: tuple[ShardRule, ...] = ()
    collectives: tuple[CollectiveRule, ...] = ()

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
        If no model of this name is registered.
    WorkloadError
        If the model does not say.
    """
    found = find_beside(model, MODULE, "SERVING")
    if not isinstance(found, Serving):
        raise WorkloadError(
            "this model does not say how it is served", place=model, remedy="give it a module serving with SERVING"
        )
    return found
