"""A model before it is traced: its modules, which of its layers are traced, and what these keep."""

from __future__ import annotations

from attrs import frozen
from torch import nn
from transformers import PreTrainedConfig

from modelmeter.frontend.cache import CachedShape
from modelmeter.frontend.cached_states import find_shortest
from modelmeter.frontend.cards.card import DEFAULT_CLASS, Card, Tower
from modelmeter.frontend.experts import ExpertCosts
from modelmeter.frontend.modules import Depth, add_tower, build_modules, choose_depth
from modelmeter.frontend.records import Windows
from modelmeter.frontend.shallow import learn_once
from modelmeter.frontend.text_stages import learn_stages
from modelmeter.frontend.windows import find_windows


@frozen(kw_only=True)
class PreparedModel:
    """A model before it is traced.

    Parameters
    ----------
    config
        Of the model.
    card
        The card whose tower it has, if it sees.
    depth
        Its modules, and which of its layers are traced.
    windows
        Those of its attention, as the config says.
    shapes
        What each layer that is traced keeps.
    experts
        What its loops over experts do.
    """

    config: PreTrainedConfig
    card: Card | None
    depth: Depth
    windows: Windows
    shapes: tuple[CachedShape | None, ...]
    experts: tuple[ExpertCosts, ...]

    @property
    def whole(self) -> nn.Module:
        """The modules of all layers."""
        return self.depth.whole

    @property
    def tower(self) -> Tower | None:
        """What sees, if anything does."""
        return None if self.card is None else self.card.tower

    @property
    def shortest(self) -> int:
        """The tokens of the shortest prompt."""
        return find_shortest(() if shape is None else shape.states for shape in self.shapes)


def prepare_model(
    config: PreTrainedConfig, *, card: Card | None = None, class_name: str = DEFAULT_CLASS
) -> PreparedModel:
    """Build the modules of a config, and learn from a run at small sizes what is not traced.

    Without a card, the text part of a model that sees is of ``class_name``.

    Raises
    ------
    ModelMeterError
        If its modules cannot be built, or do not run.
    """
    windows = find_windows(config)
    class_name = card.class_name if card is not None else class_name
    model = build_modules(config, class_name=class_name)
    depth = choose_depth(config, model, class_name=class_name)
    depth, (shapes, experts) = learn_once(depth, learn_stages)  # in a second; a tower takes a minute
    if card is not None and card.tower is not None:
        depth = add_tower(depth, config, model, card.tower)
    return PreparedModel(config=config, card=card, depth=depth, windows=windows, shapes=shapes, experts=experts)
