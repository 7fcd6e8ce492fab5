"""The torch modules of a config on the meta device, and which of their layers are alike."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
import transformers
from attrs import evolve, field, frozen
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from modelmeter.frontend.cards.card import Blocks, Tower
from modelmeter.frontend.configs.config_fields import clip
from modelmeter.frontend.cut_config import cut_config
from modelmeter.frontend.experts import STAND_IN
from modelmeter.frontend.kinds import describe_kind, leave_out_turns
from modelmeter.frontend.refusals import describe_module
from modelmeter.graph.dtypes import default_dtype
from modelmeter.support.errors import ArchitectureError

_MOST_LAYERS_TRACED = 12


def build_modules(config: PreTrainedConfig, *, dtype: torch.dtype = torch.bfloat16, class_name: str = "") -> nn.Module:
    """Return the model of ``config`` on the meta device, in evaluation mode: of a class, or the causal decoder.

    Raises
    ------
    ArchitectureError
        If transformers cannot build it.
    """
    try:
        with torch.device("meta"), default_dtype(dtype):
            model: nn.Module = (
                getattr(transformers, class_name)._from_config(config, dtype=dtype, experts_implementation=STAND_IN)
                if class_name
                else AutoModelForCausalLM.from_config(
                    config, dtype=dtype, experts_implementation=STAND_IN, trust_remote_code=False
                )
            )
    except Exception as error:  # whatever a config that contradicts itself makes of the modules
        raise ArchitectureError(
            "transformers builds no modules of this config", place=str(config.model_type),
            found=clip(f"{type(error).__name__}: {error}"), remedy=describe_module(error),
        ) from error  # fmt: skip
    return model.eval()


def count_own_parameters(model: nn.Module) -> dict[str, int]:
    """Return the elements of the parameters that each module holds itself; a shared one is the first module's."""
    seen: set[int] = set()
    own: dict[str, int] = {}
    for path, module in model.named_modules():
        new = [parameter for parameter in module.parameters(recurse=False) if id(parameter) not in seen]
        seen.update(map(id, new))
        own[path] = sum(parameter.numel() for parameter in new)
    return own


def count_layers(config: PreTrainedConfig) -> int:
    """Return how many decoder layers a config has, whose encoder beside them may have another number."""
    text = config.get_text_config(decoder=True)
    beside = vars(text).get("decoder_layers")
    count: int = beside if type(beside) is int else text.num_hidden_layers
    return count


