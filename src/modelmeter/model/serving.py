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
    batch_size, page_batch_size
        The sizes of how many pages are in flight, and of how many share a call of ``page_stages``.
    routed
        The modules of which a token takes some.
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
    page_batch_size: str
    routed: tuple[RoutedModules, ...] = ()

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
