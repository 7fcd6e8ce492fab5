"""Quantities of the layer classes of a compiled model."""

from __future__ import annotations

from attrs import field, frozen

from modelmeter.metrics.metric import METRIC_RECORDS
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.context import Context
from modelmeter.scaling.quantity import Quantity
from modelmeter.support.suggestions import unknown_name


@frozen(eq=False)
class LayerSource:
    """A layer class, with quantities in its own sizes: one forward of it."""

    model: CompiledFormulas = field(repr=False)
    name: str

    def metric(self, name: str) -> Quantity:
        """Return a metric as a quantity.

        Raises
        ------
        UnknownNameError
            If there is no such metric.
        """
        if name not in METRIC_RECORDS:
            raise unknown_name(f"metric of {self.name}", name, METRIC_RECORDS)
        formula = self.model.formula(self.name, name)
        (entry,) = (each for each in self.model.catalogue if each.name == self.name)
        definition = self.model.definition
        context = Context(
            defaults=entry.sizes,
            rules=definition.rules,
            dimensions={size: definition.dimensions.describe_in_layer(size) for size in entry.sizes},
        )
        return Quantity(formula=formula, name=f"{self.name}.{name}", unit=METRIC_RECORDS[name].unit, context=context)

    def __getattr__(self, name: str) -> Quantity:
        if name in METRIC_RECORDS:
            return self.metric(name)
        raise AttributeError(f"{name!r} is no metric; known are {', '.join(METRIC_RECORDS)}")


def layer(model: CompiledFormulas, name: str) -> LayerSource:
    """Return a layer class of a model, by its name or that of its torch class.

    Raises
    ------
    UnknownNameError
        If there is none, or several of one torch class.

    Examples
    --------
    >>> import modelmeter
    >>> layer(modelmeter.load(), "linear").tensor_core_flops.formula
    2*in_features*num_tokens*out_features
    """
    found = model.find_layers(name)
    if len(found) != 1:
        raise unknown_name("layer", name, model.layers, meant=found)
    return LayerSource(model=model, name=found[0])
