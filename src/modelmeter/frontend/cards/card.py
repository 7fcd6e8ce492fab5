"""Cards: what is per model and cannot be read off its code. A text decoder of any config needs none.

A card has the published sizes of a model. For a model that sees, it says what an image is in sizes, how the tower is
called for it, how many tokens it has, and the terms that its counts are made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import sympy
from attrs import field, frozen

from modelmeter.dimensions.symbols import Dimension, define_sizes
from modelmeter.frontend.cards.page_rules import PAGE_RULES
from modelmeter.model.refused_stages import refuse_stage

BATCH_SIZE: Final = "batch_size"
"""Prompts side by side, each with its images."""

DEFAULT_CLASS: Final = ""
"""The class of modules that transformers has for causal decoders of a type."""


@frozen(kw_only=True)
class ImageSize:
    """A size of the workload of a model that sees.

    Parameters
    ----------
    name, unit, words, latex
        As of any size.
    least
        The smallest that the terms of the tower hold for.
    most
        The largest that a count needs: the interpolation and its checks draw up to it.
    default
        In the default workload.
    per
        The sizes that it is times of, where the tower takes all of them together: there are ``num_images`` images for
        each of ``batch_size`` prompts.
    """

    name: str
    unit: str
    words: str
    latex: str
    least: int
    most: int
    default: int
    per: tuple[str, ...] = ()

    @property
    def symbol(self) -> sympy.Symbol:
        """The symbol of its name."""
        return self.make_dimensions()[self.name].symbol

    def make_dimensions(self) -> dict[str, Dimension]:
        """Return it as one of the sizes of a workload."""
        return define_sizes("workload", (self.name, self.unit, self.words, self.least))


@frozen(kw_only=True)
class Blocks:
    """A list of blocks of a tower, of which few are counted for all.

    Parameters
    ----------
    path
        Of the list.
    list_kinds
        Returns the kind of each block from the config, where the blocks themselves do not tell; else those that are
        built alike are of a kind.
    """

    path: str
    list_kinds: Callable[[Any], Sequence[int]] | None = None


@frozen(kw_only=True)
class Tower:
    """How a model sees.

    Parameters
    ----------
    sizes
        Of its images; the number of images of a prompt is the first.
    look
        Runs the tower on images of given sizes, by unmodified code: it is called with the modules below the LM head,
        the sizes, and what ``make_inputs`` returned for them. It looks at the images of all prompts together: for it,
        and for ``make_inputs`` and ``terms``, a size with ``per`` is that of all prompts.
    make_inputs
        Returns what the tower is given, which the caller holds while it runs.
    terms
        What its counts are sums of, with rational coefficients.
    blocks
        The lists of blocks of which few are counted.
    shallow
        The keys of a tower of few blocks, by section and maybe section therein: it has two blocks of each kind.
    views
        As how many views of maybe two sizes, the first and all others, an image is looked at in loops: all of its
        views come before those of the next image.
    words
        What the stage is, in few words.
    """

    sizes: tuple[ImageSize, ...]
    look: Callable[[Any, Mapping[str, int], Any], object]
    make_inputs: Callable[[Mapping[str, int]], Any]
    terms: tuple[sympy.Expr, ...]
    blocks: tuple[Blocks, ...]
    shallow: Mapping[str, Any]
    views: sympy.Expr = sympy.S.One
    words: str = "the vision tower and its merger, over the images of all prompts"

    def add_up(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return the sizes of a workload, with those of all prompts together where the tower takes these."""
        return {
            **sizes, **{size.name: math.prod(sizes[name] for name in (*size.per, size.name)) for size in self.sizes}
        }  # fmt: skip

    @property
    def totals(self) -> dict[sympy.Symbol, sympy.Expr]:
        """What the symbols of its terms are in sizes of a workload."""
        known = {size.name: size.symbol for size in self.sizes} | {
            BATCH_SIZE: define_sizes("workload", BATCH_SIZE)[BATCH_SIZE].symbol
        }
        return {
            size.symbol: sympy.prod(known[name] for name in (*size.per, size.name)) for size in self.sizes if size.per
        }


@frozen(kw_only=True)
class Card:
    """What is per model.

    Parameters
    ----------
    name, title
        In lists, and of the published model.
    model_type, class_name
        Of transformers; without a class, that of the causal decoder.
    config
        What of the published config differs from the defaults of the class.
    tower
        How it sees, if it does.
    image_tokens
        The tokens of one image with its tiles, if it sees.
    refused
        Stages that its traces refuse, by name, with the module, the operator and the line that are in the way.
    remarks
        What is left out of the formulas, and why, if anything is.
    """

    name: str
    title: str
    model_type: str
    class_name: str = DEFAULT_CLASS
    config: Mapping[str, Any] = field(factory=dict)
    tower: Tower | None = None
    image_tokens: sympy.Expr = sympy.S.Zero
    refused: Mapping[str, str] = field(factory=dict)
    remarks: str = ""

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that formulas are made of."""
        named = ("vision", "prefill", "decode") if self.tower is not None else ("prefill", "decode")
        return tuple(stage for stage in named if stage not in self.refused)

    def refuse_stage(self, name: str) -> None:
        """Refuse a stage that the compiled model lacks, and what is made of it; let any other name pass.

        Raises
        ------
        RefusedStageError
            With the reason.
        """
        refuse_stage(name, self.refused, self.stages)

    def describe(self) -> Iterator[str]:
        """Yield the lines that list it: its stages, those that are refused and why, its pages, and what is left out."""
        of = f", {self.class_name}" if self.class_name else ""
        yield f"{self.name}: {self.title}, {self.model_type}{of}; {', '.join(self.stages)}"
        for stage, reason in self.refused.items():
            yield f"  {stage} is refused: {reason}"
        if self.tower is not None:
            rule = PAGE_RULES.get(self.name)
            yield f"  --page gives {', '.join(rule.sizes)}" if rule else "  it takes no --page"
        if self.remarks:
            yield f"  {self.remarks}"


def look_at_features(modules: Any, sizes: Mapping[str, int], inputs: Mapping[str, Any]) -> object:
    """Call ``get_image_features``, as the models of transformers do for the images of a prompt."""
    return modules.get_image_features(**inputs)
