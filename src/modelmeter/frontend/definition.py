"""The record of a traced model, as the registry and the compiler know models."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import ClassVar, Final

import sympy
from attrs import evolve, field, frozen

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.size_rules import Rule
from modelmeter.dimensions.symbols import Dimension, Dimensions, define_sizes
from modelmeter.frontend.cards.card import Tower
from modelmeter.frontend.general.config_sizes import describe_general
from modelmeter.frontend.positions import split_context
from modelmeter.frontend.records import TracedModel, TracedRun
from modelmeter.frontend.training.step import SEES, describe_training, make_training_step
from modelmeter.frontend.tree import LayerTrees
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.metrics.cost import Elements
from modelmeter.model.definition import Derivation, DerivedSize, Model
from modelmeter.model.loop import Loop
from modelmeter.model.presentation import Checks
from modelmeter.model.stages import ARCHITECTURE_CONVENTION, Stage

VISION, PREFILL, DECODE = "vision", "prefill", "decode"

TEXT_DIMENSIONS = Dimensions(
    workload=define_sizes(
        "workload",
        ("batch_size", "sequences", "sequences processed side by side"),
        ("seq_len", "tokens", "prompt length", 2),
        ("decode_steps", "steps", "decode steps of one token each", 0),
        ("max_new_tokens", "tokens", "tokens to generate; the first comes from the prefill"),
    ),
    local=define_sizes("local", ("decode_step", "steps", "the step that is looked at, from 1")),
    latex={
        "batch_size": "B", "decode_steps": "T", "decode_step": "t", "max_new_tokens": r"T_{\mathrm{new}}",
        "seq_len": "S",
    },
)  # fmt: skip
"""The sizes of a text decoder."""

TEXT_STAGES = {
    PREFILL: Stage(
        name=PREFILL,
        words="the decoder over the prompt, and the LM head over its last position",
        meaning="The decoder over the whole prompt, and the LM head over its last position.",
    ),
    DECODE: Stage(
        name=DECODE,
        words="all decode steps of one token each; step t sees seq_len + t keys",
        meaning="All decode steps in closed form: each takes one token, and step ``decode_step`` sees "
        "``seq_len`` + ``decode_step`` keys, or those of the window of a layer that has one.",
        shares_parameters=True,
    ),
}
"""The stages of a text decoder."""


REFUSED_RULE: Final = "Refused stages"
"""The name of the counting rule that names them."""


def hold_parameters_once(runs: Mapping[str, TracedRun]) -> dict[str, TracedRun]:
    """Return runs of a text decoder of which the first has the parameters that the others share with it."""
    return {
        name: run if place else evolve(run, stage=evolve(run.stage, shares_parameters=False))
        for place, (name, run) in enumerate(runs.items())
    }


def describe_refused(refused: Mapping[str, str], stages: Collection[str]) -> dict[str, str]:
    """Return the counting rule that names the stages that are refused, if any are."""
    if not refused:
        return {}
    named = " ".join(f"``{name}`` is refused: {reason}." for name, reason in refused.items())
    return {
        REFUSED_RULE: f"{named} So the model has no request and no training step, which have it, too; its other stages "
        f"are as of any model: {', '.join(f'``{name}``' for name in stages)}."
    }


def make_vision_stage(tower: Tower) -> Stage:
    """Return the stage before the prefill of a model that sees."""
    sizes = ", ".join(f"``{size.name}``" for size in tower.sizes)
    meaning = f"{tower.words[:1].upper()}{tower.words[1:]}: {sizes}."
    return Stage(name=VISION, words=tower.words, meaning=meaning)


def make_vision_dimensions(tower: Tower) -> Dimensions:
    """Return the sizes of a model that sees: those of its images before those of its text."""
    first, *others = tower.sizes
    workload: dict[str, Dimension] = {}
    for size in tower.sizes:
        workload |= size.make_dimensions()
    return Dimensions(
        workload={
            **workload,
            **define_sizes("workload", ("prompt_tokens", "tokens", "tokens of the prompt beside those of its images")),
            **TEXT_DIMENSIONS.workload,
        },
        local=TEXT_DIMENSIONS.local,
        latex={
            first.name: first.latex, "batch_size": "B", "decode_steps": "T", "decode_step": "t",
            "max_new_tokens": r"T_{\mathrm{new}}", "prompt_tokens": "P", "seq_len": "S",
            **{size.name: size.latex for size in others},
        },
    )  # fmt: skip


def default_vision_workload(tower: Tower, image_tokens: sympy.Expr, longest: int | None = None) -> dict[str, int]:
    """Return the default sizes of a model that sees: the images of its card in a prompt of few words."""
    images = {size.name: size.default for size in tower.sizes}
    tokens = evaluate(image_tokens, images)
    return {**images, "prompt_tokens": 10, **default_text_workload(longest), "seq_len": int(tokens) + 10}


def describe_images(remarks: str) -> dict[str, str]:
    """Return the counting rule for images; ``remarks`` are those of a card."""
    return {
        "Images": "The images of all prompts are looked at in one call: ``num_images`` for each of ``batch_size``, all "
        "of the same sizes. The prefill is that of a prompt of tokens. It leaves out what puts the features of images "
        "in their places, and what makes positions of grids: no matrix products."
        + (f" This model is counted {remarks}." if remarks else "")
    }


DEFAULT_PROMPT = 1024
"""Tokens of the default workload: of the prompt, and as many that are generated."""


CONVENTIONS: Final[Mapping[str, str]] = {
    "Traced modules": "Every operator is one that the modules of transformers dispatch on the meta device, with "
    "``scaled_dot_product_attention`` for the attention. Logits are those of the last position, as ``generate`` asks "
    "for them.",
    "Small integers": "Booleans take 8 bits each, and integers of 32 bits as many: they are masks and counts.",
    "Cache": "Keys and values are appended to the cache in place, as serving engines and static caches do. "
    "``DynamicCache`` of transformers makes new tensors at every step, and copies all that is cached into them: it "
    "reads and writes ``kv_cache_bytes`` once more in each step.",
}
"""Counting rules of traced models."""


def default_text_workload(longest: int | None = None) -> dict[str, int]:
    """Return the default sizes of a text decoder, which keep within the ``longest`` context."""
    tokens = DEFAULT_PROMPT if longest is None else min(DEFAULT_PROMPT, longest // 2)
    return {
        "batch_size": 1, "seq_len": tokens, "decode_steps": tokens - 1,
        "max_new_tokens": tokens, "weight_bits": 16, "activation_bits": 16, "kv_bits": 16,
    }  # fmt: skip


@frozen(kw_only=True)
class TracedArchitecture:
    """The sizes of a traced model: those of its config, if they were made symbols."""

    model: ClassVar[str] = ""
    longest_context: int | None = None
    sizes: Mapping[str, int] = field(factory=dict)

    def dimension_values(self) -> dict[str, int]:
        """Return the sizes that are symbols, and the largest prompt and output if their number has an end."""
        return {**split_context(self.longest_context), **self.sizes}


def name_model(title: str) -> str:
    """Return the name in the registry and in ids of formulas: ``Qwen/Qwen3-0.6B`` is ``qwen3-0-6b``."""
    name = re.sub(r"[^a-z0-9]+", "-", title.rpartition("/")[2].lower()).strip("-") or "model"
    return name if name[0].isalpha() else f"model-{name}"


def name_package(title: str) -> str:
    """Return the import name of the evaluators: ``qwen3_0_6b_costs``."""
    return f"{name_model(title).replace('-', '_')}_costs"


def _list_derived(traced: TracedModel) -> Iterator[DerivedSize]:
    if traced.image_tokens is not None:
        yield DerivedSize(
            name="image_tokens", formula=traced.image_tokens, words="the tokens of the images of a prompt"
        )


def _describe_architecture(traced: TracedModel) -> dict[str, str]:
    """Return which sizes of the config are symbols, or why none is."""
    if traced.general is not None:
        return {ARCHITECTURE_CONVENTION: describe_general(traced.general)}
    if traced.general_refused:
        return {ARCHITECTURE_CONVENTION: f"``general`` has no sizes of the architecture: {traced.general_refused}."}
    return {
        ARCHITECTURE_CONVENTION: "``general`` has no sizes of the architecture: it was compiled without ``--general``."
    }


@cache
def _make_architecture(name: str) -> type[TracedArchitecture]:
    return frozen(kw_only=True)(type("TracedArchitecture", (TracedArchitecture,), {"model": name}))


def define_model(traced: TracedModel) -> Model:
    """Return the record of a traced model."""
    name = name_model(traced.title)
    architecture, trees = _make_architecture(name), LayerTrees(model=traced)
    dimensions, form = traced.dimensions, traced.general

    def list_inputs(sizes: Mapping[str, Size]) -> dict[str, Elements]:
        return {run: Elements() for run in traced.runs}  # the traces have them among their tensors

    def make_architecture() -> TracedArchitecture:
        return architecture(longest_context=traced.longest_context, sizes={} if form is None else form.sizes)

    def read_architecture(graph: ModuleGraph) -> TracedArchitecture:
        return make_architecture()

    seen = {
        run: {trees.node_paths[path] for forward in each.forwards for path in forward.paths}
        for run, each in traced.runs.items()
    }

    def stage_of(run: str, path: str) -> str:
        """Return the run where a module does anything in it, and else the first in which it does.

        A module that is never called, such as an embedding whose table is read by others, is where those are.
        """
        while path and not any(path in paths for paths in seen.values()):
            path = path.rpartition(".")[0]
        return run if path in seen[run] else next((other for other, paths in seen.items() if path in paths), run)

    return Model(
        name=name,
        title=traced.title,
        package=name_package(traced.title),
        dimensions=dimensions,
        stages=tuple(run.stage for run in traced.runs.values()),
        refused=traced.refused,
        stage_of=stage_of,
        build_layers=trees.build,
        list_inputs=list_inputs,
        make_architecture=make_architecture,
        read_architecture=read_architecture,
        default_workload=lambda: dict(traced.default_workload),
        trace=lambda sizes: traced.graph,
        loop=Loop(stage=DECODE, index=dimensions.symbol("decode_step"), count=dimensions.symbol("decode_steps"))
        if DECODE in traced.runs
        else None,
        training=None if traced.training is None else make_training_step(PREFILL, trees.build_training),
        derivations=(
            *(
                ()
                if traced.image_tokens is None
                else (
                    Derivation(
                        name="seq_len",
                        terms=("image_tokens", "prompt_tokens"),
                        words="the image tokens and ``prompt_tokens``",
                        meaning="tokens of the images, and the text",
                        replaces="prompt_tokens",
                    ),
                )
            ),
            Derivation(
                name="decode_steps",
                terms=("max_new_tokens", -1),
                words="``max_new_tokens - 1``",
                meaning="the prefill makes the first token",
                replaces="max_new_tokens",
            ),
        ),
        derived=tuple(_list_derived(traced)),
        rules=(
            *(
                ()
                if traced.longest_context is None
                else (Rule("seq_len", "at_most", "longest_prompt"), Rule("decode_steps", "at_most", "longest_output"))
            ),
            *(() if traced.image_tokens is None else (Rule("image_tokens", "at_most", "seq_len"),)),
            *(() if form is None else form.rules),
        ),
        description=f"``{traced.class_name}`` of transformers",
        workload_words="a prompt of {seq_len} tokens and {max_new_tokens} new ones".format(**traced.default_workload),
        conventions={
            **CONVENTIONS,
            **traced.conventions,
            **_describe_architecture(traced),
            **describe_training(
                traced.training is not None, traced.training_refused or (SEES if VISION in traced.runs else "")
            ),
        },
        checks=Checks(layers=traced.checks, stages=traced.checks, training=traced.training_checks, peaks=traced.checks),
    )