def find_layers(model: nn.Module, count: int) -> str:
    """Return the path of the list of ``count`` decoder layers.

    Raises
    ------
    ArchitectureError
        If there is none.
    """
    lists = [path for path, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    fitting = [path for path in lists if len(model.get_submodule(path)) == count]  # type: ignore[arg-type]  # a list
    if not fitting:
        raise ArchitectureError("the modules have no list of as many layers", place="num_hidden_layers", found=count)
    return str(min(fitting, key=lambda path: path.count(".")))


@frozen(kw_only=True)
class Stack:
    """Layers one after the other, of which the first are traced for all.

    Parameters
    ----------
    layers
        The path of the list of layers.
    kinds
        The number of the kind of each layer of the whole model.
    traced
        The kinds of those that are traced.
    """

    layers: str
    kinds: tuple[int, ...]
    traced: tuple[int, ...]


@frozen(kw_only=True)
class Depth:
    """Which layers are traced for all.

    Parameters
    ----------
    config
        Of a model of the first layers only.
    class_name
        The class of the modules, if it is not that of causal decoders.
    stacks
        The decoder, and a tower beside it.
    whole
        The modules of all layers.
    keeps_once
        Whether modules keep in their first forward what later ones read.
    """

    config: PreTrainedConfig
    stacks: tuple[Stack, ...]
    class_name: str = ""
    keeps_once: bool = False
    whole: nn.Module = field(eq=False)

    def find(self, path: str) -> Stack | None:
        """Return the stack whose list is at ``path``."""
        return next((stack for stack in self.stacks if stack.layers == path), None)


def choose_depth(
    config: PreTrainedConfig, model: nn.Module, *, class_name: str = "", is_first_apart: bool = False
) -> Depth:
    """Return the first layers that have each kind at least twice, where the model has two of it.

    Of a row of one kind, the layers that follow two of it, or one if two were in a row before, are left out: which kind
    comes after which stays. Where that leaves many, so are turns of several kinds. A model of few layers must have the
    very kinds of those that it stands for, and outside of them parameters of the same shapes; if it has not, none is
    left out, and then it is the whole model that is traced. The first layer is of a kind of its own where
    ``is_first_apart`` says so.

    Raises
    ------
    ArchitectureError
        If it has others.
    """
    count = count_layers(config)
    layers = find_layers(model, count)
    _refuse_encoders(model.get_submodule(layers), config)
    numbers: dict[Hashable, int] = {}
    described = _describe_kinds(model.get_submodule(layers), is_first_apart)
    kinds = tuple(numbers.setdefault(kind, len(numbers)) for kind in described)
    needed = [min(2, kinds.count(kind)) for kind in range(len(numbers))]
    first = next(
        kinds[:length]
        for length in range(1, count + 1)
        if all(kinds[:length].count(kind) >= least for kind, least in enumerate(needed))
    )
    outside = _list_outside(model, layers)
    whole = Depth(
        config=config, stacks=(Stack(layers=layers, kinds=kinds, traced=kinds),), class_name=class_name, whole=model
    )
    for chosen in dict.fromkeys((_leave_out(first), tuple(range(len(first))), leave_out_turns(kinds))):
        if len(chosen) > _MOST_LAYERS_TRACED or len(chosen) == count:
            continue
        try:
            shallow = cut_config(config, chosen)
            built = build_modules(shallow, class_name=class_name)
        except ArchitectureError:  # a config that says what holds for no other number of layers
            continue
        seen = _describe_kinds(built.get_submodule(layers), is_first_apart)
        if _list_outside(built, layers) != outside:  # such as a table with a column for each layer
            continue
        if seen == [described[layer] for layer in chosen]:
            stack = Stack(layers=layers, kinds=kinds, traced=tuple(kinds[layer] for layer in chosen))
            return evolve(whole, config=shallow, stacks=(stack,))
    return whole


def _describe_kinds(layers: nn.Module, is_first_apart: bool) -> list[Hashable]:
    return [(describe_kind(layer), is_first_apart and not place) for place, layer in enumerate(layers.children())]


def _list_outside(model: nn.Module, layers: str) -> list[tuple[str, torch.Size]]:
    """Return the shapes of all parameters and buffers that are of no layer."""
    held = (*model.named_parameters(), *model.named_buffers())
    return [(path, tensor.shape) for path, tensor in held if not path.startswith(f"{layers}.")]


def _leave_out(kinds: Sequence[int]) -> tuple[int, ...]:
    """Return the layers of a stack without those that follow one of their kind as another did before."""
    chosen: list[int] = []
    doubled: set[int] = set()
    for layer, kind in enumerate(kinds):
        if chosen and kinds[chosen[-1]] == kind:
            if kind in doubled:
                continue
            doubled.add(kind)
        chosen.append(layer)
    return tuple(chosen)


def _refuse_encoders(layers: nn.Module, config: PreTrainedConfig) -> None:
    """Refuse layers that were built to look both ways, as those of BERT are unless the config says otherwise.

    Raises
    ------
    ArchitectureError
        If they are such.
    """
    if any(getattr(module, "is_decoder", None) is False for module in layers.modules()):
        raise ArchitectureError(
            "the layers are those of an encoder, which sees what follows each token", place=str(config.model_type),
            expected="a causal decoder", remedy="is_decoder = true in the config makes it one",
        )  # fmt: skip


def add_tower(depth: Depth, config: PreTrainedConfig, model: nn.Module, tower: Tower) -> Depth:
    """Return the depth of a model with a tower of few blocks, as its card says.

    Raises
    ------
    ArchitectureError
        If few blocks are not of the kinds of all.
    """
    fields = depth.config.to_dict()
    _update(fields, tower.shallow)
    shallow = type(depth.config).from_dict(fields)
    built = build_modules(shallow, class_name=depth.class_name)
    stacks = tuple(_find_stack(blocks, (config, model), (shallow, built)) for blocks in tower.blocks)
    return evolve(depth, config=shallow, stacks=(*depth.stacks, *stacks))


def _update(fields: dict[str, Any], keys: Mapping[str, Any]) -> None:
    for key, value in keys.items():
        if isinstance(value, Mapping):
            _update(fields[key], value)
        else:
            fields[key] = value


def _find_stack(
    blocks: Blocks, whole: tuple[PreTrainedConfig, nn.Module], few: tuple[PreTrainedConfig, nn.Module]
) -> Stack:
    numbers: dict[Hashable, int] = {}
    kinds, traced = (
        tuple(
            numbers.setdefault((kind, describe_kind(block)), len(numbers))
            for kind, block in zip(
                blocks.list_kinds(config) if blocks.list_kinds is not None else [0] * len(lists), lists, strict=True
            )
        )
        for config, lists in (
            (config, list(model.get_submodule(blocks.path).children())) for config, model in (whole, few)
        )
    )
    if set(kinds) != set(traced):
        raise ArchitectureError(
            "a tower of few blocks has other kinds of them", place=blocks.path, expected=sorted(set(kinds)),
            found=sorted(set(traced)),
        )  # fmt: skip
    alone = [kind for kind in set(kinds) if kinds.count(kind) == 1 < traced.count(kind)]
    if alone:
        raise ArchitectureError(
            "a tower of few blocks stands for one with at least two of each kind", place=blocks.path,
            found=f"block {kinds.index(alone[0])} is the only one of its kind",
        )  # fmt: skip
    return Stack(layers=blocks.path, kinds=kinds, traced=traced)
