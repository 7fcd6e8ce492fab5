"""Small configs of the family of a model, and what their unmodified modules are counted at."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen
from torch import nn
from transformers import PreTrainedConfig

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.size_rules import Rule
from modelmeter.frontend.experts import ExpertCosts
from modelmeter.frontend.general.config_sizes import (
    CHOSEN_EXPERTS,
    DENSE_LAYERS,
    DEPTHS,
    EXPERTS,
    HEAD_CHANNELS,
    HEADS,
    KEY_HEADS,
    LAYERS,
)
from modelmeter.frontend.kinds import number_kinds, repeat
from modelmeter.frontend.modules import Stack, build_modules, count_own_parameters
from modelmeter.frontend.operator_parts import list_parts
from modelmeter.frontend.recording import record_forward
from modelmeter.frontend.records import TracedForward, describe_sizes
from modelmeter.frontend.refusals import name_line
from modelmeter.frontend.text_stages import learn_stages, list_stages
from modelmeter.frontend.tracing import read_recording
from modelmeter.support.errors import ArchitectureError, CountError

ForwardName = tuple[str, int]
"""A stage, and the number of one of its traced forwards."""

_DERIVED = ("qk_head_dim", HEAD_CHANNELS)
"""What a config with latent attention works out by itself."""

_MOST_DRAWS = 10_000
_LARGEST = 41


@frozen(kw_only=True)
class Family:
    """The configs that are like that of a model, but for sizes.

    Parameters
    ----------
    config
        Of the model.
    class_name
        Of its modules, if it is not that of causal decoders.
    stack
        Its decoder layers.
    sizes
        The sizes that vary, as the model has them; those of ``DEPTHS`` do so, too.
    tied
        Sizes that are what another one is.
    rules
        What holds between them.
    """

    config: PreTrainedConfig
    class_name: str
    stack: Stack
    sizes: Mapping[str, int]
    tied: Mapping[str, str]
    rules: tuple[Rule, ...]

    @property
    def varying(self) -> tuple[str, ...]:
        """The sizes of layers."""
        return tuple(name for name in self.sizes if name not in DEPTHS)

    def choose_depths(self) -> dict[str, int]:
        """Return depths of a small model that has a layer of each kind."""
        kinds = self.stack.kinds
        if DENSE_LAYERS in self.sizes:
            return {LAYERS: 2, DENSE_LAYERS: 1}
        return {LAYERS: max(kinds.index(kind) for kind in set(kinds)) + 1}

    def is_allowed(self, sizes: Mapping[str, int]) -> bool:
        """Tell whether all rules hold; one that is broken by the depths alone is not asked.

        There are more experts than a token chooses: else a loop over them says nothing about fewer.
        """
        experts = next((sizes[name] for name in EXPERTS if name in sizes), None)
        if experts is not None and experts <= sizes.get(CHOSEN_EXPERTS, 0):
            return False
        return all(rule.holds(sizes) for rule in self.rules if rule.names <= sizes.keys())

    def build(self, sizes: Mapping[str, int], depths: Mapping[str, int]) -> nn.Module:
        """Return the modules of a config with these sizes.

        Raises
        ------
        ArchitectureError
            If transformers refuses it, or makes something else of a size.
        """
        return build_modules(self.make_config({**sizes, **depths}), class_name=self.class_name)

    def make_config(self, sizes: Mapping[str, int]) -> PreTrainedConfig:
        """Return the config with these sizes.

        Raises
        ------
        ArchitectureError
            As :meth:`build`.
        """
        fields = self.config.to_dict()
        if "qk_rope_head_dim" in fields:
            fields = {key: value for key, value in fields.items() if key not in _DERIVED}
        wanted = {**sizes, **{name: sizes[other] for name, other in self.tied.items()}}
        layers = wanted[LAYERS]
        for key, value in fields.items():
            if isinstance(value, list) and len(value) == self.config.num_hidden_layers:
                fields[key] = repeat(value, layers)
        # Special tokens cost nothing, and are none of a small vocabulary.
        fields |= {key: None for key in fields if key.endswith("_token_id")}
        fields |= {self.config.attribute_map.get(name, name): size for name, size in wanted.items()}
        try:
            config = type(self.config).from_dict(fields)
        except Exception as error:  # each class of transformers checks its own config in its own way
            text = " ".join(str(error).split())[:200]
            raise ArchitectureError(
                "transformers refuses a small config", place=describe_sizes(sizes), found=text
            ) from error
        for name, size in wanted.items():
            if getattr(config, name, None) != size:
                raise ArchitectureError(
                    "a config does not keep a size", place=name, expected=size, found=getattr(config, name, None)
                )
        return config

    def draw(self, chance: random.Random) -> dict[str, int]:
        """Return small sizes by chance for which the rules hold.

        Raises
        ------
        CountError
            If none were found.
        """
        for _ in range(_MOST_DRAWS):
            sizes = {name: chance.randint(2, _LARGEST) for name in self.varying}
            if HEADS in sizes:
                sizes[HEADS] = chance.randint(2, 4)
            if KEY_HEADS in sizes:
                sizes[KEY_HEADS] = chance.randint(2, 7)
                sizes[HEADS] = sizes[KEY_HEADS] * chance.randint(2, 4)
            if CHOSEN_EXPERTS in sizes:
                sizes[CHOSEN_EXPERTS] = chance.randint(2, 5)
            # Heads first: a width that they divide follows from them.
            for rule in sorted(self.rules, key=lambda rule: rule.b != HEADS):
                if rule.relation == "divides" and rule.b in sizes and (rule.a, rule.b) != (KEY_HEADS, HEADS):
                    least = sizes[rule.a] if isinstance(rule.a, str) else rule.a
                    sizes[rule.b] = least * chance.randint(2, max(3, _LARGEST // least))
            if self.is_allowed(sizes):
                return sizes
        raise CountError("no small config keeps all rules between sizes", found=sorted(self.varying))

    def vary(self, sizes: Mapping[str, int], name: str) -> dict[str, int]:
        """Return sizes with another value for one of them.

        Raises
        ------
        CountError
            If no other value keeps the rules.
        """
        now = sizes[name]
        for size in (*range(now + 1, 4 * max(sizes.values()) + 1), *range(now - 1, 1, -1)):
            if self.is_allowed({**sizes, name: size}):
                return {**sizes, name: size}
        raise CountError("a size cannot vary alone", place=name, found=describe_sizes(sizes))


@frozen(kw_only=True)
class Seen:
    """An operator that was seen, or experts: then their loop, and its tokens."""

    path: str
    name: str
    parts: Mapping[str, int]
    experts: ExpertCosts | None = None
    tokens: int = 0


@frozen(kw_only=True)
class ForwardCount:
    """What a forward did, by path of the first module of each kind of layer."""

    seen: tuple[Seen, ...]
    kv_elements: Mapping[str, int]
    output_shapes: Mapping[str, Sequence[tuple[int, ...]]]


@frozen(kw_only=True)
class ConfigCount:
    """What the modules of a small config did and hold, at sizes of the config and of a workload for each forward."""

    sizes: Mapping[str, int]
    workloads: Mapping[ForwardName, Mapping[str, int]]
    forwards: Mapping[ForwardName, ForwardCount]
    parameters: Mapping[str, int]


def count_config(
    family: Family, sizes: Mapping[str, int], workloads: Mapping[ForwardName, Mapping[str, int]]
) -> ConfigCount:
    """Build the modules of a small config, and count each forward.

    Raises
    ------
    ModelMeterError
        If they cannot be built or counted.
    """
    depths = family.choose_depths()
    model = family.build(sizes, depths)
    layers = list(model.get_submodule(family.stack.layers).children())
    kinds = number_kinds(layers)
    if len(set(kinds)) != len(set(family.stack.kinds)):
        raise CountError("a small config has other kinds of layers", place=describe_sizes({**sizes, **depths}))
    with name_line(f"a small config, {describe_sizes(sizes)},"):
        stages = list_stages(learn_stages(model, is_checked=False)[0])
        forwards = {}
        for region, workload in workloads.items():
            forward = stages[region[0]].prepare(model, with_cached(workload))
            recording = record_forward(forward.model, forward.run, cache=forward.cache)
            noted = {each.place: each for each in recording.insertions}
            counted = read_recording(evolve(recording, insertions=()), {})
            seen = []
            for place, each in enumerate(counted.operators):
                path = shorten_path(each.path, family.stack.layers, kinds)
                if path is None:
                    continue
                at = noted.get(place)
                parts = {part: int(size) for part, size in list_parts(each.operator).items()} if at is None else {}
                seen.append(
                    Seen(
                        path=path, name=each.operator.name, parts=parts,
                        experts=None if at is None else _as_costs(at.noted), tokens=0 if at is None else int(at.tokens),
                    )
                )  # fmt: skip
            forwards[region] = ForwardCount(
                seen=tuple(seen),
                kv_elements=_shorten(counted.kv_elements, family.stack.layers, kinds),
                output_shapes=_shorten(counted.output_shapes, family.stack.layers, kinds),
            )
    return ConfigCount(
        sizes=sizes, workloads=workloads, forwards=forwards,
        parameters=_shorten(count_own_parameters(model), family.stack.layers, kinds),
    )  # fmt: skip


def _as_costs(noted: Any) -> ExpertCosts:
    if not isinstance(noted, ExpertCosts):
        raise CountError("something else than experts was noted", found=type(noted).__name__)
    return noted


def _shorten(by_path: Mapping[str, Any], layers: str, kinds: Sequence[int]) -> dict[str, Any]:
    shortened = ((shorten_path(path, layers, kinds), value) for path, value in by_path.items())
    return {path: value for path, value in shortened if path is not None}


def shorten_path(path: str, layers: str, kinds: Sequence[int]) -> str | None:
    """Return a path with the kind of its layer for the number, if it is the first one of its kind."""
    if not path.startswith(f"{layers}."):
        return path
    number, dot, below = path.removeprefix(f"{layers}.").partition(".")
    kind = kinds[int(number)]
    return f"{layers}.kind{kind}{dot}{below}" if kinds.index(kind) == int(number) else None


def with_cached(workload: Mapping[str, int]) -> dict[str, int]:
    """Return a workload with the positions that are cached when its step begins."""
    return {**workload, "cached": workload["seq_len"] + workload["decode_step"] - 1}


def draw_workload(forward: TracedForward, longest: int | None, chance: random.Random) -> dict[str, int]:
    """Return sizes of a workload, within the ``longest`` context, for which a traced forward is the one that holds.

    Raises
    ------
    CountError
        If none were found.
    """
    at = {symbol.name: int(size) for symbol, size in forward.at.items()}
    begin = max(3, forward.region.least or 0)
    for _ in range(_MOST_DRAWS):
        workload = {
            "batch_size": chance.randint(2, 7), "seq_len": chance.randint(max(3, begin - 9), begin + 26),
            "decode_step": chance.randint(1, 13), **at,
        }  # fmt: skip
        fits = longest is None or workload["seq_len"] <= longest // 2
        if fits and evaluate(forward.condition, workload) == evaluate(forward.region.holds, workload) == 1:
            return workload
    raise CountError("no small workload is in a region of the trace", found=forward.region)
