"""Models of the layers that are traced, as their later forwards find them.

Some modules keep what they make in their first forward: the rotation of ``longrope`` keeps the frequencies of long
contexts. A server runs a model many times, so that formulas are those of later forwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from attrs import evolve
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicCache

from modelmeter.frontend.cache import call_model, make_cache
from modelmeter.frontend.modules import Depth, build_modules, choose_depth
from modelmeter.verify.dispatch import tensors_in

Kept = list[dict[str, Tensor]]
"""The tensors that each module of a model holds by name, beside its parameters."""

Call = list[tuple[tuple[int, ...], torch.dtype]]
"""The shapes and types of the tensors that a layer is given."""

Learned = TypeVar("Learned")


def run_prompt(model: nn.Module, *, batch_size: int = 2, seq_len: int = 3) -> DynamicCache:
    """Run a small prefill, and return its cache."""
    cache = make_cache(model)
    tokens = torch.empty(batch_size, seq_len, dtype=torch.int64, device="meta")
    call_model(model, tokens, cache)
    return cache


def build_shallow(depth: Depth, dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    """Return the modules of the layers that are traced, which keep what they do in their first forward."""
    model = build_modules(depth.config, dtype=dtype, class_name=depth.class_name)
    if depth.keeps_once:
        _warm_up(model)
    return model


def learn_once(depth: Depth, learn: Callable[[nn.Module], Learned]) -> tuple[Depth, Learned]:
    """Return what is learned from the first forward of a model, and a depth that knows whether it keeps something.

    What changes in a second forward of another length is left to the traces, whose guards say where it does. Where
    the first layer is called with other tensors than those of its kind, it becomes one of its own.
    """
    model = build_shallow(depth)
    before = _list_kept(model)
    with _watch_calls(depth, model) as calls:
        learned = learn(model)
    (stack, *_), (first, *others) = depth.stacks, calls
    if any(kind == stack.traced[0] and call != first for kind, call in zip(stack.traced[1:], others, strict=True)):
        apart = choose_depth(depth.whole.config, depth.whole, class_name=depth.class_name, is_first_apart=True)
        return learn_once(apart, learn)
    after = _list_kept(model)
    if _is_same(before, after):
        return depth, learned
    with torch.no_grad():
        run_prompt(model, batch_size=3, seq_len=5)
    if not _is_same(after, _list_kept(model)):
        return depth, learned
    _warm_up(depth.whole)
    return evolve(depth, keeps_once=True), learned


def describe_first_forward(depth: Depth) -> dict[str, str]:
    """Return the counting rule for a first forward, where it does more than later ones."""
    if not depth.keeps_once:
        return {}
    return {
        "First forward": "Modules keep tensors that they make in their first forward, such as the frequencies of a "
        "rotation for long contexts. The formulas are those of later forwards, which read them."
    }


@contextmanager
def _watch_calls(depth: Depth, model: nn.Module) -> Iterator[list[Call]]:
    """Note what each layer is called with first."""
    layers = list(model.get_submodule(depth.stacks[0].layers).children())
    calls: list[Call] = [[] for _ in layers]

    def note(place: int, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = [each for each in (*args, *kwargs.values()) if not isinstance(each, Cache)]
        calls[place] = calls[place] or [(tuple(tensor.shape), tensor.dtype) for tensor in tensors_in(given)]

    with ExitStack() as hooks:
        for place, layer in enumerate(layers):
            hooks.callback(layer.register_forward_pre_hook(partial(note, place), with_kwargs=True).remove)
        yield calls


def _warm_up(model: nn.Module) -> None:
    with torch.no_grad():  # and not in inference mode: backward may read what is kept
        run_prompt(model)


def _list_kept(model: nn.Module) -> Kept:
    return [
        {name: held for name, held in (*vars(module).items(), *module._buffers.items()) if isinstance(held, Tensor)}
        for module in model.modules()
    ]


def _is_same(before: Kept, after: Kept) -> bool:
    return len(before) == len(after) and all(
        one.keys() == other.keys() and all(held is other[name] for name, held in one.items())
        for one, other in zip(before, after, strict=True)
    )
